"""The order in which the store's changes reach the disk: at no moment is a cell that was reported gone."""

import os

import pytest
from sample_cells import Numbers, numbers

from normscope.runner.worker import run_and_store
from normscope.store import Store
from normscope.store.pruning import clean_store


@pytest.fixture
def order(monkeypatch, tmp_path):
    """What was named, flushed and removed, in order: kinds of files, and ``folder``."""
    found = []
    replace, unlink, fsync = os.replace, os.unlink, os.fsync

    def kind(path):
        name = os.path.basename(path)
        if name.startswith("."):
            return "temporary file"
        return "folder" if os.path.isdir(path) else name.partition("-")[0] if "-" in name else "cell"

    def flush(handle):
        found.append(f"{kind(os.readlink(f'/proc/self/fd/{handle}'))} flushed")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(
        os, "replace", lambda old, new: (found.append(f"{kind(new)} named"), replace(old, new))
    )
    monkeypatch.setattr(os, "unlink", lambda path: (found.append(f"{kind(path)} removed"), unlink(path)))
    return found


WRITTEN = ["temporary file flushed", "cell named", "folder flushed"]
GATHERED = ["temporary file flushed", "segment named", "folder flushed"]


def keep(store, starts):
    for start in starts:
        cell = numbers.cell(Numbers(float(start)))
        run_and_store(numbers, cell.config, cell.key(str), store, {})


def test_a_cell_is_on_the_disk_name_included_before_it_is_reported(tmp_path, order):
    keep(Store(tmp_path), [1])
    assert order == WRITTEN


def test_a_segment_is_on_the_disk_before_the_files_that_it_replaces_are_removed(tmp_path, order):
    store = Store(tmp_path, compact_at=3)
    keep(store, range(3))
    order.clear()
    store.compact()
    assert order == [*GATHERED, *["cell removed"] * 3]


def test_a_cleaned_segment_is_on_the_disk_before_the_old_one_is_removed(tmp_path, order):
    store = Store(tmp_path, compact_at=3)
    keep(store, range(3))
    store.compact()
    order.clear()
    clean_store(store, sorted(store.keys())[:2])
    assert order == [*GATHERED, "segment removed"]
