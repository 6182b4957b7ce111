"""A node's copy of the files it is sent. Ray's object store is a dictionary here."""

import os
import shutil
import stat
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest

from normscope.runner.cluster import node, transfer
from normscope.runner.cluster.folders import LockedFolder
from normscope.runner.cluster.node import Job
from normscope.runner.cluster.transfer import Uploaded, download, node_folder, tidy_node_folder, upload

FILES = {"own.py": b"value = 1\n", "package/__init__.py": b"", "package/deep.py": b"other = 2\n"}


@pytest.fixture(autouse=True)
def fetched(monkeypatch):
    """The contents that were fetched from the object store, which hands them on as they are."""
    found = []

    def get(content):
        found.append(bytes(content))
        return content

    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(put=lambda content: content, get=get))
    return found


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sent(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "sent" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return upload({name: tmp_path / "sent" / name for name in FILES})


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_fetched_once_and_used_again(sent, fetched):
    folder = download(sent)
    assert held(folder) == FILES
    assert download(sent) == folder
    assert len(fetched) == len(FILES)


def test_no_files_at_all_are_an_empty_folder():
    folder = download(upload({}))
    assert folder.is_dir()
    assert held(folder) == {}


def flipped(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_every_flipped_byte_is_noticed_and_the_files_are_fetched_again(sent):
    places = [(name, position) for name, content in FILES.items() for position in range(len(content))]
    assert len(places) == 20
    for name, position in places:
        flipped(download(sent) / name, position)
        assert held(download(sent)) == FILES


def link(path, outside):
    shutil.move(path, outside)
    path.symlink_to(outside)


DAMAGES = {
    "a missing file": lambda folder, outside: (folder / "own.py").unlink(),
    "a file cut short": lambda folder, outside: (folder / "own.py").write_bytes(b""),
    "a longer file": lambda folder, outside: (folder / "package/__init__.py").write_bytes(b"x = 3\n"),
    "a linked file": lambda folder, outside: link(folder / "own.py", outside),
    "a linked folder within": lambda folder, outside: link(folder / "package", outside),
    "the folder linked": lambda folder, outside: link(folder, outside),
    "a pipe": lambda folder, outside: ((folder / "own.py").unlink(), os.mkfifo(folder / "own.py")),
    "a folder": lambda folder, outside: ((folder / "own.py").unlink(), (folder / "own.py").mkdir()),
    "a file in the folder's place": lambda folder, outside: (shutil.move(folder, outside), folder.touch()),
    "compiled modules": lambda folder, outside: (folder / "package/__pycache__").mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_the_file_that_was_sent_is_replaced(sent, tmp_path, damage):
    folder = download(sent)
    DAMAGES[damage](folder, tmp_path / "outside")
    assert download(sent) == folder
    assert held(folder) == FILES
    assert not any(path.is_symlink() for path in [folder, *folder.rglob("*")])
    assert sorted(path.name for path in folder.parent.iterdir()) == [sent.digest, f"{sent.digest}.lock"]


def test_a_link_in_a_files_place_is_not_written_through(sent, tmp_path):
    folder = download(sent)
    private = tmp_path / "private"
    private.write_bytes(b"mine")
    (folder / "own.py").unlink()
    (folder / "own.py").symlink_to(private)
    download(sent)
    assert private.read_bytes() == b"mine"


def test_files_that_arrive_damaged_are_never_used(sent, fetched):
    contents = {**sent.contents, "own.py": np.frombuffer(b"value = 3\n", dtype=np.uint8)}
    with pytest.raises(OSError, match="arrived damaged"):
        download(Uploaded(sent.digest, contents))
    assert fetched
    assert held(node_folder()).keys() == {f"{sent.digest}.lock"}


def test_files_are_on_the_disk_before_their_folder_has_its_name(sent, monkeypatch):
    done, flush, rename = [], os.fsync, Path.rename

    def flushed(handle):
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        flush(handle)

    def renamed(path, target):
        answer = rename(path, target)
        done.append(f"renamed to {Path(target).name}")
        return answer

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "rename", renamed)
    folder = download(sent)
    named = done.index(f"renamed to {folder.name}")
    assert {"own.py", "__init__.py", "deep.py", "package", "files"} <= set(done[:named])
    assert done[named + 1 :] == [folder.parent.name]


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_node_folder_that_others_can_enter_is_refused(sent, temporary, mode):
    folder = temporary / f"normscope-{os.getuid()}-nodes"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="only you can enter"):
        download(sent)
    assert list(folder.iterdir()) == []


def test_a_node_folder_that_is_a_link_or_somebody_elses_is_refused(sent, temporary, monkeypatch):
    folder = temporary / f"normscope-{os.getuid()}-nodes"
    (temporary / "else").mkdir(mode=0o700)
    folder.symlink_to(temporary / "else")
    with pytest.raises(PermissionError, match="only you can enter"):
        download(sent)
    assert list((temporary / "else").iterdir()) == []
    monkeypatch.setattr(os, "getuid", lambda: (temporary / "else").stat().st_uid + 1)
    (temporary / f"normscope-{os.getuid()}-nodes").mkdir(mode=0o700)
    with pytest.raises(PermissionError, match="only you can enter"):
        download(sent)


def test_the_node_folder_lets_nobody_else_in():
    assert stat.S_IMODE(node_folder().stat().st_mode) == 0o700


def test_unfinished_downloads_of_killed_workers_are_removed_and_those_under_way_are_not():
    for prefix in ("new-", "cell-"):
        (node_folder() / f"{prefix}killed00" / "files").mkdir(parents=True)
        (node_folder() / f"{prefix}killed00").chmod(0o700)
    with LockedFolder(node_folder(), "new-") as under_way:
        tidy_node_folder()
        assert list(node_folder().iterdir()) == [under_way.path]


def test_a_node_verifies_its_files_once_for_each_worker_process(sent, monkeypatch):
    verified, sound = [], transfer._sound

    class Process:
        alive = True

        def __init__(self, settings):
            self.settings = settings

        def stop(self):
            self.alive = False

    def counted(folder, uploaded):
        verified.append(folder)
        return sound(folder, uploaded)

    monkeypatch.setattr(transfer, "_sound", counted)
    monkeypatch.setattr(node, "WorkerProcess", Process)
    monkeypatch.setattr(node, "_worker", None)
    job = Job(("path",), None, "2.13", None, modules=sent, data=(sent,), variable="FOLDERS")
    folder = download(sent)
    verified.clear()
    first = node._worker_for(job)
    assert verified == [folder, folder]
    assert node._worker_for(job) is first
    assert len(verified) == 2
    assert first.settings.path == (str(folder), "path")
    assert first.settings.environment == {"FOLDERS": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    flipped(folder / "own.py", 0)
    first.stop()
    assert node._worker_for(job) is not first
    assert held(folder) == FILES
