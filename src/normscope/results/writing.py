"""Writing the results of a run: every experiment's table and figure, then the scorecard and the page."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from normscope.disk.aside import set_aside
from normscope.errors import DamagedError, NormscopeWarning, printable
from normscope.papers import catalogue
from normscope.protocol import NotJudgedError, Result, empty_table
from normscope.report.page import Chapter
from normscope.results import page
from normscope.results.contents import Contents, Fault, FaultKind, Shown, again, read_others, settle
from normscope.results.experiment_folder import DrawnFigure, ExperimentFolder
from normscope.results.files import CannotReadError, write_text
from normscope.results.folder import ResultsFolder
from normscope.results.run_metadata import RunMetadata
from normscope.results.scorecard import unjudged
from normscope.results.stored_run import ForeignError, judging_cells
from normscope.sweep import SweepExperiment

_NO_SUCH_CLAIM = "this version of the experiment has no such claim"


def write_results(folder: ResultsFolder, results: Sequence[Result]) -> None:
    """Write results into a folder; what it holds of other experiments stays.

    A damaged table is set aside, and a warning says so; the claims of another experiment's are no longer judged. A
    damaged scorecard is set aside and made again from all tables.

    Raises:
        InputError: when something cannot be drawn or written, or the scorecard cannot be read now.
    """
    with folder.writing():
        figures = {}
        for result in results:
            with judging_cells(result.id):
                figures[result.id] = drawn(result)
        for result in results:
            name_damaged(folder.experiment(result.id), is_replaced=True)
            write_experiment(folder.experiment(result.id), result, figures[result.id])
        old = scorecard_rows(folder)
        contents = read_others(folder, [result.id for result in results], judge=old is None)
        for result in results:
            contents.shown[result.id] = Shown(
                folder.experiment(result.id), result.experiment, metadata_of(result), figures[result.id]
            )
        settle(folder, contents)
        write_scorecard_and_page(folder, old or [], [*contents.results, *results], contents)


def name_damaged(stored: ExperimentFolder, *, is_replaced: bool) -> None:
    """Warn of a damaged table of an experiment that was run, or of one of another program.

    Args:
        stored: the experiment's folder.
        is_replaced: whether a new table takes its place; then it is set aside.
    """
    try:
        stored.read()
    except (DamagedError, ForeignError) as error:
        place = set_aside(stored.table) if is_replaced else None
        moved = f"; it is now in {place.parent}, and the table is made again" if place else ""
        warnings.warn(f"{stored.table}: {str(error).rstrip('.')}{moved}.", NormscopeWarning, stacklevel=3)
    except CannotReadError:
        return  # The new table takes its place all the same.


def scorecard_rows(folder: ResultsFolder) -> list[dict[str, Any]] | None:
    """The rows of the scorecard; ``None`` when it is damaged: then it is set aside, and a warning says so.

    Raises:
        CannotReadError: it cannot be read now.
    """
    try:
        return folder.scorecard.read()
    except DamagedError as error:
        where = set_aside(folder.scorecard.path)
        moved = f"; it is now in {where.parent}" if where else ""
        warnings.warn(
            f"{str(error).rstrip('.')}{moved}; it is made again from the stored tables.",
            NormscopeWarning,
            stacklevel=2,
        )
        return None


def write_experiment(stored: ExperimentFolder, result: Result, figure: DrawnFigure) -> None:
    """Write an experiment's table and its figure.

    Raises:
        InputError: when one cannot be written.
    """
    stored.write_table(result.table, metadata_of(result))
    stored.write_figure(figure)


def write_scorecard_and_page(
    folder: ResultsFolder, old: Iterable[Mapping[str, Any]], results: Iterable[Result], contents: Contents
) -> tuple[list[dict[str, Any]], list[Chapter]]:
    """Write the scorecard, then the page.

    Args:
        folder: the results folder, locked.
        old: the rows of the scorecard before.
        results: the new results.
        contents: all that the folder holds.

    Returns:
        The rows of the scorecard and the chapters of the page.

    Raises:
        InputError: when one cannot be written.
    """
    card, order = folder.scorecard, [entry.id for entry in catalogue.ENTRIES]
    new = [row for result in results for row in result.scorecard()]
    rows = card.merged(_without_unknown_claims(old, new), new, order)
    rows = card.merged(rows, _taken_back(rows, contents.faults), order)
    card.write(rows)
    chapters = page.chapters(contents, rows)
    write_text(folder.page, page.render(chapters))
    return rows, chapters


def drawn(result: Result) -> DrawnFigure:
    """The figure of a result; an empty one when too few rows are there to draw it."""
    with contextlib.suppress(NotJudgedError):
        return DrawnFigure.of(result.figure(), result.id)
    return DrawnFigure()


def metadata_of(result: Result) -> RunMetadata:
    """What is stored with a result's table."""
    experiment = result.experiment
    return RunMetadata(
        result.scale,
        result.settings,
        {_stored(cell): _stored(error) for cell, error in result.failures.items()},
        tuple(map(_stored, result.notes)),
        experiment.sweep.to_json() if isinstance(experiment, SweepExperiment) else None,
        result.data,
        result.data_note,
        result.id,
    )


def _stored(text: str) -> str:
    """A text of a user's, such as an error's, as a file can hold it."""
    return printable(text, keep="\t\n\r")


def _without_unknown_claims(
    old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The rows before, without the verdicts on claims that their experiments, judged again, do not have."""
    claims = {(row["experiment"], row["claim"]) for row in new}
    judged = {id for id, _ in claims}
    return [
        unjudged(row, _NO_SUCH_CLAIM)
        if row["experiment"] in judged and (row["experiment"], row["claim"]) not in claims
        else row
        for row in old
    ]


def _taken_back(rows: Sequence[Mapping[str, Any]], faults: Mapping[str, Fault]) -> list[dict[str, Any]]:
    """The rows of the experiments whose tables can no longer be judged, without their verdicts."""
    taken = []
    for id, fault in faults.items():
        if fault.kind is FaultKind.UNREADABLE_NOW:
            continue
        is_damaged = fault.kind is FaultKind.DAMAGED
        why = f"its table was damaged: {again(id)}" if is_damaged else fault.why
        found = [row for row in rows if row["experiment"] == id]
        taken += [unjudged(row, why) for row in found or (_rows_of_nothing(id) if is_damaged else [])]
    return taken


def _rows_of_nothing(id: str) -> list[dict[str, Any]]:
    """The claims of a paper's experiment of which no table is left; none for any other name."""
    experiments = [entry.load() for entry in catalogue.ENTRIES if entry.id == id]
    claims = [claim for experiment in experiments for claim in experiment.claims(empty_table())]
    about = {"experiment": id, "scale": "", "data": "", "data_note": ""}
    return [{**claim.to_json(), **about} for claim in claims]
