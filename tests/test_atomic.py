import os
import subprocess
import sys

import pytest

from normscope.atomic import atomic_write, check_writable, leftovers


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_write(path) as file:
        file.write(b"half ")
        assert not path.exists()
        file.write(b"whole")
    assert path.read_bytes() == b"half whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def write_and_fail(path, error):
    with atomic_write(path) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_and_fail(path, error)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("flushed"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("named"), replace(*paths)))
    with atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    assert order == ["flushed", "named"]


def test_a_living_writers_temporary_file_is_not_a_leftover(tmp_path):
    with atomic_write(tmp_path / "file") as file:
        file.write(b"half")
        assert list(leftovers(tmp_path)) == []


def test_a_killed_writers_temporary_file_is_a_leftover_and_others_files_are_not(tmp_path):
    script = (
        "import os, pathlib, signal, sys; from normscope.atomic import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as file: os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")])
    (temporary,) = tmp_path.iterdir()
    for name in ("mine.tmp", ".mine.tmp", ".mine.0.txt"):
        (tmp_path / name).touch()
    assert list(leftovers(tmp_path)) == [temporary]


def test_a_temporary_file_that_was_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    import fcntl

    lock, removed = fcntl.flock, []

    def remove_first(file, operation):
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with atomic_write(tmp_path / "file") as file:
        file.write(b"whole")
    assert removed
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_trying_a_folder_out_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file")
