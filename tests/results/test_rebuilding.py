"""Judging and drawing stored results again."""

import dataclasses
import importlib
import shutil

import pandas as pd
import pytest
import trial

from normscope.errors import InputError, NormscopeWarning
from normscope.options import RunOptions
from normscope.papers import catalogue
from normscope.protocol import COLUMNS, Scale, empty_table
from normscope.reproduction import Reproduction
from normscope.results import ResultsFolder, RunMetadata, files
from normscope.results.cleaning import clean
from normscope.results.rebuilding import rebuild
from normscope.results.scorecard import unjudged
from normscope.sweep import Sweep
from normscope.sweep.training_cell import train_network

METADATA = RunMetadata(Scale.LAPTOP, {"data": "digits"}, {"a cell": "slow"}, ("Read this.",))


@pytest.fixture
def folder(tmp_path):
    folder = ResultsFolder(tmp_path / "runs")
    folder.experiment("chai2020.fig6").write_table(empty_table(), METADATA)
    return folder


def test_a_result_has_what_was_stored_and_its_claims_are_judged_anew(folder):
    (result,) = rebuild(folder).results
    assert (result.id, result.scale, result.notes) == ("chai2020.fig6", "laptop", ("Read this.",))
    assert (result.settings, result.failures) == ({"data": "digits"}, {"a cell": "slow"})
    assert {row["holds"] for row in folder.scorecard.read()} == {None}
    assert "chai2020.fig6" in folder.page.read_text()


def test_results_come_in_the_catalogues_order_and_sweeps_last(folder):
    sweep = RunMetadata(Scale.QUICK, {}, {}, sweep=Sweep.of("lenet").to_json())
    folder.experiment("a-sweep").write_table(empty_table(), sweep)
    folder.experiment("chai2020.channel_scaling").write_table(empty_table(), METADATA)
    ids = [result.id for result in rebuild(folder).results]
    assert ids == ["chai2020.channel_scaling", "chai2020.fig6", "a-sweep"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def judged_row(id, **changes):
    """A row of an earlier run whose claim held."""
    return {
        "experiment": id, "claim": "a", "text": "t", "source": "s", "expected": "e", "measured": {"x": 1.0},
        "holds": True, "verdict": "holds", "interval": {}, "reason": "", "scale": "quick", "seeds": 3,
        "data": "mnist5k", "data_note": "", **changes,
    }  # fmt: skip


def test_a_damaged_table_is_set_aside_and_its_verdicts_are_taken_back(folder):
    damaged = folder.experiment("chai2020.fig7")
    damaged.write_table(empty_table(), METADATA)
    flip(damaged.table)
    folder.scorecard.write([judged_row(damaged.id), judged_row("chai2020.fig8")])
    with (
        pytest.warns(NormscopeWarning, match=r"verdicts on chai2020\.fig8, of which no table is here"),
        pytest.warns(
            NormscopeWarning, match=r"chai2020\.fig7 is not on the page: its table was damaged.*_unreadable"
        ),
    ):
        rebuilt = rebuild(folder)
    assert [result.id for result in rebuilt.results] == ["chai2020.fig6"]
    assert rebuilt.is_damaged
    assert (damaged.path / "_unreadable" / "data.parquet").exists()
    rows = {row["experiment"]: row for row in folder.scorecard.read()}
    why = "its table was damaged: run `normscope reproduce chai2020.fig7` again"
    assert rows[damaged.id] == unjudged(judged_row(damaged.id), why)
    assert rows["chai2020.fig8"] == judged_row("chai2020.fig8")
    assert "Fig. 7, its table was damaged" in folder.page.read_text()


def test_a_verdict_whose_table_is_not_here_stays_and_is_named(folder):
    rebuild(folder)
    row = judged_row("chai2020.fig8")
    folder.scorecard.write([*folder.scorecard.read(), row, *(judged_row(f"x.{i}\x1b") for i in range(9))])
    with pytest.warns(
        NormscopeWarning, match=r"verdicts on chai2020\.fig8, x\.0\\x1b, .* and 6 more, of which no table"
    ):
        rebuilt = rebuild(folder)
    assert row in rebuilt.rows
    assert not rebuilt.is_damaged


def test_a_verdict_on_a_claim_that_the_experiment_does_not_have_is_taken_back(folder):
    rows = rebuild(folder).rows
    forged = judged_row("chai2020.fig6")
    folder.scorecard.write([*rows, forged])
    why = "this version of the experiment has no such claim"
    assert unjudged(forged, why) in rebuild(folder).rows
    assert why in folder.page.read_text()


def test_of_very_many_damaged_folders_the_first_are_named_by_report_and_by_clean(folder):
    for number in range(50):
        table = folder.experiment(f"x{number:02d}").table
        table.parent.mkdir()
        table.touch()
    with pytest.warns(NormscopeWarning) as caught:
        rebuild(folder)
    assert len(caught) == 21
    assert str(caught[-1].message) == "30 more are not on the page for such reasons."
    assert not list(folder.path.glob("x*/data.parquet"))
    with pytest.warns(NormscopeWarning, match="x19: .*; and 30 more") as caught:
        clean(folder)
    assert len(caught) == 1


def test_until_a_damaged_table_is_made_again_every_report_says_so(folder):
    damaged = folder.experiment("chai2020.fig7")
    damaged.write_table(empty_table(), METADATA)
    flip(damaged.table)
    for _ in range(2):
        with pytest.warns(NormscopeWarning, match="chai2020"):
            rebuilt = rebuild(folder)
        assert rebuilt.is_damaged
        assert {row["verdict"] for row in rebuilt.rows if row["experiment"] == damaged.id} == {"not judged"}
    damaged.write_table(empty_table(), METADATA)
    assert not rebuild(folder).is_damaged


def test_a_table_that_cannot_be_read_now_stays_with_its_verdicts(folder, monkeypatch):
    other = folder.experiment("chai2020.fig7")
    other.write_table(empty_table(), METADATA)
    folder.scorecard.write([judged_row(other.id)])
    read = files.read_file

    def refuse(path, *limit):
        if path == other.table:
            raise OSError(5, "Input/output error")
        return read(path, *limit)

    monkeypatch.setattr(files, "read_file", refuse)
    with pytest.warns(NormscopeWarning, match="Input/output error"):
        rebuilt = rebuild(folder)
    assert [result.id for result in rebuilt.results] == ["chai2020.fig6"]
    assert "Input/output error" in rebuilt.unreadable
    assert not rebuilt.is_damaged
    assert judged_row(other.id) in folder.scorecard.read()
    assert other.table.exists()


def test_a_damaged_scorecard_is_set_aside_and_made_again_from_the_tables(folder):
    rebuild(folder)
    rows = folder.scorecard.read()
    flip(folder.scorecard.path)
    with pytest.warns(NormscopeWarning, match="scorecard.json is damaged.*made again"):
        assert rebuild(folder).rows == rows
    assert (folder.path / "_unreadable" / "scorecard.json").exists()


def test_a_run_makes_a_damaged_scorecard_again_from_all_tables_and_takes_back_lost_verdicts(folder):
    rebuild(folder)
    rows = folder.scorecard.read()
    lost = folder.experiment("chai2020.fig7")
    lost.write_table(empty_table(), METADATA)
    flip(lost.table)
    flip(folder.scorecard.path)
    without_cells = dataclasses.replace(trial.EXPERIMENT, list_cells=lambda profile: [])
    with pytest.warns(NormscopeWarning) as warned:
        Reproduction([without_cells], RunOptions(folder)).run()
    assert len(warned) == 2
    found = folder.scorecard.read()
    assert [row for row in found if row["experiment"] == "chai2020.fig6"] == rows
    assert {row["experiment"] for row in found} == {"chai2020.fig6", lost.id, trial.ID}
    assert {row["verdict"] for row in found if row["experiment"] == lost.id} == {"not judged"}


def test_links_are_replaced_and_what_they_lead_to_is_neither_read_nor_written(folder, tmp_path):
    private = tmp_path / "private"
    private.write_text("<svg>private</svg>")
    (tmp_path / "outside").mkdir()
    stored = folder.experiment("chai2020.fig6")
    links = [folder.page, folder.scorecard.path, stored.figure, stored.bitmap]
    for link in links:
        link.symlink_to(private)
    folder.experiment("chai2020.fig8").path.symlink_to(tmp_path / "outside")
    with pytest.warns(NormscopeWarning, match="link"):
        rebuild(folder)
    assert private.read_text() == "<svg>private</svg>"
    assert list((tmp_path / "outside").iterdir()) == []
    assert not any(link.is_symlink() for link in links)
    assert "private" not in folder.page.read_text()
    assert "it is a link, which is not followed" in folder.page.read_text()


def test_a_folder_of_something_else_is_refused_and_nothing_in_it_is_moved(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.parquet").write_bytes(b"PAR1 of another program, torn")
    with pytest.raises(InputError, match="holds no results that can be read: of mine, its table was damaged"):
        rebuild(ResultsFolder(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "data.parquet"]


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

    shutil.rmtree(folder.experiment("chai2020.fig6").path)
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
            "probes": "[]",
        }
        for run in sweep.runs()
    ]
    return pd.DataFrame(rows)


def test_a_run_that_has_not_ended_is_named(tmp_path):
    folder = ResultsFolder(tmp_path / "runs")
    folder.experiment("mine").write_unfinished(["0" * 32])
    folder.store.folder.mkdir()
    with pytest.raises(
        InputError, match=r"only a run that has not ended \(mine\): the same command goes on with it"
    ):
        rebuild(folder)
