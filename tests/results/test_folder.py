import pytest
from filelock import FileLock, Timeout

from normscope.errors import InputError
from normscope.results import ResultsFolder


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path)


def test_the_parts_bear_the_names_that_the_documentation_promises(folder, tmp_path):
    experiment = folder.experiment("p.fig1")
    paths = (
        folder.store.folder, folder.scorecard.path, folder.page,
        experiment.table, experiment.figure, experiment.bitmap,
    )  # fmt: skip
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "cells", "scorecard.json", "report.html",
        "p.fig1/data.parquet", "p.fig1/figure.svg", "p.fig1/figure.png",
    ]  # fmt: skip


def test_without_a_path_it_is_the_command_lines_default():
    assert str(ResultsFolder()) == "normscope-runs"


def test_a_folder_is_an_experiments_when_it_holds_a_table_or_an_unfinished_run(folder, tmp_path):
    for name in ("b/data.parquet", "a/unfinished.json", "cells/x.parquet", "c/mine.txt", "data.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [experiment.id for experiment in folder.experiments()] == ["a", "b"]
    assert ResultsFolder(tmp_path / "nowhere").experiments() == []


def test_before_a_folder_is_written_only_files_of_killed_writers_are_removed(folder, tmp_path):
    (tmp_path / "p.fig1").mkdir()
    left = [tmp_path / place / ".x.0123456789abcdef.tmp" for place in (".", "p.fig1")]
    mine = tmp_path / "p.fig1" / ".mine.tmp"
    for path in (*left, mine):
        path.touch()
    with folder.writing():
        assert [path.exists() for path in (*left, mine)] == [False, False, True]


def test_two_processes_do_not_write_a_folder_at_once(folder, tmp_path):
    with folder.writing(), pytest.raises(Timeout), FileLock(tmp_path / ".lock", timeout=0):
        pass
    with folder.writing():
        pass


def test_a_folder_that_cannot_be_created_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"), ResultsFolder(tmp_path / "file" / "x").writing():
        pass
