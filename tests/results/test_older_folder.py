"""A results folder written before cells had names of their own: the commit 5955751, `reproduce chai2020`, a sweep."""

import shutil
from pathlib import Path

import pytest

from normscope.papers import catalogue
from normscope.papers.chai2020.cells.arrangements import NLMS, PLAIN
from normscope.papers.chai2020.cells.noise import NoiseTraining, train_arrangement
from normscope.protocol import cells as cells_module
from normscope.protocol import empty_table
from normscope.store import Store
from normscope.sweep import Sweep, SweepExperiment

OLDER = Path(__file__).parent / "older_folder" / "cells"


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    # Its keys name torch 2.13, whatever is installed here.
    monkeypatch.setattr(cells_module, "torch_minor_version", lambda: "2.13")
    shutil.copytree(OLDER, tmp_path / "cells")
    return Store(tmp_path / "cells")


def keyed(experiments):
    from normscope import data

    return {
        cell.key(data.digest): cell
        for experiment in experiments
        for cell in experiment.cells("quick", empty_table())
    }


REMEASURED = {"chai2020.fig10", "chai2020.pmd"}
"""Experiments whose cells have another meaning or other settings now."""

AS_BEFORE = [entry.id for entry in catalogue.find("chai2020") if entry.id not in REMEASURED]


def older(wanted):
    """The cells that the older version ran: it had three seeds, and did not count gates."""
    return {
        key: cell
        for key, cell in wanted.items()
        if cell.config.seed < 3 and cell.name != "chai2020.gate_activity"
    }


def test_every_cell_of_an_older_folder_is_found(store):
    wanted = older(keyed(catalogue.load(AS_BEFORE)))
    assert len(wanted) == 207
    assert store.find(wanted).keys() == wanted.keys()
    assert set(store.table(wanted)["cell"]) == set(wanted)


def test_every_training_run_with_noise_of_an_older_folder_is_found(store):
    from normscope import data

    names = [f"{name}{reading}" for name in NLMS for reading in ("", "_sum")]
    cells = [
        train_arrangement.cell(NoiseTraining(name, rate, noise, seed, "mnist5k", 500, 8))
        for name in (*PLAIN, *names)
        for rate in (0.1, 1.0)
        for noise in (0.0, 1.0)
        for seed in range(3)
    ]
    wanted = {cell.key(data.digest) for cell in cells}
    assert len(wanted) == 84
    assert store.find(wanted).keys() == wanted


def test_the_rows_of_an_older_folder_are_read_by_the_cells_names(store):
    for experiment in catalogue.load(AS_BEFORE):
        claims = experiment.claims(store.table(older(keyed([experiment]))))
        assert all(claim.verdict != "not judged" for claim in claims)


def test_the_figures_of_an_older_folders_tables_are_drawn(store):
    for id in AS_BEFORE:
        (experiment,) = catalogue.load([id])
        experiment.figure(store.table(older(keyed([experiment])))).draw_without_rendering()


def test_a_sweep_of_an_older_folder_is_found(store):
    sweep = Sweep.of(
        "lenet", "batch,none", lr="0.1:1:2", seeds=2, images=256, epochs=1, probe="spectrum,moments"
    )
    wanted = keyed([SweepExperiment("sweep", sweep)])
    assert len(wanted) == 8
    assert store.find(wanted).keys() == wanted.keys()
