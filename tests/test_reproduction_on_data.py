"""Results on other data than the paper's: kept apart from the paper's own, and marked wherever they are shown."""

import csv
import dataclasses
import io
import json
import shutil

import data_trial
import numpy as np
import pytest

from normscope import data, runner
from normscope.errors import InputError, NormscopeWarning
from normscope.options import RunOptions
from normscope.papers import catalogue, other_data
from normscope.protocol import Scale, known_cell
from normscope.report import export
from normscope.reproduction import Reproduction
from normscope.results import ResultsFolder, page
from normscope.results.cleaning import clean
from normscope.results.contents import read_others
from normscope.results.rebuilding import rebuild
from normscope.runner.worker import run_and_store

PICTURES = "own_pictures:pictures"
OWN_NOTE = f"Judged on {PICTURES}, not on the paper's data, mnist."


def run_here(plan, store, observer, timeout, engine):
    """Run cells in this process, one after another."""
    for key, cell in plan.new.items():
        run_and_store(known_cell(cell.name), cell.config, key, store, {})
    return {}


def chapters(folder):
    return page.chapters(read_others(folder, (), judge=False), folder.scorecard.read())


def run_trial(path, name=None, scale=Scale.QUICK):
    """The trial experiment's result on a data set, at a scale."""
    experiments = other_data.on(catalogue.load([data_trial.ID]), name, scale)
    (result,) = Reproduction(experiments, RunOptions(ResultsFolder(path), scale)).run()
    return result


@pytest.fixture(scope="module", autouse=True)
def _trial_is_the_catalogue():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "run", run_here)
        patch.setattr(catalogue, "ENTRIES", (data_trial.ENTRY,))
        yield


@pytest.fixture(scope="module")
def finished_trial(tmp_path_factory):
    """A results folder with the trial on its own data and on the user's pictures."""
    path = tmp_path_factory.mktemp("trial")
    run_trial(path, PICTURES)
    run_trial(path)
    return path


@pytest.fixture
def folder(finished_trial, tmp_path):
    """A copy of that folder."""
    return ResultsFolder(shutil.copytree(finished_trial, tmp_path / "runs"))


def test_both_results_are_kept_and_every_row_names_its_data(folder):
    own, other = folder.runs_of(data_trial.ID)
    pinned = data.pinned(PICTURES)
    assert set(own.read().table()["data"]) == {"mnist5k"}
    assert set(other.read().table()["data"]) == {pinned}
    assert other.id == f"{data_trial.ID}@pictures-{pinned[-16:-8]}"
    rows = folder.scorecard.read()
    assert [(row["experiment"], row["data"], row["data_note"]) for row in rows] == [
        (own.id, "mnist5k", ""),
        (other.id, pinned, OWN_NOTE),
    ]
    assert rows[0]["measured"] != rows[1]["measured"]


def test_the_number_is_that_of_the_given_data(folder):
    first = data.load(data.pinned(PICTURES)).train_images[:40]
    assert folder.scorecard.read()[1]["measured"]["mean"] == pytest.approx(first.mean())


def test_the_page_has_a_section_for_each_that_says_which_data(folder):
    (chapter,) = chapters(folder)
    own, other = chapter.sections
    assert (own.place, own.notes) == ("Fig. 0", ())
    assert other.place == f"Fig. 0 on {other.id.partition('@')[2]}"
    assert list(other.notes) == [OWN_NOTE]
    assert [row["experiment"] for section in chapter.sections for row in section.claims] == [own.id, other.id]
    assert "3×20×24" in other.settings["run on"]
    assert OWN_NOTE.replace("'", "’") in folder.page.read_text()


def test_csv_and_latex_say_so(folder):
    rows = folder.scorecard.read()
    lines = list(csv.DictReader(io.StringIO(export.to_csv(rows))))
    assert [line["data_note"] for line in lines] == ["", OWN_NOTE]
    assert [line["data"] for line in lines] == ["mnist5k", data.pinned(PICTURES)]
    heads = [line for line in export.to_latex(rows).splitlines() if line.startswith(r"\multicolumn{3}")]
    assert sum("not on the paper's data, mnist" in head for head in heads) == 1


def test_judging_again_gives_the_same_scorecard_and_page(folder):
    card, text = folder.scorecard.path.read_text(), folder.page.read_text()
    results = rebuild(folder).results
    assert [result.data_note for result in results] == ["", OWN_NOTE]
    assert folder.scorecard.path.read_text() == card
    assert folder.page.read_text() == text


def test_cleaning_keeps_the_cells_of_both_at_every_scale_that_was_run(folder):
    run_trial(folder.path, PICTURES, Scale.LAPTOP)
    before = folder.store.keys()
    assert len(before) == 6
    assert clean(folder) == []
    assert folder.store.keys() == before


def test_cleaning_calls_no_loader(folder, monkeypatch):
    monkeypatch.setattr(other_data.own, "present", lambda name: None)
    monkeypatch.setattr(other_data.own, "_called", lambda name: pytest.fail("called"))
    assert clean(folder) == []


def test_a_run_on_data_that_are_no_longer_there_can_still_be_shown(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "empty"))
    assert [result.id for result in rebuild(folder).results] == [
        one.id for one in folder.runs_of(data_trial.ID)
    ]


def test_a_damaged_table_of_a_run_on_other_data_is_named_on_the_page(folder):
    other = folder.runs_of(data_trial.ID)[1]
    other.table.write_bytes(b"PAR1 torn")
    (chapter,) = chapters(folder)
    assert [section.id for section in chapter.sections] == [data_trial.ID]
    assert chapter.absent == {
        other.id: "Fig. 0, its table was damaged (it is not a table); claims not judged: 1"
    }


def test_a_table_under_another_data_sets_name_is_not_shown_and_nothing_is_written_elsewhere(folder):
    own, other = folder.runs_of(data_trial.ID)
    stray = folder.experiment(f"{data_trial.ID}@kmnist")
    shutil.copytree(other.path, stray.path)
    evil = folder.experiment(f"{data_trial.ID}@evil")
    run = own.read()
    evil.write_table(run.table(), dataclasses.replace(run.metadata, data="../../../evil"))
    before = other.table.read_bytes()
    with pytest.warns(NormscopeWarning, match="its table is that of"):
        rebuilt = rebuild(folder)
    assert [result.id for result in rebuilt.results] == [own.id, other.id]
    assert set(rebuilt.absent) == {stray.id, evil.id}
    assert other.table.read_bytes() == before
    assert not list(folder.path.parent.parent.rglob("evil"))


def test_python_takes_the_name_of_the_data(monkeypatch, tmp_path):
    import normscope as ns

    seen = []
    monkeypatch.setattr(
        Reproduction, "run", lambda self, observer: seen.append(self.experiments) or ["result"]
    )
    assert ns.reproduce(data_trial.ID, data="fashion-mnist", out=tmp_path) == "result"
    assert [one.id for one in seen[0]] == [f"{data_trial.ID}@fashion-mnist"]
    with pytest.raises(InputError, match="did you mean kmnist"):
        ns.reproduce(data_trial.ID, data="kmnst", out=tmp_path)


@pytest.fixture
def subset(tmp_path, monkeypatch):
    """A folder with a few images under MNIST's name."""
    place = tmp_path / "data" / "mnist"
    place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 45), ("t10k", 7)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", np.zeros(count, np.uint8))):
            head = bytes((0, 0, 8, array.ndim)) + b"".join(side.to_bytes(4, "big") for side in array.shape)
            (place / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "cache"))


def test_files_that_nobody_has_published_are_marked_as_such(subset, tmp_path):
    result = run_trial(tmp_path, "mnist")
    digest = data.digest("mnist")[:12]
    note = (
        "Judged on mnist, the paper's data, in place of mnist5k, which the quick scale has; "
        f"the images of mnist are not the published ones (content digest {digest})."
    )
    assert result.data_note == note
    assert result.notes == (note,)
    (row,) = json.loads((tmp_path / "scorecard.json").read_text())
    assert row["data_note"] == note
    assert "45 training and 7 validation examples" in result.settings["run on"]
    assert digest in result.settings["run on"]


def test_a_papers_own_run_on_a_subset_is_refused_where_it_is_too_small(subset, tmp_path):
    with pytest.raises(InputError, match="50 training images of mnist are wanted, but it has 45"):
        run_trial(tmp_path, scale=Scale.LAPTOP)
