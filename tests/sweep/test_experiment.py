"""A sweep as an experiment."""

import subprocess
import sys

import pytest

from normscope import data
from normscope.errors import InputError
from normscope.protocol import Scale, empty_table
from normscope.sweep import Sweep, SweepExperiment


@pytest.mark.parametrize(
    "name", ["", "cells", "../up", "a.b", "two words", "a\n", "$a", "<a>", "ä", "x" * 129]
)
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(InputError, match="sweep's name"):
        SweepExperiment(name, Sweep.of("lenet"))


def test_the_longest_name_is_that_of_a_folder(tmp_path):
    longest = SweepExperiment("_" + "x" * 127, Sweep.of("lenet"))
    (tmp_path / longest.id).mkdir()


def test_the_experiment_says_what_it_does():
    experiment = SweepExperiment("mine", Sweep.of("lenet", probe="spectrum", layer="conv1"))
    assert "conv1" in experiment.method
    assert "conv1" in experiment.caption
    assert experiment.question.endswith("?")
    assert "lenet" in experiment.question
    assert "64" in experiment.profile(Scale.QUICK).describe()["training"]
    assert experiment.claims(empty_table()) == []


def test_reading_a_sweep_imports_nothing_heavy():
    code = """
import sys
from normscope.sweep import Sweep, SweepExperiment
SweepExperiment("mine", Sweep.of("lenet,resnet(depth=8)", norm="batch,my:Norm", probe="spectrum")).caption
print([name for name in ("torch", "pandas", "matplotlib") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_cells_of_an_experiment_are_those_of_its_runs():
    from normscope.sweep.training_cell import train_network

    asked = Sweep.of(
        ["lenet", "own_networks:plain"], norm="batch,own_networks:HalvingNorm", lr="0.1,1", seeds=2
    )
    cells = SweepExperiment("mine", asked).cells(Scale.QUICK, empty_table())
    assert list(cells) == [train_network.cell(run) for run in asked.runs()]
    assert [len(cell.files) for cell in cells[::4]] == [0, 1, 1, 1]


def test_the_key_of_a_finished_run_stays(monkeypatch):
    """The key is one under which normscope 0.1.0 stored this run with torch 2.13."""
    monkeypatch.setattr("normscope.protocol.cells.torch_minor_version", lambda: "2.13")
    asked = Sweep.of("lenet", "none", lr=0.1, seeds=1, images=256, epochs=1, probe="spectrum,moments")
    (cell,) = SweepExperiment("mine", asked).cells(Scale.QUICK, empty_table())
    assert cell.key(data.digest) == "05b978512294edbdce5699bf8ba2d119"
