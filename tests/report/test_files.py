from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from normscope.errors import InputError
from normscope.report import files


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
