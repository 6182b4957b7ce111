"""Every bit of a table, and every kind of value in tables, scorecard and notes: no damage goes unnoticed."""

import dataclasses
import random
import shutil

import damaging
import pytest
import trial
from damaging import command

from normscope.errors import DamagedError, InputError
from normscope.results import ResultsFolder
from normscope.sweeping import _check_replaced

pytestmark = pytest.mark.faults
FEW = 4


@pytest.fixture(scope="module", autouse=True)
def _the_trial_is_the_catalogue():
    with damaging.trial_catalogue():
        yield


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A results folder with a table, a sweep, a note of an unfinished run, scorecard and page."""
    path = tmp_path_factory.mktemp("reported") / "runs"
    damaging.build(path)
    assert command("report", path) == (0, "")
    return path


@pytest.fixture
def out(reported, tmp_path):
    return shutil.copytree(reported, tmp_path / "runs")


def flips(content, chosen):
    for place in chosen:
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)


@pytest.mark.parametrize(
    "count", [pytest.param(400, id="few"), pytest.param(None, id="all", marks=pytest.mark.long)]
)
def test_no_flipped_bit_of_a_table_changes_what_is_read(reported, dice, count, tmp_path):
    stored = ResultsFolder(shutil.copytree(reported, tmp_path / "runs")).experiment(damaging.SWEEP)
    content = stored.table.read_bytes()
    chosen = range(8 * len(content)) if count is None else dice.sample(range(8 * len(content)), count)
    for flipped in flips(content, chosen):
        stored.table.write_bytes(flipped)
        with pytest.raises(DamagedError):
            stored.read()


ALL = [(name, damage, forged) for forged in (False, True) for name, damage in damaging.damages(forged=forged)]
FEW_OF_THEM = random.Random(15).sample(ALL, FEW)


def _named(chosen):
    return [
        pytest.param(damage, id=f"{name}{' (forged)' if forged else ''}") for name, damage, forged in chosen
    ]


def check_commands(out, damage):
    damage(out)
    cells = ResultsFolder(out).store.keys()
    for words in (["clean", out], ["report", out, "--csv", "-"], ["clean", out]):
        status, complaints = command(*words)
        assert status in (0, 1, 2)
        assert all(line.startswith("normscope: ") for line in complaints.splitlines())
        assert ResultsFolder(out).store.keys() == cells
    ResultsFolder(out).scorecard.read()


@pytest.mark.parametrize("damage", _named(FEW_OF_THEM))
def test_damage_of_some_kinds_ends_in_lines_and_not_in_a_traceback(out, damage):
    check_commands(out, damage)


@pytest.mark.long
@pytest.mark.parametrize("damage", _named(ALL))
def test_damage_of_every_kind_ends_in_lines_and_not_in_a_traceback(out, damage):
    check_commands(out, damage)


def test_after_damage_the_same_command_gives_the_same_results_again(out, reported, monkeypatch):
    """The trial's cells are all there: its table is made of them again, and the scorecard of the tables."""
    table = out / trial.ID / "data.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    (out / "scorecard.json").write_text("[")
    assert command("report", out)[0] == 1
    folder = ResultsFolder(out)
    assert {row["verdict"] for row in folder.scorecard.read()} == {"not judged"}
    status, complaints = command("reproduce", trial.ID, "--out", out)
    assert status == 0, complaints
    assert folder.scorecard.read()[0]["verdict"] == "holds"
    assert command("report", out) == (0, "")
    fresh = ResultsFolder(reported)
    assert folder.experiment(trial.ID).read().rows.equals(fresh.experiment(trial.ID).read().rows)


def test_a_stray_folder_never_keeps_the_others_from_the_page(out):
    run = out / damaging.SWEEP
    strays = ["a copy", "a\x1b[31m\nname", "n" * 255, "b\udcff", trial.ID + "@elsewhere", "old.fig1"]
    for name in strays:
        shutil.copytree(run, out / name)
    (out / "pandas").mkdir()
    ResultsFolder(out).experiment(trial.ID).read().table().to_parquet(out / "pandas" / "data.parquet")
    status, complaints = command("report", out)
    assert status == 0
    assert len(complaints.splitlines()) == len(strays) + 1
    assert "\x1b" not in complaints
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="trial.numbers"' in page
    assert 'id="a-sweep"' in page
    assert "\x1b" not in page
    assert page.count("another program wrote its table") == 1
    assert (out / "pandas" / "data.parquet").exists()


def test_no_name_in_a_table_is_imported_opened_or_looked_up(out, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    (tmp_path / "planted.py").write_text(f"open({str(trace)!r}, 'w')\ndef load(): raise AssertionError\n")
    monkeypatch.syspath_prepend(tmp_path)
    target = tmp_path / "secret"
    target.mkdir()
    (target / "train-images-idx3-ubyte").write_text("private")
    names = [
        "planted:load",
        f"images:{target}",
        f"idx:{target}",
        "planted:load#0123456789abcdef",
        str(target),
    ]
    for number, name in enumerate(names):
        copy = out / f"sweep{number}"
        shutil.copytree(out / damaging.SWEEP, copy)
        facts = {
            "name": name, "shape": [1, 8, 8], "kind": "images", "target_shape": [], "classes": 10, "train": 100,
            "test": 10, "digest": "0" * 64,
        }  # fmt: skip
        for path, value in (
            (["sweep", "own_data"], facts), (["sweep", "data"], name), (["data"], name),
            (["sweep", "networks"], ["planted:load"]), (["sweep", "norms"], ["planted:load", "entry_point"]),
            (["sweep", "loss"], "planted:load"),
        ):  # fmt: skip
            damaging.changed_metadata(copy.name, path, value, forged=True)(out)
        shutil.copytree(out / trial.ID, out / f"{trial.ID}@{number}")
        damaging.changed_metadata(f"{trial.ID}@{number}", ["data"], name, forged=True)(out)
    for words in (["report", out], ["clean", out], ["reproduce", trial.ID, "--out", out]):
        status, complaints = command(*words)
        assert status in (0, 1), complaints
    assert not trace.exists()
    assert 'id="sweep0"' in (out / "report.html").read_text(encoding="utf-8")


def test_a_sweep_of_a_billion_runs_takes_neither_time_nor_memory(out):
    damaging.changed_metadata(damaging.SWEEP, ["sweep", "seeds"], 10**12, forged=True)(out)
    status, complaints = command("report", out)
    assert (status, "more runs than any sweep can have" in complaints) == (1, True)


def test_a_damaged_sweep_of_its_name_does_not_keep_a_sweep_from_being_made_again(out):
    stored = ResultsFolder(out).experiment(damaging.SWEEP)
    experiment = stored.read().experiment()
    other = dataclasses.replace(experiment.sweep, rates=(0.5,))
    _check_replaced(stored, experiment.sweep)
    with pytest.raises(InputError, match="holds another sweep"):
        _check_replaced(stored, other)
    stored.table.write_bytes(b"torn")
    _check_replaced(stored, experiment.sweep)
