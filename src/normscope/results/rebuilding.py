"""Judging and drawing again what a results folder holds: ``normscope report``. No cell is run."""

from __future__ import annotations

import functools
from collections.abc import Callable

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Experiment, Result
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.results.writing import write_results


def rebuild(folder: ResultsFolder) -> list[Result]:
    """Judge and draw every stored experiment again; write figures, scorecard and page.

    Experiments whose table cannot be read are left out; the page names them.

    Raises:
        InputError: when the folder holds no results, or none that can be read.
    """
    papers: list[tuple[ExperimentFolder, Callable[[], Experiment | None]]] = [
        (stored, functools.partial(stored.read_paper, entry))
        for entry in catalogue.ENTRIES
        for stored in folder.runs_of(entry.id)
    ]
    sweeps = [(stored, stored.read_sweep) for stored in folder.experiments()]
    results, unreadable = [], None
    for stored, load in [*papers, *sweeps]:
        try:
            if stored.table.exists() and (experiment := load()) is not None:
                results.append(_judge(stored, experiment))
        except InputError as error:
            unreadable = error
    if not results:
        raise unreadable or InputError(
            f"{folder} holds no results: name a folder that normscope has written."
        )
    write_results(folder, results)
    return results


def _judge(stored: ExperimentFolder, experiment: Experiment) -> Result:
    table, metadata = stored.read_table()
    return Result(
        id=experiment.id,
        scale=metadata.scale,
        table=table,
        claims=tuple(experiment.claims(table)),
        failures=metadata.failures,
        settings=metadata.settings,
        experiment=experiment,
        notes=tuple(metadata.notes),
        data=metadata.data,
        data_note=metadata.data_note,
    )
