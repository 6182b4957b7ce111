import dataclasses
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from normscope.errors import InputError
from normscope.protocol import Scale, empty_table
from normscope.results import ExperimentFolder, RunMetadata
from normscope.sweep import Sweep, SweepExperiment

METADATA = RunMetadata(Scale.QUICK, {"data": "digits"}, {"a cell": "slow"}, ("Read this.",))


@pytest.fixture
def folder(tmp_path):
    return ExperimentFolder(tmp_path / "p.fig1")


def test_a_table_is_read_back_with_its_metadata(folder):
    table = pd.DataFrame({"value": [1.0, float("inf"), float("nan")], "layer": ["a", None, "b"]})
    folder.write_table(table, METADATA)
    found, metadata = folder.read_table()
    pd.testing.assert_frame_equal(found, table)
    assert metadata == folder.read_metadata() == METADATA


def test_a_sweeps_words_are_kept_and_a_papers_experiment_has_none():
    sweep = RunMetadata(Scale.QUICK, {}, {}, sweep={"networks": ["lenet"]})
    assert RunMetadata.from_json(json.loads(json.dumps(sweep.to_json()))) == sweep
    assert "sweep" not in METADATA.to_json()


@pytest.mark.parametrize("content", [b"", b"PAR1 torn"])
def test_a_file_that_is_not_a_table_is_named(folder, content):
    folder.path.mkdir()
    folder.table.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.parquet is not a table"):
        folder.read_table()


@pytest.mark.parametrize(
    "metadata",
    [None, b"torn", b"[]", b'{"scale": "quick"}', b'{"scale": "huge", "settings": {}, "failures": {}}'],
)
def test_a_parquet_file_of_another_program_is_not_a_table(folder, metadata):
    folder.path.mkdir()
    rows = pa.table({"a": [1]})
    pq.write_table(rows.replace_schema_metadata(metadata and {b"normscope": metadata}), folder.table)
    with pytest.raises(InputError, match="is not a table"):
        folder.read_table()


def test_equal_figures_give_equal_bytes(tmp_path):
    written = []
    for name in ("a", "b"):
        figure = Figure()
        figure.subplots().plot([1, 2], [3, 4])
        folder = ExperimentFolder(tmp_path / name / "p.fig1")
        folder.write_figure(figure)
        written.append((folder.figure.read_bytes(), folder.bitmap.read_bytes()))
    assert written[0] == written[1]
    assert b"<svg" in written[0][0]
    assert written[0][1].startswith(b"\x89PNG")


def test_it_refers_to_the_cells_of_its_table_and_of_an_unfinished_run(folder):
    folder.write_table(pd.DataFrame({"cell": ["a", "a", "b"]}), METADATA)
    folder.write_unfinished(["b", "c"])
    assert folder.referred_cells() == {"a", "b", "c"}
    folder.remove_unfinished()
    assert folder.referred_cells() == {"a", "b"}


def test_a_table_without_rows_refers_to_no_cells(folder):
    folder.write_table(empty_table(), METADATA)
    assert folder.referred_cells() == set()


def test_a_damaged_note_of_an_unfinished_run_is_named(folder):
    folder.write_unfinished([])
    (folder.path / "unfinished.json").write_text("[torn")
    with pytest.raises(InputError, match=r"unfinished\.json is damaged"):
        folder.referred_cells()


def test_a_users_sweep_is_read_back_and_anything_else_is_none(folder):
    assert folder.read_sweep() is None
    folder.write_table(empty_table(), METADATA)
    assert folder.read_sweep() is None
    sweep = Sweep.of("lenet", lr="0.1,1")
    folder = ExperimentFolder(folder.path.parent / "mine")
    folder.write_table(empty_table(), dataclasses.replace(METADATA, sweep=sweep.to_json()))
    assert folder.read_sweep() == SweepExperiment("mine", sweep)


def test_a_sweep_of_another_version_is_named(folder):
    folder.write_table(empty_table(), dataclasses.replace(METADATA, sweep={"networks": ["lenet"]}))
    with pytest.raises(InputError, match="another version of normscope"):
        folder.read_sweep()
