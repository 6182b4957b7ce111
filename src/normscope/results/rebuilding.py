"""Judging and drawing again what a results folder holds: ``normscope report``. No cell is run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Experiment, Result
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.results.stored_sweeps import read_sweep, sweep_folders
from normscope.results.writing import write_results


def rebuild(folder: ResultsFolder) -> list[Result]:
    """Judge and draw every stored experiment again; write figures, scorecard and page.

    Experiments whose table cannot be read are left out; the page names them.

    Raises:
        InputError: when the folder holds no results, or none that can be read.
    """
    results, unreadable = [], None
    for stored, load in _stored(folder):
        try:
            results.append(_judge(stored, load()))
        except InputError as error:
            unreadable = error
    if not results:
        raise unreadable or InputError(
            f"{folder} holds no results: name a folder that normscope has written."
        )
    write_results(folder, results)
    return results


def _stored(folder: ResultsFolder) -> Iterator[tuple[ExperimentFolder, Callable[[], Experiment]]]:
    """The stored experiments, each with what loads it: the catalogue's in its order, then the sweeps by name."""
    for entry in catalogue.ENTRIES:
        stored = folder.experiment(entry.id)
        if stored.table.exists():
            yield stored, entry.load
    for stored in sweep_folders(folder):
        yield stored, functools.partial(read_sweep, stored)


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
    )
