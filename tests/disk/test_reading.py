import os
import socket
from pathlib import Path

import pytest

from normscope.disk.reading import is_real_folder, read_file, refuse_link
from normscope.errors import DamagedError, InputError


def test_a_regular_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"words")
    assert read_file(tmp_path / "file", limit=5) == b"words"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(DamagedError, match="at most 5 are expected"):
        read_file(tmp_path / "file", limit=5)


def test_what_is_missing_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "file")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "private").write_text("private")
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with pytest.raises(DamagedError, match="is a link"):
        read_file(tmp_path / "link")


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    if kind == "pipe":
        os.mkfifo("thing")
    elif kind == "folder":
        os.mkdir("thing")
    else:
        socket.socket(socket.AF_UNIX).bind("thing")
    with pytest.raises(DamagedError, match=f"is a {kind}: a regular file is expected"):
        read_file(tmp_path / "thing")


def test_a_device_is_not_opened():
    with pytest.raises(DamagedError, match="is a device"):
        read_file(Path("/dev/zero"))


def test_a_link_to_a_folder_is_not_a_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_real_folder(tmp_path)
    assert not is_real_folder(tmp_path / "link")
    assert not is_real_folder(tmp_path / "missing")
    with pytest.raises(InputError, match="is a link, which is not followed"):
        refuse_link(tmp_path / "link")
    refuse_link(tmp_path)
    refuse_link(tmp_path / "missing")
