from pathlib import Path

import pytest

from normscope.errors import InputError
from normscope.results.files import write_text


def test_a_file_that_cannot_be_written_is_named_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "file" / "x.txt", "text")


def test_a_link_stays_and_the_file_it_points_to_is_written(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "text")
    write_text(tmp_path / "link", "words")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "text").read_text() == "words"


def test_a_device_is_written_to_and_not_replaced():
    write_text(Path("/dev/null"), "words")
    assert Path("/dev/null").is_char_device()
