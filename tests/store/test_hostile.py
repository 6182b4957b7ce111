"""A results folder may come from a stranger: whatever a cell's file names is never imported."""

import sys

import pytest
from sample_cells import Numbers, numbers

from normscope.protocol import Rows
from normscope.store import Store

CELL = numbers.cell(Numbers(1.0))
KEY = CELL.key(str)
METADATA = {
    "function": "hostile:cell",
    "module": "hostile",
    "version": "1; import hostile",
    "config": {"__class__": "hostile.Config", "start": {"__reduce__": ["hostile:cell", []]}, "count": None},
    "normscope": ["hostile:cell"],
    "threads": {"hostile:cell": 1},
    "seconds": 1.0,
}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that can be imported and leaves a file when it is."""
    sprung = tmp_path / "sprung"
    (tmp_path / "hostile.py").write_text(f"open({str(sprung)!r}, 'w').close()\ncell = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("hostile", None)
    yield sprung
    sys.modules.pop("hostile", None)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_cell_whose_file_names_a_module_is_read_without_importing_it(tmp_path, trap, compacted):
    rows = Rows()
    rows.add("hostile:cell", 1.0, layer="hostile")
    Store(tmp_path / "cells").write(KEY, rows.table(), METADATA)
    store = Store(tmp_path / "cells", compact_at=1)
    if compacted:
        store.compact()
        assert not store.path(KEY).exists()
    assert store.find([KEY])[KEY].seconds == store.find_one(KEY).seconds == 1.0
    assert store.read(KEY).metadata["function"] == "hostile:cell"
    table = store.table({KEY: CELL})
    assert (table["value"].item(), table["function"].item()) == (1.0, CELL.name)
    assert (store.keys(), store.set_aside) == ({KEY}, 0)
    assert "hostile" not in sys.modules
    assert not trap.exists()
