"""Which cells of a results folder count as referred to."""

import dataclasses

import pytest
import trial

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Rows, Scale
from normscope.results import ResultsFolder, RunMetadata
from normscope.results.cleaning import clean
from normscope.store import StoreError, shared_use


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


def test_cells_stay_that_a_stored_table_or_an_unfinished_run_names(folder):
    keep(folder, 3, 4, 5)
    folder.experiment("mine").write_table(table_of(folder, 4), RunMetadata(Scale.QUICK, {}, {}))
    folder.experiment("other").write_unfinished(keep(folder, 5))
    clean(folder)
    assert folder.store.keys() == {*keep(folder, 4), *keep(folder, 5)}


def test_a_damaged_table_stops_it_before_anything_is_removed(folder):
    keep(folder, 3)
    folder.experiment("mine").path.mkdir()
    folder.experiment("mine").table.write_bytes(b"torn")
    with pytest.raises(InputError, match="is not a table"):
        clean(folder)
    assert folder.store.keys() == set(keep(folder, 3))


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
