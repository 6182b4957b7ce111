"""The users' sweeps that a results folder holds, read back from their tables.

A table's metadata hold the sweep's words, so that it can be judged and drawn again. The modules of networks and norms
that the words may name are not imported.
"""

from __future__ import annotations

from normscope.errors import InputError
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.sweep import Sweep, SweepExperiment


def sweep_folders(folder: ResultsFolder) -> list[ExperimentFolder]:
    """The folders of sweeps, by name; one whose table cannot be read is not recognised as a sweep's."""
    return [stored for stored in folder.experiments() if holds_sweep(stored)]


def holds_sweep(stored: ExperimentFolder) -> bool:
    """Whether a folder's table can be read and is a sweep's."""
    try:
        return stored.read_metadata().sweep is not None
    except InputError:
        return False


def read_sweep(stored: ExperimentFolder) -> SweepExperiment:
    """The sweep that a folder holds, as an experiment.

    Raises:
        InputError: when the folder holds no sweep, or one of another version of normscope.
    """
    words = stored.read_metadata().sweep
    if words is None:
        raise InputError(f"{stored.table} is not a sweep's table.")
    try:
        return SweepExperiment(stored.id, Sweep.from_json(words))
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"{stored.table} was written by another version of normscope: run its sweep again."
        ) from error
