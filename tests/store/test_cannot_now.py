"""What the system refuses now is an error in a sentence, and never damage: every file stays, and later all is there."""

import contextlib
import errno
import fcntl
import functools
import itertools
import os
import shutil
import warnings
from collections import Counter

import pyarrow as pa
import pytest
from sample_cells import Numbers, numbers

from normscope.errors import NormscopeWarning
from normscope.runner import plan
from normscope.store import Store, StoreError, cellfile, exclusive_use, segments, shared_use
from normscope.store.locks import CellLocks
from normscope.store.pruning import clean_store

CELLS = {cell.key(str): cell for cell in (numbers.cell(Numbers(float(start))) for start in range(6))}
KEYS = list(CELLS)
TORN, ORPHAN = "a" * 32, "b" * 32
REFUSALS = ("EIO", "EMFILE", "EACCES", "ESTALE", "ENOMEM", "ENOSPC", "EDQUOT", "EROFS", "ENFILE")
CALLS = [
    *((os, name) for name in ("open", "lstat", "stat", "fstat", "listdir", "mkdir", "rename", "replace", "unlink")),
    *((os, name) for name in ("fsync", "fdopen", "close")),
    (fcntl, "flock"),
    (fcntl, "lockf"),
]  # fmt: skip


def entered(manager):
    with manager:
        pass


def locked(store):
    with CellLocks(store.folder) as locks:
        locks.acquire(KEYS[0])
        locks.release(KEYS[0])


READS = {
    "find": lambda store: store.find(CELLS),
    "find one": lambda store: [store.find_one(key) for key in KEYS],
    "read": lambda store: [store.read(key).rows["value"].to_pylist() for key in KEYS],
    "keys": lambda store: store.keys(),
    "table": lambda store: store.table(CELLS).to_csv(),
    "plan": lambda store: plan({TORN: CELLS[KEYS[0]], **CELLS}, store, 1).reused.keys(),
}
USES = {
    **READS,
    "compact": lambda store: store.compact(),
    "write": lambda store: store.write(KEYS[0], numbers(Numbers(0.0)), {"seconds": 1.0}),
    "flush": lambda store: store.flush(),
    "check": lambda store: store.check_writable(),
    "leftovers": lambda store: store.remove_leftovers(),
    "clean": lambda store: clean_store(store, CELLS),
    "dry clean": lambda store: clean_store(store, CELLS, dry_run=True),
    "share": lambda store: entered(shared_use(store.folder)),
    "exclude": lambda store: entered(exclusive_use(store.folder)),
    "lock": locked,
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Cells in a segment and in files, two of them in both, one that nothing refers to, damage, and a leftover."""
    folder = tmp_path_factory.mktemp("original")
    store = Store(folder, compact_at=1)
    for key in (*KEYS[:4], ORPHAN):
        store.write(key, numbers(Numbers(9.0)), {"seconds": 1.0})
    store.compact()
    for key in KEYS[2:]:
        store.write(key, numbers(CELLS[key].config), {"seconds": 1.0})
    store.path(TORN).write_bytes(b"torn")
    (folder / "_unreadable").mkdir()
    (folder / "_unreadable" / "older").touch()
    (folder / f".{TORN}.parquet.0123456789abcdef.tmp").touch()
    return folder


@contextlib.contextmanager
def watching(folder, fails=lambda name, number: False, number=errno.EIO):
    """Counts the calls with a path in the folder, or with an open file, by name; those that ``fails`` names fail."""
    counts = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, _watched(getattr(module, name), name, folder, counts, fails, number))
        yield counts


def _watched(real, name, folder, counts, fails, number):
    def call(first, *rest, **named):
        if isinstance(first, int) or hasattr(first, "fileno") or str(first).startswith(str(folder)):
            counts[name] += 1
            if fails(name, counts[name]):
                raise OSError(number, os.strerror(number), None if isinstance(first, int) else str(first))
        return real(first, *rest, **named)

    return call


@pytest.mark.parametrize(
    "every",
    [pytest.param(1, marks=[pytest.mark.long, pytest.mark.faults], id="all"), pytest.param(9, id="sample")],
)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_refused_call_is_one_sentence_and_loses_nothing(original, tmp_path, use, every):
    folder = shutil.copytree(original, tmp_path / "counted")
    with watching(folder) as counts:
        undisturbed = use(Store(folder, compact_at=1))
    points = [(name, nth) for name in counts for nth in range(1, counts[name] + 1)][::every]
    assert points
    for place, (point, refusal) in enumerate(zip(points, itertools.cycle(REFUSALS))):
        folder = shutil.copytree(original, tmp_path / str(place))
        said, result = outcome(use, folder, point, getattr(errno, refusal))
        assert said == "" or (said.startswith("cannot ") and said.endswith(".")), (point, refusal, said)
        assert said or use not in READS.values() or result == undisturbed, (point, refusal)
        assert_complete(folder)


def outcome(use, folder, point, number):
    """What the error says that the use ends with, if it ends with one of ours; else what the use returns."""
    with watching(folder, lambda *call: call == point, number), warnings.catch_warnings():
        warnings.simplefilter("ignore", NormscopeWarning)  # "... cannot be moved away"
        try:
            return "", use(Store(folder, compact_at=1))
        except StoreError as error:
            return str(error), None


def assert_complete(folder):
    aside = folder / "_unreadable"
    assert not aside.exists() or {path.name for path in aside.iterdir()} <= {"older", f"{TORN}.parquet"}
    store = Store(folder)
    assert store.find(CELLS).keys() == CELLS.keys()
    assert store.table(CELLS)["value"].tolist()[2 * 4 :: 4] == [2.0, 3.0, 4.0, 5.0]
    assert store.set_aside == 0


@pytest.mark.parametrize(
    "error", [MemoryError, functools.partial(pa.ArrowMemoryError, "malloc of size 64 failed")]
)
@pytest.mark.parametrize(
    "use", [name for name in USES if name in ("find", "find one", "read", "table", "plan")]
)
def test_too_little_memory_is_one_sentence_and_no_damage(original, tmp_path, monkeypatch, error, use):
    folder = shutil.copytree(original, tmp_path / "cells")

    def starve(*_: object) -> None:
        raise error()

    with monkeypatch.context() as patch:
        for module, name in ((cellfile, "read_table"), (segments, "read_table"), (segments, "read_metadata")):
            patch.setattr(module, name, starve)
        with pytest.raises(StoreError, match=r"^cannot read .*parquet: there is too little memory\.$"):
            USES[use](Store(folder))
    assert_complete(folder)


def test_files_that_cannot_be_read_now_stay_as_they_are_when_the_others_are_gathered(
    original, tmp_path, monkeypatch
):
    folder = shutil.copytree(original, tmp_path / "cells")
    store = Store(folder, compact_at=1)
    real = cellfile.read_file

    def refuse(path, limit):
        if path == store.path(KEYS[5]):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, limit)

    monkeypatch.setattr(cellfile, "read_file", refuse)
    store.compact()
    assert store.single_files() == {KEYS[5]}
    monkeypatch.undo()
    assert_complete(folder)
