import contextlib
import os
import stat
from pathlib import Path

import pytest

from normscope.errors import InputError, NormscopeWarning
from normscope.results.files import is_there, remove_file, write_export, write_text


def test_a_file_that_cannot_be_written_is_named_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "file" / "x.txt", "text")


def test_at_the_place_that_a_user_chose_a_link_stays_and_the_file_it_points_to_is_written(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "text")
    write_export(tmp_path / "link", "words")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "text").read_text() == "words"


def test_at_the_place_that_a_user_chose_a_device_is_written_to_and_not_replaced():
    ours, theirs = (
        os.openpty()
    )  # never a device that the machine needs: a test that fails as root might replace it
    path = Path(os.ttyname(theirs))
    write_export(path, "words")
    assert path.is_char_device()
    assert os.read(ours, 5) == b"words"


def test_at_the_place_that_a_user_chose_a_device_that_takes_no_more_is_named(tmp_path):
    full = tmp_path / "full"
    try:
        os.mknod(full, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        full.open("wb").close()
    except OSError:
        pytest.skip("making a device takes rights that this user lacks")
    with pytest.raises(InputError, match=r"cannot write .*full: No space left"):
        write_export(full, "words")


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder", "file"])
def test_within_the_folder_whatever_is_in_a_files_place_is_replaced_and_never_followed(tmp_path, kind):
    private, path = tmp_path / "private", tmp_path / "inside" / "file"
    private.write_text("private")
    path.parent.mkdir()
    put(kind, path, private)
    moved = pytest.warns(NormscopeWarning, match="was a folder; it is now .*_unreadable/file")
    with moved if kind == "folder" else contextlib.nullcontext():
        write_text(path, "words")
    assert path.read_text() == "words"
    assert not path.is_symlink()
    assert private.read_text() == "private"
    assert not (tmp_path / "missing").exists()
    assert (path.parent / "_unreadable").exists() == (kind == "folder")


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder", "file", "nothing"])
def test_whatever_is_in_a_files_place_is_removed_and_never_followed(tmp_path, kind):
    private, path = tmp_path / "private", tmp_path / "inside" / "file"
    private.write_text("private")
    path.parent.mkdir()
    put(kind, path, private)
    remove_file(path)
    assert not is_there(path)
    assert private.read_text() == "private"


def test_text_that_is_no_unicode_is_written_with_escapes(tmp_path):
    write_text(tmp_path / "a", "a\ud800b\x00")
    assert (tmp_path / "a").read_bytes() == b"a\\ud800b\x00"


def put(kind, path, private):
    if kind == "link":
        path.symlink_to(private)
    elif kind == "dangling":
        path.symlink_to(private.with_name("missing"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "mine").touch()
    elif kind == "file":
        path.touch()
