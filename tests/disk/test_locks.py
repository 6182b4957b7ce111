import fcntl
import os
import threading

import pytest

from normscope.disk import locks
from normscope.disk.locks import WaitingLock, open_lock_file, share
from normscope.errors import DamagedError, NormscopeWarning


def test_a_lock_that_another_process_holds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_SILENT_SECONDS", 0.05)
    path = tmp_path / "lock"
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.3, fcntl.flock, (held, fcntl.LOCK_UN)).start()
        with (
            pytest.warns(NormscopeWarning, match="waiting for another process that holds .*lock"),
            WaitingLock(path),
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_thread_that_holds_a_lock_may_take_it_again(tmp_path):
    lock = WaitingLock(tmp_path / "lock")
    with lock, lock:
        pass


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("take", [lambda path: WaitingLock(path).__enter__(), open_lock_file])
def test_what_is_no_file_is_neither_followed_nor_truncated(tmp_path, kind, take):
    path, target = tmp_path / "lock", tmp_path / "private"
    target.write_text("private")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(DamagedError, match="a regular file is expected"):
        take(path)
    assert target.read_text() == "private"


@pytest.mark.parametrize("take", [lambda path: WaitingLock(path).__enter__(), open_lock_file])
def test_two_locks_that_are_one_file_are_refused_before_a_process_waits_for_itself(tmp_path, take):
    path = tmp_path / "lock"
    path.touch()
    (tmp_path / "other").hardlink_to(path)
    with pytest.raises(DamagedError, match="lock is a file that has other names, too"):
        take(path)


def test_a_file_to_lock_keeps_its_content(tmp_path):
    (tmp_path / "lock").write_text("words")
    with open_lock_file(tmp_path / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    assert (tmp_path / "lock").read_text() == "words"


def test_a_file_that_another_process_has_alone_is_named_by_those_that_wait_to_share_it(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_SILENT_SECONDS", 0.05)
    path = tmp_path / "lock"
    with path.open("w") as held, open_lock_file(path) as file, open_lock_file(path) as other:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.3, fcntl.flock, (held, fcntl.LOCK_UN)).start()
        with pytest.warns(NormscopeWarning, match="waiting for another process that holds .*lock"):
            share(file, path)
        share(other, path)
        with pytest.raises(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
