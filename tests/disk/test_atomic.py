import errno
import os
import subprocess
import sys

import pytest

from normscope.disk.atomic import atomic_write, check_writable, leftovers, make_folder, sync_folder


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


@pytest.fixture
def order(monkeypatch, tmp_path):
    """What was flushed and named, in order; flushed folders by their names."""
    found = []
    fsync, replace, mkdir = os.fsync, os.replace, os.mkdir

    def flush(handle):
        place = os.readlink(f"/proc/self/fd/{handle}")
        found.append(
            f"{os.path.relpath(place, tmp_path)} flushed" if os.path.isdir(place) else "content flushed"
        )
        fsync(handle)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", lambda *paths: (found.append("named"), replace(*paths)))
    monkeypatch.setattr(
        os, "mkdir", lambda path, *rest: (found.append(f"made {path.name}"), mkdir(path, *rest))
    )
    return found


def test_the_content_is_on_the_disk_before_the_name_and_then_the_name(tmp_path, order):
    with atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    assert order == ["content flushed", "named", ". flushed"]


def test_the_name_of_every_new_folder_is_on_the_disk(tmp_path, order):
    make_folder(tmp_path / "a" / "b")
    assert order == ["made a", ". flushed", "made b", "a flushed"]
    make_folder(tmp_path / "a" / "b")
    assert len(order) == 4


def test_a_file_system_that_cannot_flush_folders_does_not_count_and_an_error_does(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    number = errno.EINVAL
    sync_folder(tmp_path)
    number = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "private").write_text("private")
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "private").read_text() == "private"


def test_a_living_writers_temporary_file_is_not_a_leftover(tmp_path):
    with atomic_write(tmp_path / "file") as file:
        file.write(b"half")
        assert list(leftovers(tmp_path)) == []


def test_a_killed_writers_temporary_file_is_a_leftover_and_others_files_are_not(tmp_path):
    script = (
        "import os, pathlib, signal, sys; from normscope.disk.atomic import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as file: os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")])
    (temporary,) = tmp_path.iterdir()
    for name in ("mine.tmp", ".mine.tmp", ".mine.0.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".link.0123456789abcdef.tmp").symlink_to(tmp_path / "mine.tmp")
    os.mkfifo(tmp_path / ".pipe.0123456789abcdef.tmp")
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


def test_trying_a_folder_out_may_be_mistaken_for_a_leftover(tmp_path, monkeypatch):
    close = os.fstat

    def clean_first(handle):
        state = close(handle)
        for path in tmp_path.iterdir():
            path.unlink()
        return state

    monkeypatch.setattr(os, "fstat", clean_first)
    check_writable(tmp_path)


def test_many_processes_that_try_a_folder_out_and_clean_it_never_call_it_unwritable(tmp_path):
    script = (
        "import pathlib, sys; from normscope.disk.atomic import check_writable, leftovers\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for _ in range(200):\n"
        "    check_writable(folder)\n"
        "    [path.unlink(missing_ok=True) for path in leftovers(folder)]"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "new")]
    several = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate()[1] for process in several] == [""] * 6
    assert list((tmp_path / "new").iterdir()) == []


def test_trying_a_folder_out_flushes_the_names_that_a_killed_process_may_not_have_flushed(tmp_path, order):
    (tmp_path / "runs" / "cells").mkdir(parents=True)
    order.clear()
    check_writable(tmp_path / "runs" / "cells")
    assert order == ["runs flushed", ". flushed"]


def test_a_folder_that_may_not_be_read_is_written_all_the_same(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, *rest, **named):
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    with atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    assert (tmp_path / "file").read_bytes() == b"x"
