"""A results folder may come from a stranger: its files are data, whatever they contain and whatever they are."""

import hashlib
import os
import socket
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_cells import Numbers, numbers

from normscope.disk.tables import table_bytes
from normscope.errors import DamagedError, InputError, NormscopeWarning
from normscope.protocol import Rows
from normscope.store import Store, StoreError, exclusive_use, shared_use
from normscope.store.cellfile import cell_bytes
from normscope.store.locks import CellLocks
from normscope.store.pruning import clean_store

CELL = numbers.cell(Numbers(1.0))
KEY = CELL.key(str)
OTHER = numbers.cell(Numbers(2.0)).key(str)
HOSTILE = {
    "function": "hostile:cell",
    "module": "hostile",
    "config": {"__class__": "hostile.Config", "start": {"__reduce__": ["hostile:cell", []]}, "count": None},
    "normscope": "hostile:cell",
    "seconds": 1.0,
}
NESTED = '{"a":' * 100_000 + "1" + "}" * 100_000
WRONG = {
    "seconds null": {"seconds": None},
    "seconds text": {"seconds": "1.0"},
    "seconds of 400 digits": {"seconds": 10**400},
    "seconds infinite": {"seconds": float("inf")},
    "seconds not a number": {"seconds": float("nan")},
    "seconds negative": {"seconds": -1.0},
    "seconds true": {"seconds": True},
    "seconds list": {"seconds": [1.0]},
    "config text": {"config": "import hostile"},
    "config list": {"config": [1]},
    "version text": {"version": "1; import hostile"},
    "function list": {"function": ["hostile:cell"]},
    "normscope list": {"normscope": ["hostile:cell"]},
    "torch number": {"torch": 2.13},
    "python null": {"python": None},
    "normscope with a control character": {"normscope": "1.0\x1b[2J"},
    "torch with half a surrogate pair": {"torch": "\ud800"},
    "threads mapping": {"threads": {"hostile:cell": 1}},
    "threads of 400 digits": {"threads": 10**400},
    "threads true": {"threads": True},
    "key of another": {"key": OTHER},
    "key list": {"key": [KEY]},
}


def rows() -> pa.Table:
    rows = Rows()
    rows.add("hostile:cell", 1.0, layer="hostile")
    return rows.table()


def labelled(key: str = KEY) -> pa.Table:
    return rows().append_column("cell", pa.array([key]))


def with_json(text: str) -> bytes:
    """A cell's file without a checksum, as older versions wrote it, with metadata that json.dumps does not write."""
    sink = pa.BufferOutputStream()
    pq.write_table(labelled().replace_schema_metadata({b"normscope": text.encode()}), sink)
    return sink.getvalue().to_pybytes()


def segment_of(folder, entries, table=None):
    """A segment whose bytes match its name."""
    store = Store(folder)
    store.check_writable()
    content = table_bytes(labelled() if table is None else table, {"cells": entries})
    path = folder / f"segment-00000001-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    path.write_bytes(content)
    return path


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that can be imported and leaves a file when it is."""
    sprung = tmp_path / "sprung"
    (tmp_path / "hostile.py").write_text(f"open({str(sprung)!r}, 'w').close()\ncell = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("hostile", None)
    yield sprung
    assert "hostile" not in sys.modules
    assert not sprung.exists()


@pytest.mark.parametrize("compacted", [False, True])
def test_a_cell_whose_file_names_a_module_is_read_without_importing_it(tmp_path, trap, compacted):
    Store(tmp_path / "cells").write(KEY, rows(), HOSTILE)
    store = Store(tmp_path / "cells", compact_at=1)
    if compacted:
        store.compact()
        assert not store.path(KEY).exists()
    assert store.find([KEY])[KEY].seconds == store.find_one(KEY).seconds == 1.0
    assert store.read(KEY).metadata["function"] == "hostile:cell"
    table = store.table({KEY: CELL})
    assert (table["value"].item(), table["function"].item()) == (1.0, CELL.name)
    assert (store.keys(), store.set_aside) == ({KEY}, 0)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_cell_whose_metadata_have_a_wrong_type_is_set_aside(tmp_path, trap, wrong):
    store = Store(tmp_path / "cells")
    store.check_writable()
    store.path(KEY).write_bytes(table_bytes(labelled(), {**HOSTILE, "key": KEY, **wrong}))
    assert store.find([KEY]) == {}
    assert store.damaged == [store.folder / "_unreadable" / f"{KEY}.parquet"]
    assert store.read(KEY) is None
    assert store.find_one(KEY) is None
    assert store.table({KEY: CELL}).empty


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_one_entry_of_a_segment_with_a_wrong_type_is_named_and_the_others_are_read(tmp_path, wrong):
    folder = tmp_path / "cells"
    good = {**HOSTILE, "key": OTHER}
    table = pa.concat_tables([labelled(), labelled(OTHER)])
    path = segment_of(folder, {KEY: {**HOSTILE, "key": KEY, **wrong}, OTHER: good}, table)
    store = Store(folder)
    with pytest.warns(NormscopeWarning, match=f"damaged metadata of 1 cells, .* such as '{KEY}"):
        assert store.find([KEY, OTHER]).keys() == {OTHER}
    assert store.read(KEY) is None
    assert store.read(OTHER).rows["cell"].to_pylist() == [OTHER]
    assert (store.set_aside, path.exists()) == (0, True)
    assert [removal.count for removal in clean_store(store, {KEY, OTHER})] == [1]
    assert Store(folder).keys() == {OTHER}


@pytest.mark.parametrize("entries", [None, [], "x", {"../../x": HOSTILE, "": HOSTILE, "A" * 32: HOSTILE}])
def test_a_segment_whose_entries_are_no_cells_has_none(tmp_path, entries):
    segment_of(tmp_path, entries)
    store = Store(tmp_path)
    if isinstance(entries, dict):
        with pytest.warns(NormscopeWarning, match="damaged metadata of 3 cells"):
            assert store.keys() == set()
    else:
        assert (store.keys(), store.set_aside) == (set(), 1)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", NESTED, '{"key":%s1}' % ("9" * 5000), '{"seconds":NaN}', '{"key":"\\ud800"}'],
    ids=["empty", "list", "null", "torn", "nested", "5000 digits", "NaN", "surrogate"],
)
@pytest.mark.parametrize("name", [f"{KEY}.parquet", f"segment-{'f' * 32}.parquet"], ids=["cell", "segment"])
def test_metadata_that_are_no_mapping_of_a_cell_are_damaged(tmp_path, text, name):
    (tmp_path / name).write_bytes(with_json(text))
    store = Store(tmp_path)
    assert (store.find([KEY]), store.set_aside) == ({}, 1)
    assert store.damaged == [tmp_path / "_unreadable" / name]


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": [1], "cell": [KEY]}),
        labelled().select([*reversed(labelled().column_names)]),
        labelled().set_column(1, "step", pa.array([1], pa.int32())),
        labelled().append_column("function", pa.array(["hostile:cell"])),
        rows(),
        pa.concat_tables([labelled(), labelled(OTHER)]),
        labelled(OTHER),
    ],
    ids=["foreign", "order", "type", "more", "fewer", "two cells", "another cell"],
)
def test_rows_of_another_schema_or_cell_are_set_aside(tmp_path, table):
    store = Store(tmp_path)
    store.path(KEY).write_bytes(table_bytes(table, {**HOSTILE, "key": KEY}))
    assert (store.find([KEY]), store.set_aside) == ({}, 1)
    if table.schema != labelled().schema:
        segment_of(tmp_path, {KEY: HOSTILE}, table)
        assert (store.find([KEY]), store.set_aside) == ({}, 2)


def test_a_cell_whose_rows_do_not_follow_the_schema_is_refused_when_it_is_written(tmp_path):
    with pytest.raises(InputError, match=r"columns of normscope\.protocol\.Rows"):
        Store(tmp_path).write(KEY, pa.table({"a": [1]}), {"seconds": 1.0})
    assert list(tmp_path.iterdir()) == []


def put(kind: str, path, private) -> None:
    if kind == "link to a file":
        path.symlink_to(private)
    elif kind == "link to nothing":
        path.symlink_to(private / "nothing")
    elif kind == "link to a folder":
        path.symlink_to(private.parent)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "mine").touch()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            here = os.getcwd()
            os.chdir(path.parent)
            made.bind(path.name)
            os.chdir(here)


KINDS = ("link to a file", "link to nothing", "link to a folder", "pipe", "folder", "socket")


@pytest.fixture
def private(tmp_path):
    """A whole cell's file outside the folder, which no link may lead to."""
    path = tmp_path / "private" / f"{KEY}.parquet"
    path.parent.mkdir()
    path.write_bytes(cell_bytes(KEY, rows(), {"seconds": 1.0}))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [f"{KEY}.parquet", "segment-00000001-0123456789abcdef.parquet"])
def test_what_is_no_file_in_a_files_place_is_moved_away_and_its_cell_can_be_written(
    tmp_path, private, kind, name
):
    folder = tmp_path / "cells"
    folder.mkdir()
    put(kind, folder / name, private)
    store = Store(folder, compact_at=1)
    assert store.find([KEY]) == {}
    assert store.table({KEY: CELL}).empty
    assert store.damaged == [folder / "_unreadable" / name]
    store.write(KEY, rows(), {"seconds": 2.0})
    store.compact()
    assert Store(folder).find([KEY])[KEY].seconds == 2.0
    assert private.read_bytes() == cell_bytes(KEY, rows(), {"seconds": 1.0})


@pytest.mark.parametrize("kind", KINDS)
def test_compaction_moves_away_what_is_no_file_in_a_files_place(tmp_path, private, kind):
    folder = tmp_path / "cells"
    store = Store(folder, compact_at=1)
    store.write(OTHER, rows(), {"seconds": 2.0})
    put(kind, folder / f"{KEY}.parquet", private)
    store.compact()
    assert store.keys() == {OTHER}
    assert store.damaged == [folder / "_unreadable" / f"{KEY}.parquet"]
    assert private.exists()


USES = {
    "find": lambda store: store.find([KEY]),
    "find one": lambda store: store.find_one(KEY),
    "read": lambda store: store.read(KEY),
    "keys": lambda store: store.keys(),
    "table": lambda store: store.table({KEY: CELL}),
    "single files": lambda store: store.single_files(),
    "compact": lambda store: store.compact(),
    "write": lambda store: store.write(KEY, rows(), {"seconds": 2.0}),
    "check": lambda store: store.check_writable(),
    "leftovers": lambda store: store.remove_leftovers(),
    "clean": lambda store: clean_store(store, []),
    "share": lambda store: shared_use(store.folder).__enter__(),
    "exclude": lambda store: exclusive_use(store.folder).__enter__(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_folder_that_is_a_link_is_refused_and_nothing_behind_it_changes(tmp_path, private, use):
    (private.parent / f".{KEY}.parquet.0123456789abcdef.tmp").touch()
    before = {path: path.stat().st_mtime_ns for path in private.parent.iterdir()}
    (tmp_path / "cells").symlink_to(private.parent)
    with pytest.raises(StoreError, match="cells is a link, which is not followed"):
        use(Store(tmp_path / "cells", compact_at=1))
    assert {path: path.stat().st_mtime_ns for path in private.parent.iterdir()} == before


def test_a_linked_folder_for_damaged_files_gets_none_and_is_not_emptied(tmp_path, private):
    folder = tmp_path / "cells"
    store = Store(folder)
    store.check_writable()
    (folder / "_unreadable").symlink_to(private.parent)
    store.path(OTHER).write_bytes(b"torn")
    with pytest.warns(NormscopeWarning, match="counts as missing and cannot be moved away"):
        assert store.find([OTHER]) == {}
    assert store.damaged == [store.path(OTHER)]
    with pytest.warns(NormscopeWarning, match="_unreadable is no folder: it is left alone"):
        assert clean_store(store, [OTHER]) == []
    assert [path.name for path in private.parent.iterdir()] == [private.name]
    store.write(OTHER, rows(), {"seconds": 1.0})
    assert store.find([OTHER])


def test_cleaning_removes_links_themselves_and_leaves_folders_alone(tmp_path, private):
    store = Store(tmp_path / "cells")
    store.check_writable()
    for key, kind in ((KEY, "link to a file"), (OTHER, "folder"), ("a" * 32, "pipe")):
        put(kind, store.path(key), private)
    store.find([KEY, OTHER, "a" * 32])
    with pytest.warns(NormscopeWarning, match=f"{OTHER}.parquet is a folder, which is left alone"):
        (removal,) = clean_store(store, [])
    assert removal.count == 2
    assert (store.folder / "_unreadable" / f"{OTHER}.parquet" / "mine").exists()
    assert private.exists()


LOCKS = {
    ".cell-locks": CellLocks,
    ".in-use": lambda folder: shared_use(folder).__enter__(),
    ".lock": lambda folder: Store(folder, compact_at=0).compact(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "take"), LOCKS.items(), ids=LOCKS)
def test_what_is_no_file_in_a_locks_place_is_refused(tmp_path, private, kind, name, take):
    folder = tmp_path / "cells"
    folder.mkdir()
    content = private.read_bytes()
    put(kind, folder / name, private)
    with pytest.raises(DamagedError, match=f"{name} is a .*: a regular file is expected"):
        take(folder)
    assert private.read_bytes() == content


def test_a_lock_keeps_what_its_file_contains(tmp_path):
    (tmp_path / ".cell-locks").write_text("words")
    with CellLocks(tmp_path) as locks:
        assert locks.acquire(KEY)
    assert (tmp_path / ".cell-locks").read_text() == "words"


def test_a_segment_with_the_highest_number_does_not_hide_newer_ones(tmp_path):
    store = Store(tmp_path, compact_at=1)
    store.write(KEY, rows(), {"seconds": 1.0})
    store.compact()
    (segment,) = tmp_path.glob("segment-*")
    segment.rename(segment.with_name(segment.name.replace("00000001", "99999999")))
    store.write(KEY, rows(), {"seconds": 2.0})
    store.compact()
    assert not store.path(KEY).exists()
    assert Store(tmp_path).find([KEY])[KEY].seconds == 2.0
