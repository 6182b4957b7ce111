"""Temporary folders that go with their owner."""

import multiprocessing
import os
import signal
import stat

import pytest

from normscope.runner.cluster import folders
from normscope.runner.cluster.folders import LockedFolder, remove_leftovers


def make(parent, pipe):
    pipe.send(LockedFolder(parent, "own-").path)
    signal.pause()


@pytest.fixture
def dead(tmp_path):
    """The folder of an owner that was killed."""
    here, there = multiprocessing.Pipe()
    owner = multiprocessing.get_context("fork").Process(target=make, args=(tmp_path, there))
    owner.start()
    folder = here.recv()
    (folder / "inside").mkdir()
    remove_leftovers(tmp_path, "own-")
    assert folder.exists()
    owner.kill()
    owner.join()
    return folder


def test_a_folder_lets_nobody_else_in(tmp_path):
    before = os.umask(0)
    try:
        with LockedFolder(tmp_path, "own-") as folder:
            assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_removed_by_others_once_its_owner_is_killed(tmp_path, dead):
    seen = []
    remove_leftovers(tmp_path, "own-", seen.append)
    assert seen == [dead]
    assert not dead.exists()


def test_the_folder_of_an_owner_that_lives_is_left_alone(tmp_path):
    with LockedFolder(tmp_path, "own-") as folder:
        remove_leftovers(tmp_path, "own-", lambda folder: pytest.fail("it lives"))
        assert folder.path.exists()


def test_what_only_looks_like_a_leftover_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    (tmp_path / "own-linked00").symlink_to(tmp_path / "else")
    (tmp_path / "own-a file00").touch()
    (tmp_path / "own-file0000").touch()
    (tmp_path / "own-open0000").mkdir(mode=0o755)
    (tmp_path / "own-short").mkdir(mode=0o700)
    (tmp_path / "own-folder000").mkdir(mode=0o700)
    before = sorted(tmp_path.rglob("*"))
    remove_leftovers(tmp_path, "own-")
    assert sorted(tmp_path.rglob("*")) == before
    mine = tmp_path / "own-somebody"
    mine.mkdir(mode=0o700)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: mine.stat().st_uid + 1)
        remove_leftovers(tmp_path, "own-")
    assert mine.exists()
    remove_leftovers(tmp_path, "own-")
    assert not mine.exists()


def test_a_link_in_a_leftover_is_removed_and_not_followed(tmp_path, dead):
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    (dead / "link").symlink_to(tmp_path / "else")
    remove_leftovers(tmp_path, "own-")
    assert not dead.exists()
    assert (tmp_path / "else" / "file").exists()


def test_a_folder_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    lock, removed = folders.fcntl.flock, []

    def late(handle, operation):
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].rmdir()
        lock(handle, operation)

    monkeypatch.setattr(folders.fcntl, "flock", late)
    with LockedFolder(tmp_path, "own-") as folder:
        assert folder.path.exists()
        assert folder.path not in removed


def test_a_folder_that_cannot_be_listed_is_no_reason_to_stop(tmp_path):
    remove_leftovers(tmp_path / "missing", "own-")
