"""The gallery: what its script writes from a results folder, and that the page fits the catalogue."""

import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Scale, empty_table
from normscope.results import ResultsFolder, RunMetadata
from normscope.results.experiment_folder import DrawnFigure

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = DOCS / "write_gallery.py"
ID, OTHER = "chai2020.fig7", "chai2020.fig8"


def script():
    place = importlib.util.spec_from_file_location("write_gallery", SCRIPT)
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def row(id=ID, claim="a", **changes):
    fields = {
        "experiment": id, "claim": claim, "text": "Norms *help* where a < b.", "source": "P 2020, Fig. 1",
        "expected": "a_b < |c|", "measured": {"first": 7.0, "error A / B": 0.5}, "holds": True, "verdict": "holds",
        "interval": {"error A / B": [0.4, 0.6]}, "bounds": {"error A / B": {"most": 1.25}}, "deciding": "error A / B",
        "published": {}, "reason": "", "scale": "laptop", "seeds": 3, "data": "mnist", "data_note": "",
    }  # fmt: skip
    return fields | changes


def picture(width=300, height=200):
    file = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGBA").save(file, "PNG")
    return file.getvalue()


def stored(path, id=ID, rows=None, scale=Scale.LAPTOP, figure=True, **about):
    """A results folder that holds one experiment."""
    folder = ResultsFolder(path)
    metadata = RunMetadata(scale, {"data": "10,000 digits", "seeds": "3"}, about.pop("failures", {}), **about)
    folder.experiment(id).write_table(empty_table(), metadata)
    folder.experiment(id).write_figure(DrawnFigure(b"<svg/>", picture()) if figure else DrawnFigure())
    folder.scorecard.write([row(id)] if rows is None else rows)
    return folder


@pytest.fixture
def gallery(tmp_path):
    """Writes the page from folders; returns its text, and the names of its figures."""
    page = tmp_path / "docs" / "gallery.md"
    page.parent.mkdir()

    def write(*folders):
        script().main(folders, page)
        return page.read_text(), {image.stem for image in (page.parent / "images" / "gallery").iterdir()}

    return write


def contents_line(page, id):
    (line,) = (line for line in page.splitlines() if line.startswith("- ") and f"(`{id}`" in line)
    return line


def test_an_experiment_is_shown_with_figure_settings_verdicts_deciding_numbers_and_remarks(gallery, tmp_path):
    reason = "more than 9 seeds_would_ decide"
    undecided = row(claim="b", holds=None, verdict="undecided", reason=reason)
    folder = stored(
        tmp_path / "runs",
        rows=[row(), undecided],
        notes=("The data are *ours*.",),
        failures={"a cell": "E: no"},
    )
    page, figures = gallery(folder)
    experiment = catalogue.load([ID])[0]
    assert figures == {ID}
    assert f"](images/gallery/{ID}.png)" in page
    for part in (
        f'<a id="{ID}"></a>',
        experiment.question.split("`")[0][:40],
        "*Measured: laptop scale, mnist, 3 seeds: 1 holds, 1 undecided*",
        "- ✓ **holds**: Norms \\*help\\* where a \\< b. (P 2020, Fig. 1)",
        "  - Test: a_b \\< \\|c\\|",
        "  - Measured: error A / B 0.5 \\[0.4, 0.6\\] ≤ 1.25",
        "- ? **undecided**: Norms",
        "  - more than 9 seeds_would\\_ decide",
        "> The data are \\*ours\\*.",
        "> 1 cell failed: E: no",
        "- data: 10,000 digits",
    ):
        assert part in page, part
    assert contents_line(page, ID).endswith("laptop scale, mnist, 3 seeds: 1 holds, 1 undecided")
    assert contents_line(page, OTHER).endswith("not measured")


def test_the_sources_own_numbers_are_in_a_table_beside_the_measured_ones(gallery, tmp_path):
    rows = [row(published={"first": 9.0, "nowhere": 2.0})]
    page, _ = gallery(stored(tmp_path / "runs", rows=rows))
    assert (
        "  |  | here | published |\n  | --- | --: | --: |\n  | first | 7 | 9 |\n  | nowhere | – | 2 |" in page
    )


def test_what_a_folder_lacks_keeps_its_section_and_what_it_holds_replaces_it(gallery, tmp_path):
    first, _ = gallery(stored(tmp_path / "a"), stored(tmp_path / "b", OTHER))
    page, figures = gallery(stored(tmp_path / "c", OTHER, scale=Scale.QUICK, rows=[row(OTHER, seeds=5)]))
    assert figures == {ID, OTHER}
    sections = [dict(script()._SECTION.findall(text)) for text in (first, page)]
    assert sections[0][ID] == sections[1][ID]
    assert "*Measured: quick scale, mnist, 5 seeds: 1 holds*" in sections[1][OTHER]
    assert gallery()[0] == page


def test_an_experiment_that_the_catalogue_no_longer_has_leaves_with_its_figure(
    gallery, tmp_path, monkeypatch
):
    gallery(stored(tmp_path / "a"), stored(tmp_path / "b", OTHER))
    monkeypatch.setattr(catalogue, "ENTRIES", [entry for entry in catalogue.ENTRIES if entry.id != ID])
    page, figures = gallery()
    assert figures == {OTHER}
    assert ID not in page


def test_older_rows_and_experiments_without_a_figure_are_shown(gallery, tmp_path):
    older = row()
    for newer in ("bounds", "deciding", "published", "interval", "verdict", "data", "data_note"):
        del older[newer]
    page, figures = gallery(stored(tmp_path / "runs", rows=[older], figure=False))
    assert "*Measured: laptop scale, 3 seeds: 1 holds*" in page
    assert "  - Measured: first 7\n" in page
    assert not figures
    assert "![" not in page


def test_a_folder_without_a_papers_experiment_is_refused(gallery, tmp_path):
    with pytest.raises(InputError, match="holds no experiment of the catalogue"):
        gallery(ResultsFolder(tmp_path / "nowhere"))


@pytest.mark.parametrize("size", [(300, 200), (1600, 100), (500, 500)])
def test_a_figure_becomes_small_and_keeps_its_proportions(size):
    content = script().small(picture(*size))
    with Image.open(io.BytesIO(content)) as image:
        assert image.width <= size[0]
        assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.01)
    assert len(content) < len(picture(*size))


def test_the_command_imports_no_torch_and_says_in_one_line_what_is_wrong(tmp_path):
    code = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('torch' in sys.modules))\n"
        f"sys.argv[1:] = [{str(tmp_path)!r}]\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout == "False\n"
    assert len(run.stderr.splitlines()) == 1


class TestThePage:
    PAGE = DOCS / "gallery.md"

    def test_names_every_experiment_of_the_catalogue_as_the_script_does(self):
        module, text = script(), self.PAGE.read_text(encoding="utf-8")
        assert module._page(dict(module._SECTION.findall(text))) == text, "run python docs/write_gallery.py"

    def test_shows_every_figure_of_its_folder_and_no_other(self):
        images = {f"images/gallery/{image.name}" for image in (DOCS / "images" / "gallery").glob("*.png")}
        assert {*re.findall(r"\]\((images/\S+)\)", self.PAGE.read_text(encoding="utf-8"))} == images

    def test_has_figures_of_less_than_four_megabytes(self):
        assert sum(image.stat().st_size for image in (DOCS / "images" / "gallery").glob("*.png")) < 4e6
