"""Which cells of a results folder count as referred to."""

import dataclasses

import pytest
import trial

from normscope.disk.aside import set_aside
from normscope.errors import InputError, NormscopeWarning
from normscope.papers import catalogue
from normscope.protocol import Rows, Scale
from normscope.results import ResultsFolder, RunMetadata, files
from normscope.results.cleaning import clean
from normscope.store import StoreError, shared_use

METADATA = RunMetadata(Scale.QUICK, {}, {})


@dataclasses.dataclass(frozen=True)
class Searching:
    """An experiment that asks for one more cell for each that is finished, three in all."""

    id: str = "trial.search"

    def cells(self, scale, table):
        known = len(set(table["cell"])) if len(table) else 0
        return [trial.count_from.cell(trial.Number(start)) for start in range(min(known + 1, 3))]


@dataclasses.dataclass(frozen=True)
class Entry:
    id: str = "trial.search"

    def load(self):
        return Searching()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "ENTRIES", (Entry(),))
    return ResultsFolder(tmp_path)


def keep(folder, *starts):
    keys = []
    for start in starts:
        rows = Rows()
        rows.add("root", 1.0)
        keys.append(trial.count_from.cell(trial.Number(start)).key(str))
        folder.store.write(keys[-1], rows.table(), {"seconds": 1.0})
    return keys


def table_of(folder, start):
    cell = trial.count_from.cell(trial.Number(start))
    return folder.store.table({cell.key(str): cell})


def test_cells_stay_that_an_experiment_asks_for_in_any_round(folder):
    wanted, unwanted = keep(folder, 0, 1, 2), keep(folder, 3)
    (removal,) = clean(folder)
    assert removal.count == len(unwanted)
    assert folder.store.keys() == set(wanted)


def test_cells_of_an_accelerator_stay_like_those_of_the_cpu(folder):
    keys = []
    for start in (0, 1, 5):
        rows = Rows()
        rows.add("root", 1.0)
        keys.append(trial.count_from.cell(trial.Number(start)).on("cuda").key(str))
        folder.store.write(keys[-1], rows.table(), {"seconds": 1.0})
    clean(folder)
    assert folder.store.keys() == set(keys[:2])


def test_cells_stay_that_a_stored_table_or_an_unfinished_run_names(folder):
    keep(folder, 3, 4, 5)
    folder.experiment("mine").write_table(table_of(folder, 4), METADATA)
    folder.experiment("other").write_unfinished(keep(folder, 5))
    clean(folder)
    assert folder.store.keys() == {*keep(folder, 4), *keep(folder, 5)}


def damage_table(folder):
    stored = folder.experiment("mine")
    stored.write_table(table_of(folder, 4), METADATA)
    content = bytearray(stored.table.read_bytes())
    content[len(content) // 2] ^= 1
    stored.table.write_bytes(content)


def set_table_aside(folder):
    damage_table(folder)
    set_aside(folder.experiment("mine").table)


def link_folder(folder):
    elsewhere = ResultsFolder(folder.path.parent / "elsewhere")
    elsewhere.experiment("mine").write_table(table_of(folder, 4), METADATA)
    folder.experiment("mine").path.symlink_to(elsewhere.experiment("mine").path)


def put_another_programs_table(folder):
    folder.experiment("mine").path.mkdir()
    table_of(folder, 4).to_parquet(folder.experiment("mine").table)


@pytest.mark.parametrize("spoil", [damage_table, set_table_aside, link_folder, put_another_programs_table])
def test_while_a_table_cannot_be_read_every_cell_is_kept_and_the_table_named(folder, spoil):
    kept = keep(folder, 3, 4, 5)
    spoil(folder)
    before = {path: path.lstat().st_mtime_ns for path in folder.path.rglob("*.parquet")}
    for dry_run in (True, False, False):
        with pytest.warns(NormscopeWarning, match="every cell is kept.*mine"):
            assert clean(folder, dry_run=dry_run) == []
    assert folder.store.keys() == set(kept)
    assert {path: path.lstat().st_mtime_ns for path in before} == before


def test_a_damaged_note_is_set_aside_and_every_cell_is_kept_until_its_run_has_ended(folder):
    kept = keep(folder, 3, 4, 5)
    stored = folder.experiment("mine")
    stored.write_unfinished(kept[:1])
    stored.unfinished.write_text("[torn")
    with pytest.warns(NormscopeWarning, match="every cell is kept.*note of a run"):
        clean(folder, dry_run=True)
    assert stored.unfinished.exists()
    for _ in range(2):
        with pytest.warns(NormscopeWarning, match="every cell is kept.*note of a run"):
            assert clean(folder) == []
        assert [path.name for path in stored.set_aside_files()] == ["unfinished.json"]
        assert folder.store.keys() == set(kept)
    stored.remove_unfinished()
    assert [removal.count for removal in clean(folder)] == [3]


def test_a_note_that_cannot_be_read_now_keeps_every_cell_and_stays(folder, monkeypatch):
    kept = keep(folder, 3)
    stored = folder.experiment("mine")
    stored.write_unfinished([])

    def refuse(path, *limit):
        raise OSError(5, "Input/output error") if path == stored.unfinished else FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_file", refuse)
        with pytest.warns(NormscopeWarning, match="cannot read .*unfinished.json: Input/output error"):
            clean(folder)
    assert stored.unfinished.exists()
    assert folder.store.keys() == set(kept)


def test_what_was_set_aside_goes_once_it_has_been_made_again(folder):
    keep(folder, 0, 4)
    set_table_aside(folder)
    (folder.path / "_unreadable").mkdir()
    (folder.path / "_unreadable" / "scorecard.json").write_text("torn")
    folder.experiment("mine").write_table(table_of(folder, 4), METADATA)
    (removal,) = clean(folder)
    assert (removal.what, removal.count) == ("damaged tables, scorecards and pages", 2)
    assert clean(folder) == []


def test_nothing_is_removed_through_a_link(folder, tmp_path_factory):
    keep(folder, 0)
    mine = tmp_path_factory.mktemp("mine")
    (mine / "data.parquet").write_text("precious")
    (mine / ".data.parquet.0123456789abcdef.tmp").write_text("precious")
    folder.experiment("p.fig1").path.mkdir()
    for link in ("_unreadable", "p.fig1/_unreadable", "linked"):
        (folder.path / link).symlink_to(mine)
    folder.experiment("p.fig1").write_table(table_of(folder, 0), METADATA)
    with pytest.warns(NormscopeWarning, match="linked: it is a link"):
        clean(folder)
    assert sorted(path.name for path in mine.iterdir()) == [
        ".data.parquet.0123456789abcdef.tmp",
        "data.parquet",
    ]


def test_a_folder_that_a_run_is_using_is_left_alone(folder):
    keep(folder, 3)
    with shared_use(folder.store.folder):
        with pytest.raises(StoreError, match="a run is using"):
            clean(folder)
        assert clean(folder, dry_run=True)[0].count == 1
    assert folder.store.keys() == set(keep(folder, 3))


def test_half_written_reports_of_killed_runs_are_removed(folder):
    keep(folder, 0)
    folder.experiment("mine").write_unfinished([])
    places = [
        folder.path / ".report.html.0123456789abcdef.tmp",
        folder.path / "mine" / ".figure.png.0123456789abcdef.tmp",
    ]
    for path in places:
        path.touch()
    (removal,) = clean(folder)
    assert removal.count == len(places)
    assert not any(path.exists() for path in places)


def test_a_folder_without_results_is_refused_and_nothing_is_removed(tmp_path):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "blood.parquet").touch()
    with pytest.raises(InputError, match="holds no results"):
        clean(ResultsFolder(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["cells", "blood.parquet"]


def test_damaged_cells_are_named_at_once_and_do_not_stop_the_cleaning(folder):
    wanted, (unwanted,) = keep(folder, 0, 1, 2), keep(folder, 7)
    for key in wanted[:2]:
        folder.store.path(key).write_bytes(b"PAR1 torn")
    with pytest.warns(NormscopeWarning, match="and 1 more is damaged: the next run of its experiment"):
        removals = clean(ResultsFolder(folder.path), dry_run=True)
    assert [(removal.what, removal.count) for removal in removals if "damaged" in removal.what] == []
    assert folder.store.path(wanted[0]).exists()
    with pytest.warns(NormscopeWarning, match="and 1 more is damaged, and goes"):
        removals = clean(ResultsFolder(folder.path))
    assert ("damaged files", 2) in [(removal.what, removal.count) for removal in removals]
    assert not folder.store.path(unwanted).exists()
