import os
from pathlib import Path

import pandas as pd
import pytest
from sample_cells import Numbers, numbers

from normscope.protocol import Rows
from normscope.runner.worker import run_and_store
from normscope.store import Store, StoreError


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "cells")


def kept(store: Store, config: Numbers) -> tuple[str, Path]:
    key = numbers.cell(config).key(str)
    run_and_store(numbers, config, key, store, {"normscope": "test"})
    return key, store.path(key)


def test_what_is_written_is_read_back(store):
    key, _ = kept(store, Numbers(2.0))
    stored = store.read(key)
    assert stored.rows["value"].to_pylist() == [2.0, 3.0, 4.0, float("inf")]
    assert stored.seconds > 0
    assert stored.metadata["normscope"] == "test"


def test_a_cell_that_was_never_run_is_missing(store):
    assert store.read("0" * 32) is None


def test_pandas_reads_a_cell_without_normscope(store):
    _, path = kept(store, Numbers(2.0))
    assert pd.read_parquet(path)["value"].tolist()[:3] == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("damage", ["torn", "empty", "foreign", "bit", "other parquet", "other cell"])
def test_a_torn_or_foreign_file_is_set_aside_and_counts_as_missing(store, damage):
    key, path = kept(store, Numbers(2.0))
    whole = path.read_bytes()
    if damage == "other parquet":
        pd.DataFrame({"a": [1]}).to_parquet(path)
    elif damage == "other cell":
        kept(store, Numbers(3.0))[1].replace(path)
    else:
        middle = whole.index(b"number") + 1
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes(
            {"torn": whole[: len(whole) // 2], "empty": b"", "foreign": b"no", "bit": flipped}[damage]
        )
    assert store.find([key]) == {}
    assert store.read(key) is None
    assert not path.exists()
    assert (store.folder / "_unreadable" / path.name).exists()
    assert store.set_aside == 1


def test_files_with_other_names_are_neither_read_nor_moved(store):
    key, _ = kept(store, Numbers(2.0))
    mine = [
        store.folder / name for name in ("mine.parquet", "segment-of-mine.parquet", "f" * 31 + ".parquet")
    ]
    for path in mine:
        path.write_bytes(b"mine")
    everything = Store(store.folder, compact_at=1)
    everything.compact()
    assert everything.keys() == {key}
    assert all(path.read_bytes() == b"mine" for path in mine)


def test_the_table_joins_the_configuration_defaults_included(store):
    cells = {}
    for config in (Numbers(1.0), Numbers(5.0, count=1, label="five")):
        key, _ = kept(store, config)
        cells[key] = numbers.cell(config)
    table = store.table(cells)
    assert len(table) == 4 + 2
    assert table.groupby("start")["count"].first().to_dict() == {1.0: 3, 5.0: 1}
    assert table.loc[table["start"] == 5.0, "label"].unique().tolist() == ["five"]
    assert table["pair"].unique().tolist() == ["[1, 2]"]
    assert table["function"].unique().tolist() == ["samples.numbers"]


def test_pandas_reads_the_whole_folder_whatever_else_is_in_it(store):
    first, second = kept(store, Numbers(1.0))[0], kept(store, Numbers(5.0))[0]
    torn, path = kept(store, Numbers(9.0))
    path.write_bytes(b"torn")
    store.read(torn)
    frame = pd.read_parquet(store.folder)
    assert set(frame["cell"].astype(str)) == {first, second}


def test_a_table_without_finished_cells_is_empty_with_the_schema(store):
    table = store.table({"0" * 32: numbers.cell(Numbers(1.0))})
    assert table.empty
    assert "measure" in table


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write to"):
        Store(tmp_path / "file" / "cells").check_writable()


def test_a_failed_write_leaves_no_torn_file(store, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.write("0" * 32, Rows().table(), {"seconds": 1.0})
    assert list(store.folder.iterdir()) == []
