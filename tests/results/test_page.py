import dataclasses
import json
import os

import pytest

from normscope.errors import NormscopeWarning
from normscope.papers import catalogue
from normscope.protocol import Scale, empty_table
from normscope.results import ResultsFolder, RunMetadata, page
from normscope.results.contents import read_others
from normscope.results.experiment_folder import DrawnFigure
from normscope.sweep import Sweep

IDS = [entry.id for entry in catalogue.find("chai2020")]
METADATA = RunMetadata(Scale.QUICK, {"data": "digits"}, {"a cell": "slow"})


@pytest.fixture
def folder(tmp_path):
    """A results folder with Fig. 8 and Fig. 6, and a torn table of Fig. 7."""
    folder = ResultsFolder(tmp_path)
    for id in ("chai2020.fig8", "chai2020.fig6"):
        folder.experiment(id).write_table(empty_table(), METADATA)
    tear(folder, "chai2020.fig7")
    folder.experiment("chai2020.fig6").figure.write_text("<svg/>")
    rows = [
        {
            "experiment": id, "claim": "a", "text": "t", "source": "s", "expected": "e", "measured": {}, "holds": None,
            "verdict": "undecided", "interval": {}, "reason": "r", "scale": "quick", "seeds": 0,
            "data": "mnist5k", "data_note": "",
        }
        for id in ("chai2020.fig6", "chai2020.fig7")
    ]  # fmt: skip
    folder.scorecard.write(rows)
    return folder


def chapters(folder):
    return page.chapters(read_others(folder, (), judge=False), folder.scorecard.read())


def tear(folder, id):
    stored = folder.experiment(id)
    stored.path.mkdir()
    stored.table.write_bytes(b"PAR1 torn")


def test_a_paper_is_a_chapter_with_its_reference_and_its_experiments_in_the_catalogues_order(folder):
    (chapter,) = chapters(folder)
    assert chapter.id == "chai2020"
    assert "Chai" in chapter.reference
    assert [section.id for section in chapter.sections] == ["chai2020.fig6", "chai2020.fig8"]


def test_a_section_joins_the_experiments_words_with_its_stored_results(folder):
    ((first, last),) = (chapter.sections for chapter in chapters(folder))
    (entry,) = catalogue.find("chai2020.fig6")
    experiment = entry.load()
    assert (first.question, first.method, first.place) == (experiment.question, experiment.method, "Fig. 6")
    assert [row["experiment"] for row in first.claims] == ["chai2020.fig6"]
    assert (first.scale, first.settings, first.failures) == ("quick", {"data": "digits"}, {"a cell": "slow"})
    assert (first.figure, first.bitmap) == (b"<svg/>", None)
    assert (last.claims, last.figure) == ([], None)


def test_a_scorecard_written_before_there_were_verdicts_and_intervals_is_shown(folder):
    rows = folder.scorecard.read()
    for row in rows:  # without checksums, too
        del row["verdict"], row["interval"]
    folder.scorecard.path.write_text(json.dumps([{**rows[0], "holds": False}, *rows[1:]]))
    assert "<b>1</b> does not hold" in page.render(chapters(folder))


def test_experiments_that_are_missing_or_cannot_be_read_are_named(folder):
    absent = page.absent(chapters(folder))
    assert set(absent) == set(IDS) - {"chai2020.fig6", "chai2020.fig8"}
    assert (
        absent["chai2020.fig7"] == "Fig. 7, its table was damaged (it is not a table); claims not judged: 1"
    )
    assert all("not in this folder" in why for id, why in absent.items() if id != "chai2020.fig7")


def test_a_paper_of_which_no_table_can_be_read_is_still_a_chapter(tmp_path):
    folder = ResultsFolder(tmp_path)
    tear(folder, "chai2020.fig7")
    (chapter,) = chapters(folder)
    assert chapter.sections == []
    assert set(chapter.absent) == set(IDS)


def test_sweeps_are_the_last_chapter_and_one_that_cannot_be_read_is_named(folder):
    for name, words in (("mine", Sweep.of("lenet").to_json()), ("older", {"networks": ["lenet"]})):
        metadata = RunMetadata(Scale.QUICK, {}, {}, sweep=words)
        folder.experiment(name).write_table(empty_table(), metadata)
    chapter = chapters(folder)[-1]
    assert [(section.id, section.scale) for section in chapter.sections] == [("mine", "")]
    assert chapter.absent == {"older": "another version of normscope wrote it: run its sweep again"}
    assert "Sweeps" in page.render(chapters(folder))


def test_a_sweeps_section_has_the_users_names_and_the_legends_labels_in_full(folder):
    long = f"nets:net(tag='{'x' * 300}')"
    sweep = Sweep.of([long, "_nets:net"], norm="batch", probe="spectrum", layer="a'b")
    folder.experiment("mine").write_table(
        empty_table(), RunMetadata(Scale.QUICK, {}, {}, sweep=sweep.to_json())
    )
    (section,) = chapters(folder)[-1].sections
    assert {long, "_nets:net", "batch", "a'b"} <= set(section.names)
    assert list(section.legend.values()) == [long]
    assert "…" in next(iter(section.legend))
    assert long.replace("'", "&#39;") in page.render(chapters(folder))


def test_a_page_of_sweeps_alone_speaks_of_no_claims(tmp_path):
    folder = ResultsFolder(tmp_path)
    metadata = RunMetadata(Scale.QUICK, {}, {}, sweep=Sweep.of("lenet").to_json())
    folder.experiment("mine").write_table(empty_table(), metadata)
    assert "<h1>Measured on this machine</h1>" in page.render(chapters(folder))


def test_an_empty_folder_has_no_chapters(tmp_path):
    assert chapters(ResultsFolder(tmp_path)) == []
    assert page.absent(chapters(ResultsFolder(tmp_path))) == {}


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_figure_that_is_no_file_is_named_and_its_section_shown_without_it(folder, tmp_path, kind):
    (tmp_path / "private").write_text("<svg>private</svg>")
    figure = folder.experiment("chai2020.fig6").figure
    figure.unlink()
    {
        "link": lambda: figure.symlink_to(tmp_path / "private"),
        "pipe": lambda: os.mkfifo(figure),
        "folder": figure.mkdir,
    }[kind]()
    with pytest.warns(NormscopeWarning, match=f"A figure is not on the page: .* is a {kind}"):
        (chapter,) = chapters(folder)
    assert [section.figure for section in chapter.sections] == [None, None]
    assert f"is a {kind}" in chapter.absent["chai2020.fig6/figure"]


def test_of_very_many_folders_that_cannot_be_shown_the_page_names_the_first(tmp_path):
    for number in range(200):
        (tmp_path / f"link{number:03}").symlink_to("/")
    (chapter,) = chapters(ResultsFolder(tmp_path))
    assert list(chapter.absent)[:2] == ["link000", "link001"]
    assert len(chapter.absent) == 51
    assert chapter.absent["…"] == "and 150 more"


def test_a_figure_that_was_just_drawn_is_shown_without_being_read_back(folder, monkeypatch):
    contents = read_others(folder, (), judge=False)
    shown = contents.shown["chai2020.fig6"]
    contents.shown["chai2020.fig6"] = dataclasses.replace(shown, figure=DrawnFigure(b"<svg>mine</svg>"))
    monkeypatch.setattr(type(shown.stored), "read_figure", lambda stored: DrawnFigure(b"<svg>stored</svg>"))
    (chapter,) = page.chapters(contents, ())
    figures = {section.id: section.figure for section in chapter.sections}
    assert figures.pop("chai2020.fig6") == b"<svg>mine</svg>"
    assert set(figures.values()) == {b"<svg>stored</svg>"}
