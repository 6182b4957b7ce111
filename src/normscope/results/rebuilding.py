"""Judging and drawing again what a results folder holds: ``normscope report``. No cell is run."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from normscope.errors import InputError, NormscopeWarning, printable
from normscope.papers import catalogue
from normscope.papers.other_data import base_of
from normscope.protocol import Result, Verdict
from normscope.report.scorecard import verdict
from normscope.results import page
from normscope.results.contents import Contents, FaultKind, Shown, read_run, settle
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.files import is_there
from normscope.results.folder import ResultsFolder
from normscope.results.stored_run import judging
from normscope.results.writing import drawn, scorecard_rows, write_experiment, write_scorecard_and_page

_FEW = 4


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """What a results folder holds once it was judged and drawn again.

    Attributes:
        results: the results of the stored tables, in the catalogue's order, sweeps last.
        rows: the rows of the scorecard.
        absent: what is not on the page, each with the reason.
        is_damaged: whether a table could not be judged, so that verdicts were taken back.
        unreadable: what the system refuses to let us read now, in a sentence; empty if nothing.
    """

    results: Sequence[Result]
    rows: Sequence[Mapping[str, Any]]
    absent: Mapping[str, str]
    is_damaged: bool
    unreadable: str


def rebuild(folder: ResultsFolder) -> Rebuilt:
    """Judge and draw every stored experiment again; write figures, scorecard and page.

    A table that cannot be judged is left out; the page and a warning name it. If it is damaged, it is set aside.

    Raises:
        InputError: when the folder holds no results, or something cannot be written.
    """
    _check_is_ours(folder)
    with folder.writing():
        contents = Contents()
        for stored in sorted(folder.experiments(), key=_place):
            with contents.noting(stored.id):
                run = read_run(stored)
                if run is None:
                    continue
                result = run.judged()
                with judging():
                    figure = drawn(result)
            if stored.id in contents.faults:
                continue
            write_experiment(stored, result, figure)
            contents.results.append(result)
            contents.shown[stored.id] = Shown(stored, result.experiment, run.metadata, figure)
        if not (contents.shown or contents.faults):
            raise _no_results(folder)
        old = scorecard_rows(folder) or []
        settle(folder, contents)
        rows, chapters = write_scorecard_and_page(folder, old, contents.results, contents)
    _name_verdicts_without_tables(rows, contents)
    return Rebuilt(
        contents.results, rows, page.absent(chapters), _is_damaged(contents, rows), _unreadable(contents)
    )


def _name_verdicts_without_tables(rows: Sequence[Mapping[str, Any]], contents: Contents) -> None:
    """Say which verdicts of the scorecard stay although nothing in the folder decides them."""
    known = {*contents.shown, *contents.faults}
    found = dict.fromkeys(
        row["experiment"]
        for row in rows
        if row["experiment"] not in known and verdict(row) is not Verdict.NOT_JUDGED
    )
    if found:
        named = ", ".join(printable(id) for id in list(found)[:_FEW])
        rest = f" and {len(found) - _FEW:,} more" if len(found) > _FEW else ""
        warnings.warn(
            f"the scorecard has verdicts on {named}{rest}, of which no table is here: they are not judged again.",
            NormscopeWarning,
            stacklevel=3,
        )


def _check_is_ours(folder: ResultsFolder) -> None:
    """Refuse a folder that holds no results, before anything is written to it or set aside.

    Raises:
        InputError: it has neither cells nor a scorecard, and no table that can be read.
    """
    if is_there(folder.scorecard.path) or is_there(folder.store.folder):
        return
    contents = Contents()
    for stored in folder.experiments():
        with contents.noting(stored.id):
            if read_run(stored) is not None:
                return
    for id, fault in contents.faults.items():
        raise InputError(f"{folder} holds no results that can be read: of {id}, {fault.why}.")
    raise _no_results(folder)


def _no_results(folder: ResultsFolder) -> InputError:
    if unfinished := [printable(stored.id) for stored in folder.experiments()]:
        names = ", ".join(unfinished[:_FEW])
        return InputError(
            f"{folder} holds only a run that has not ended ({names}): the same command goes on with it."
        )
    return InputError(f"{folder} holds no results: name a folder that normscope has written.")


def _place(stored: ExperimentFolder) -> tuple[int, str]:
    """What experiments are ordered by: the catalogue, then the name."""
    ids = [entry.id for entry in catalogue.ENTRIES]
    base = base_of(stored.id)
    return ids.index(base) if base in ids else len(ids), stored.id


def _is_damaged(contents: Contents, rows: Sequence[Mapping[str, Any]]) -> bool:
    kinds = {id: fault.kind for id, fault in contents.faults.items()}
    with_rows = {row["experiment"] for row in rows}
    foreign = {id for id, kind in kinds.items() if kind is FaultKind.FOREIGN}
    return FaultKind.DAMAGED in kinds.values() or bool(foreign & with_rows)


def _unreadable(contents: Contents) -> str:
    unread = [
        f"{id}: {fault.why}."
        for id, fault in contents.faults.items()
        if fault.kind is FaultKind.UNREADABLE_NOW
    ]
    return unread[0] if unread else ""
