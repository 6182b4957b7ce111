"""A results folder written before cells had names of their own: the commit 5955751, `reproduce chai2020`, a sweep."""

import shutil
from pathlib import Path

import pytest

from normscope.papers import catalogue
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


def test_every_cell_of_an_older_folder_is_found(store):
    wanted = keyed(catalogue.load(["chai2020"]))
    assert len(wanted) == 309
    assert store.find(wanted).keys() == wanted.keys()
    assert set(store.table(wanted)["cell"]) == set(wanted)


def test_the_rows_of_an_older_folder_are_read_by_the_cells_names(store):
    for experiment in catalogue.load(["chai2020"]):
        claims = experiment.claims(store.table(keyed([experiment])))
        assert all(claim.holds is not None for claim in claims)


def test_a_sweep_of_an_older_folder_is_found(store):
    sweep = Sweep.of(
        "lenet", "batch,none", lr="0.1:1:2", seeds=2, images=256, epochs=1, probe="spectrum,moments"
    )
    wanted = keyed([SweepExperiment("sweep", sweep)])
    assert len(wanted) == 8
    assert store.find(wanted).keys() == wanted.keys()
