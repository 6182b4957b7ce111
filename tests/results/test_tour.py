import pytest

from normscope.papers import catalogue
from normscope.protocol import empty_table
from normscope.results import files, tour
from normscope.results.scorecard import update_scorecard

IDS = [entry.id for entry in catalogue.below("chai2020")]


@pytest.fixture
def folder(tmp_path):
    """A results folder with Fig. 8 and Fig. 6, and a torn table of Fig. 7."""
    for id in ("chai2020.fig8", "chai2020.fig6"):
        about = {"scale": "quick", "settings": {"data": "digits"}, "failures": {"a cell": "slow"}}
        files.write_table(tmp_path / id / files.DATA_NAME, empty_table(), about)
    (tmp_path / "chai2020.fig7").mkdir()
    (tmp_path / "chai2020.fig7" / files.DATA_NAME).write_bytes(b"PAR1 torn")
    (tmp_path / "chai2020.fig6" / "figure.svg").write_text("<svg/>")
    row = {
        "claim": "a",
        "text": "t",
        "source": "s",
        "expected": "e",
        "measured": {},
        "holds": None,
        "reason": "r",
    }
    rows = [
        {"experiment": f"chai2020.{name}", **row, "scale": "quick", "seeds": 0} for name in ("fig6", "fig7")
    ]
    update_scorecard(tmp_path, rows, IDS)
    return tmp_path


def test_a_paper_is_a_chapter_with_its_reference_and_its_experiments_in_the_catalogues_order(folder):
    (chapter,) = tour.chapters(folder)
    assert chapter.id == "chai2020"
    assert "Chai" in chapter.reference
    assert [section.id for section in chapter.sections] == ["chai2020.fig6", "chai2020.fig8"]


def test_a_section_joins_the_experiment_with_what_is_stored_of_it(folder):
    ((first, last),) = (chapter.sections for chapter in tour.chapters(folder))
    experiment = catalogue.entry("chai2020.fig6").load()
    assert (first.question, first.method, first.place) == (experiment.question, experiment.method, "Fig. 6")
    assert [row["experiment"] for row in first.claims] == ["chai2020.fig6"]
    assert (first.scale, first.settings, first.failures) == ("quick", {"data": "digits"}, {"a cell": "slow"})
    assert first.figure == folder / "chai2020.fig6" / "figure.svg"
    assert (last.claims, last.figure) == ([], None)


def test_experiments_that_are_missing_or_cannot_be_read_are_named(folder):
    absent = tour.absent(folder)
    assert set(absent) == set(IDS) - {"chai2020.fig6", "chai2020.fig8"}
    assert absent["chai2020.fig7"] == "Fig. 7, its stored table cannot be read"
    assert all("not in this folder" in why for id, why in absent.items() if id != "chai2020.fig7")


def test_a_paper_of_which_only_unreadable_tables_are_there_is_still_a_chapter(tmp_path):
    (tmp_path / "chai2020.fig7").mkdir()
    (tmp_path / "chai2020.fig7" / files.DATA_NAME).touch()
    (chapter,) = tour.chapters(tmp_path)
    assert chapter.sections == []
    assert set(chapter.absent) == set(IDS)


def test_an_empty_folder_has_no_chapters(tmp_path):
    assert tour.chapters(tmp_path) == []
    assert tour.absent(tmp_path) == {}
