from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock, Timeout
from matplotlib.figure import Figure

from normscope.errors import InputError
from normscope.results import files


def test_a_table_is_read_back_with_what_was_said_of_it(tmp_path):
    table = pd.DataFrame({"value": [1.0, float("inf"), float("nan")], "layer": ["a", None, "b"]})
    files.write_table(tmp_path / "x" / "data.parquet", table, {"scale": "quick"})
    found, about = files.read_table(tmp_path / "x" / "data.parquet")
    pd.testing.assert_frame_equal(found, table)
    assert about == {"scale": "quick"}


@pytest.mark.parametrize("content", [b"", b"PAR1 torn"])
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "data.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.parquet is not a table"):
        files.read_table(path)


def test_somebody_elses_parquet_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(InputError, match="not a table"):
        files.read_table(tmp_path / "data.parquet")


def drawn():
    figure = Figure()
    figure.subplots().plot([1, 2], [3, 4])
    return figure


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        files.write_figure(tmp_path / name / "p.fig1", drawn())
    for suffix in ("svg", "png"):
        first, second = (
            (tmp_path / name / "p.fig1" / f"figure.{suffix}").read_bytes() for name in ("a", "b")
        )
        assert first == second


def test_a_folder_that_cannot_be_written_is_named_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        files.write_text(tmp_path / "file" / "x.txt", "text")


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "text")
    files.write_text(tmp_path / "link", "words")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "text").read_text() == "words"


def test_a_device_is_written_to_and_not_replaced():
    files.write_text(Path("/dev/null"), "words")
    assert Path("/dev/null").is_char_device()


def test_what_killed_writers_left_goes_before_a_folder_is_written_and_nothing_else(tmp_path):
    (tmp_path / "p.fig1").mkdir()
    left = [tmp_path / folder / ".x.0123456789abcdef.tmp" for folder in (".", "p.fig1")]
    mine = tmp_path / "p.fig1" / ".mine.tmp"
    for path in (*left, mine):
        path.touch()
    with files.writing(tmp_path):
        assert [path.exists() for path in (*left, mine)] == [False, False, True]


def test_two_processes_do_not_write_a_folder_at_once(tmp_path):
    with files.writing(tmp_path), pytest.raises(Timeout), FileLock(tmp_path / ".lock", timeout=0):
        pass
    with files.writing(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_cannot_be_held(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"), files.writing(tmp_path / "file" / "x"):
        pass
