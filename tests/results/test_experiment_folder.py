"""An experiment's folder: what is read is what was written, or it is damaged, foreign, or cannot be read now."""

import dataclasses
import json
import os
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from normscope.errors import DamagedError, InputError
from normscope.protocol import COLUMNS, Scale, empty_table
from normscope.results import ExperimentFolder, RunMetadata, files
from normscope.results.experiment_folder import DrawnFigure
from normscope.results.files import CannotReadError
from normscope.results.stored_run import ForeignError, judging
from normscope.results.writing import metadata_of
from normscope.sweep import Sweep, SweepExperiment

METADATA = RunMetadata(Scale.QUICK, {"data": "digits"}, {"a cell": "slow"}, ("Read this.",))


def table_of(*cells):
    """A table with one row a cell."""
    rows = {**dict.fromkeys(COLUMNS), "measure": "error", "epoch": 1, "value": 0.5, "function": "f"}
    return pd.DataFrame([{**rows, "cell": cell, "rate": 0.1} for cell in cells])


@pytest.fixture
def folder(tmp_path):
    return ExperimentFolder(tmp_path / "p.fig1")


def test_a_table_is_read_back_with_its_metadata(folder):
    table = table_of("a", "b", "c").assign(value=[1.0, float("inf"), float("nan")], layer=["a", None, "b"])
    folder.write_table(table, METADATA)
    found = folder.read()
    pd.testing.assert_frame_equal(found.table(), table)
    assert found.metadata == METADATA


def test_a_folder_without_a_table_holds_none(folder):
    assert folder.read() is None


def test_a_sweeps_words_are_kept_and_a_papers_experiment_has_none():
    sweep = RunMetadata(Scale.QUICK, {}, {}, sweep={"networks": ["lenet"]})
    assert RunMetadata.from_json(json.loads(json.dumps(sweep.to_json()))) == sweep
    assert "sweep" not in METADATA.to_json()


def test_an_error_of_a_users_that_no_file_can_hold_is_stored_as_escapes():
    result = SimpleNamespace(
        experiment=None, scale=Scale.QUICK, settings={}, failures={"a cell": "odd \ud800\nerror"}, notes=(),
        data="", data_note="", id="p.fig1",
    )  # fmt: skip
    stored = metadata_of(result)
    assert stored.failures == {"a cell": "odd \\ud800\nerror"}
    assert RunMetadata.from_json(json.loads(json.dumps(stored.to_json()))) == stored


@pytest.mark.parametrize("content", [b"", b"PAR1 torn", b"normscope", b"PAR1" + bytes(1000) + b"PAR1"])
def test_a_file_that_is_not_a_table_is_damaged(folder, content):
    folder.path.mkdir()
    folder.table.write_bytes(content)
    with pytest.raises(DamagedError):
        folder.read()


@pytest.mark.parametrize(
    "metadata",
    [b"torn", b"[]", b"null", b'{"scale": "quick"}', b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"],
)
def test_metadata_that_are_no_runs_are_damage(folder, metadata):
    folder.path.mkdir()
    rows = pa.Table.from_pandas(table_of("a"))
    pq.write_table(rows.replace_schema_metadata({b"normscope": metadata}), folder.table)
    with pytest.raises(DamagedError):
        folder.read()


WRONG = [None, 7, 10**400, True, "huge", [1], {"a": 1}, {"a": None}, {"a": ["b"]}, ["a", None], [[["a"]]]]


@pytest.mark.parametrize("entry", ["scale", "settings", "failures", "notes", "sweep", "data", "data_note"])
@pytest.mark.parametrize("value", WRONG, ids=str)
def test_an_entry_of_the_metadata_of_another_kind_is_damage(entry, value):
    allowed = {"data": [str], "data_note": [str], "sweep": [type(None), dict]}.get(entry, [])
    fields = {**json.loads(json.dumps(METADATA.to_json())), entry: value}
    if type(value) in allowed:
        RunMetadata.from_json(fields)
    else:
        with pytest.raises(DamagedError, match=f"the entry '{entry}'"):
            RunMetadata.from_json(fields)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(columns="value"),
        lambda table: table.drop(columns="cell"),
        lambda table: table.drop(columns="function"),
        lambda table: table.rename(columns={"measure": "measurf"}),
        lambda table: table.assign(value="0.5"),
        lambda table: table.assign(value=1),
        lambda table: table.assign(measure=1.0),
        lambda table: table.assign(epoch="1"),
        lambda table: table.assign(epoch=True),
        lambda table: table.assign(cell=7),
        lambda table: table.assign(cell=None),
        lambda table: table.assign(rate=pd.Timestamp(0)).assign(rate=[[0.1]] * len(table)),
    ],
)
def test_columns_of_another_name_or_kind_are_damage(folder, change):
    folder.write_table(change(table_of("a", "b")), METADATA)
    with pytest.raises(DamagedError):
        folder.read()


def test_a_column_that_is_there_twice_is_damage(folder):
    folder.path.mkdir()
    rows = pa.Table.from_pandas(table_of("a"), preserve_index=False)
    rows = rows.append_column("value", rows["value"])
    metadata = {b"normscope": json.dumps(METADATA.to_json()).encode()}
    pq.write_table(rows.replace_schema_metadata(metadata), folder.table)
    with pytest.raises(DamagedError):
        folder.read()


def test_a_table_of_an_older_version_which_has_no_checksum_is_read(folder):
    folder.path.mkdir()
    rows = pa.Table.from_pandas(table_of("a"), preserve_index=False)
    metadata = {b"normscope": json.dumps(METADATA.to_json()).encode()}
    pq.write_table(rows.replace_schema_metadata({**rows.schema.metadata, **metadata}), folder.table)
    pd.testing.assert_frame_equal(folder.read().table(), table_of("a"))


def test_a_sound_table_of_another_program_is_foreign_and_not_damaged(folder):
    folder.path.mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(folder.table)
    with pytest.raises(ForeignError, match="another program"):
        folder.read()


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), PermissionError(13, "no"), MemoryError()]
)
def test_a_table_that_cannot_be_read_now_is_not_damaged(folder, monkeypatch, error):
    folder.write_table(table_of("a"), METADATA)

    def refuse(*given):
        raise error

    monkeypatch.setattr(files, "read_file", refuse)
    with pytest.raises(CannotReadError, match="cannot read"):
        folder.read()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_in_the_tables_place_is_damage_and_is_not_opened(folder, tmp_path, kind):
    other = ExperimentFolder(tmp_path / "other")
    other.write_table(table_of("a"), METADATA)
    folder.path.mkdir()
    make = {"link": lambda: folder.table.symlink_to(other.table), "pipe": lambda: os.mkfifo(folder.table)}
    make.get(kind, folder.table.mkdir)()
    with pytest.raises(DamagedError, match=f"is a {kind}"):
        folder.read()


def test_a_folder_that_is_a_link_is_neither_read_nor_written(folder, tmp_path):
    elsewhere = ExperimentFolder(tmp_path / "elsewhere")
    elsewhere.write_table(table_of("a"), METADATA)
    before = elsewhere.table.read_bytes()
    folder.path.symlink_to(elsewhere.path)
    for read in (folder.read, folder.read_figure):
        with pytest.raises(ForeignError, match="is a link"):
            read()
    for write in (
        lambda: folder.write_table(table_of("b"), METADATA),
        lambda: folder.write_unfinished(["a"]),
        lambda: folder.write_figure(DrawnFigure(b"svg", b"png")),
    ):
        with pytest.raises(InputError, match="is a link"):
            write()
    assert [path.name for path in elsewhere.path.iterdir()] == ["data.parquet"]
    assert elsewhere.table.read_bytes() == before


def test_equal_figures_give_equal_bytes(tmp_path):
    written = []
    for name in ("a", "b"):
        figure = Figure()
        figure.subplots().plot([1, 2], [3, 4])
        folder = ExperimentFolder(tmp_path / name / "p.fig1")
        folder.write_figure(DrawnFigure.of(figure, folder.id))
        written.append(folder.read_figure())
    assert written[0] == written[1]
    assert b"<svg" in written[0].svg
    assert written[0].png.startswith(b"\x89PNG")


def test_where_there_is_no_figure_an_earlier_one_is_removed(folder):
    folder.write_figure(DrawnFigure(b"svg", b"png"))
    folder.write_figure(DrawnFigure())
    assert folder.read_figure() == DrawnFigure()
    assert list(folder.path.iterdir()) == []


def test_the_cells_of_a_run_that_has_not_ended_are_read_back(folder):
    assert folder.unfinished_cells() == set()
    folder.write_unfinished(["b", "c"])
    assert folder.unfinished_cells() == {"b", "c"}
    folder.remove_unfinished()
    assert folder.unfinished_cells() == set()


def test_a_note_of_an_older_version_is_read(folder):
    folder.path.mkdir()
    folder.unfinished.write_text('["a", "b"]')
    assert folder.unfinished_cells() == {"a", "b"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[torn",
        "null",
        "7",
        "[1]",
        '{"cells": ["a"]}',
        '{"cells": ["a"], "checksum": 7}',
        "[[]]",
        "[" * 10**5,
    ],
)
def test_a_note_that_was_not_written_so_is_damaged(folder, content):
    folder.path.mkdir()
    folder.unfinished.write_text(content)
    with pytest.raises(DamagedError):
        folder.unfinished_cells()


def test_every_flipped_bit_of_a_note_is_noticed_or_changes_no_cell(folder):
    folder.write_unfinished(["0" * 32, "f" * 32])
    content = folder.unfinished.read_bytes()
    noticed = 0
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        folder.unfinished.write_bytes(flipped)
        try:
            assert folder.unfinished_cells() == {"0" * 32, "f" * 32}
        except DamagedError:
            noticed += 1
    assert noticed > 0.9 * 8 * len(content)


def test_a_table_without_rows_has_no_cells(folder):
    folder.write_table(empty_table(), METADATA)
    assert folder.read().cells() == set()


def test_a_users_sweep_is_read_back(tmp_path):
    sweep = Sweep.of("lenet", lr="0.1,1")
    folder = ExperimentFolder(tmp_path / "mine")
    folder.write_table(empty_table(), dataclasses.replace(METADATA, sweep=sweep.to_json()))
    assert folder.read().experiment() == SweepExperiment("mine", sweep)


@pytest.mark.parametrize(
    ("id", "sweep", "words"),
    [
        ("p.fig1", None, "no experiment of this version has its name"),
        ("mine", {"networks": ["lenet"]}, "another version of normscope"),
        ("mine (copy)", Sweep.of("lenet").to_json(), "cannot be a sweep's name"),
        ("chai2020.fig6@kmnist", None, "its table is that of chai2020.fig6@"),
    ],
)
def test_a_table_that_this_version_cannot_show_there_is_foreign(tmp_path, id, sweep, words):
    folder = ExperimentFolder(tmp_path / id)
    folder.write_table(empty_table(), dataclasses.replace(METADATA, sweep=sweep))
    with pytest.raises(ForeignError, match=words):
        folder.read().experiment()


def test_a_papers_table_that_was_copied_into_another_ones_folder_is_foreign(tmp_path):
    metadata = dataclasses.replace(METADATA, experiment="chai2020.fig6@kmnist", data="kmnist")
    folder = ExperimentFolder(tmp_path / "chai2020.fig6")
    folder.write_table(empty_table(), metadata)
    with pytest.raises(ForeignError, match=r"that of chai2020\.fig6@kmnist"):
        folder.read().experiment()


def test_a_sweep_with_values_of_another_kind_is_damage(tmp_path):
    folder = ExperimentFolder(tmp_path / "mine")
    sweep = {**Sweep.of("lenet").to_json(), "rates": 7}
    folder.write_table(empty_table(), dataclasses.replace(METADATA, sweep=sweep))
    with pytest.raises(DamagedError, match="rates"):
        folder.read().experiment()


def test_a_table_that_its_experiment_cannot_judge_is_foreign_and_the_error_is_named(tmp_path):
    folder = ExperimentFolder(tmp_path / "chai2020.fig6")
    folder.write_table(table_of("a"), METADATA)
    with pytest.raises(ForeignError, match="cannot be judged or drawn"), judging():
        folder.read().table()["norm"]
    with pytest.raises(MemoryError), judging():
        raise MemoryError
