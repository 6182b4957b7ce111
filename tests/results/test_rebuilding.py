"""Judging and drawing stored results again."""

import dataclasses
import importlib

import pandas as pd
import pytest
import trial

from normscope.errors import InputError
from normscope.options import RunOptions
from normscope.papers import catalogue
from normscope.protocol import COLUMNS, Scale, empty_table
from normscope.reproduction import Reproduction
from normscope.results import ResultsFolder, RunMetadata
from normscope.results.cleaning import clean
from normscope.results.rebuilding import rebuild
from normscope.sweep import Sweep
from normscope.sweep.training_cell import train_network

METADATA = RunMetadata(Scale.LAPTOP, {"data": "digits"}, {"a cell": "slow"}, ("Read this.",))


@pytest.fixture
def folder(tmp_path):
    folder = ResultsFolder(tmp_path / "runs")
    folder.experiment("chai2020.fig6").write_table(empty_table(), METADATA)
    return folder


def test_a_result_has_what_was_stored_and_its_claims_are_judged_anew(folder):
    (result,) = rebuild(folder)
    assert (result.id, result.scale, result.notes) == ("chai2020.fig6", "laptop", ("Read this.",))
    assert (result.settings, result.failures) == ({"data": "digits"}, {"a cell": "slow"})
    assert {row["holds"] for row in folder.scorecard.read()} == {None}
    assert "chai2020.fig6" in folder.page.read_text()


def test_results_come_in_the_catalogues_order_and_sweeps_last(folder):
    sweep = RunMetadata(Scale.QUICK, {}, {}, sweep=Sweep.of("lenet").to_json())
    folder.experiment("a-sweep").write_table(empty_table(), sweep)
    folder.experiment("chai2020.channel_scaling").write_table(empty_table(), METADATA)
    ids = [result.id for result in rebuild(folder)]
    assert ids == ["chai2020.channel_scaling", "chai2020.fig6", "a-sweep"]


def test_what_cannot_be_read_is_left_out_unless_nothing_else_is_there(folder):
    torn = folder.experiment("chai2020.fig7")
    torn.path.mkdir()
    torn.table.write_bytes(b"torn")
    assert [result.id for result in rebuild(folder)] == ["chai2020.fig6"]
    folder.experiment("chai2020.fig6").table.unlink()
    with pytest.raises(InputError, match=r"fig7/data\.parquet is not a table"):
        rebuild(folder)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        rebuild(ResultsFolder(tmp_path))


def test_reading_a_folder_imports_no_module_that_one_of_its_files_names(folder, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    (tmp_path / "planted").mkdir()
    for name in ("__init__.py", "networks.py"):  # to look for the module would import the package
        (tmp_path / "planted" / name).write_text(f"open({str(trace)!r}, 'a').write(__name__ + ' ')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "ENTRIES", ())
    sweep = Sweep.of("planted.networks:make", norm="planted.networks:Norm", lr="0.1,1", seeds=1, epochs=1)
    stored = folder.experiment("a-sweep")
    stored.write_table(table_of(sweep), RunMetadata(Scale.QUICK, {}, {}, sweep=sweep.to_json()))

    rebuild(folder)
    clean(folder)
    without_cells = dataclasses.replace(trial.EXPERIMENT, list_cells=lambda profile: [])
    Reproduction([without_cells], RunOptions(folder)).run()

    assert stored.figure.exists()
    assert "planted.networks:make" in folder.page.read_text()
    assert not trace.exists()
    importlib.import_module("planted.networks")
    assert trace.read_text() == "planted planted.networks "


def table_of(sweep):
    """The table of a finished sweep, with the error of each run."""
    measured = {"measure": "validation_error", "epoch": 1, "value": 0.1}
    rows = [
        {
            **dict.fromkeys(COLUMNS),
            **measured,
            "cell": "a",
            "function": train_network.name,
            **dataclasses.asdict(run),
        }
        for run in sweep.runs()
    ]
    return pd.DataFrame(rows)
