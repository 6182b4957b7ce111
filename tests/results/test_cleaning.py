"""Which cells of a results folder count as referred to."""

import dataclasses

import pytest
import trial

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Rows
from normscope.results import cleaning, files
from normscope.store import Store, StoreError, shared_use


@dataclasses.dataclass(frozen=True)
class Searching:
    """An experiment that asks for a cell more for each that it has, three in all."""

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
def out(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "ENTRIES", (Entry(),))
    return tmp_path


@pytest.fixture
def store(out):
    return Store(out / "cells")


def keep(store, *starts):
    keys = []
    for start in starts:
        rows = Rows()
        rows.add("root", 1.0)
        keys.append(trial.count_from.cell(trial.Number(start)).key(str))
        store.write(keys[-1], rows.table(), {"seconds": 1.0})
    return keys


def table_of(store, start):
    cell = trial.count_from.cell(trial.Number(start))
    return store.table({cell.key(str): cell})


def test_what_an_experiment_asks_for_in_the_end_stays(out, store):
    wanted, unwanted = keep(store, 0, 1, 2), keep(store, 3)
    (removal,) = cleaning.clean(out)
    assert removal.count == len(unwanted)
    assert store.keys() == set(wanted)


def test_what_a_stored_table_or_an_unfinished_run_names_stays(out, store):
    keep(store, 3, 4, 5)
    files.write_table(out / "sweep-mine" / "data.parquet", table_of(store, 4), {"scale": "quick"})
    files.write_unfinished(out / "sweep-other", keep(store, 5))
    cleaning.clean(out)
    assert store.keys() == {*keep(store, 4), *keep(store, 5)}


def test_a_damaged_table_stops_it_before_anything_goes(out, store):
    keep(store, 3)
    (out / "sweep-mine").mkdir()
    (out / "sweep-mine" / "data.parquet").write_bytes(b"torn")
    with pytest.raises(InputError, match="is not a table"):
        cleaning.clean(out)
    assert store.keys() == set(keep(store, 3))


def test_a_folder_that_a_run_is_using_is_left_alone(out, store):
    keep(store, 3)
    with shared_use(store.folder):
        with pytest.raises(StoreError, match="a run is using"):
            cleaning.clean(out)
        assert cleaning.clean(out, dry_run=True)[0].count == 1
    assert store.keys() == set(keep(store, 3))


def test_what_killed_reports_left_behind_goes(out, store):
    keep(store, 0)
    (out / "sweep-mine").mkdir()
    files.write_unfinished(out / "sweep-mine", [])
    places = [
        out / ".report.html.0123456789abcdef.tmp",
        out / "sweep-mine" / ".figure.png.0123456789abcdef.tmp",
    ]
    for path in places:
        path.touch()
    (removal,) = cleaning.clean(out)
    assert removal.count == len(places)
    assert not any(path.exists() for path in places)


def test_a_folder_without_results_is_refused_and_nothing_goes(tmp_path):
    (tmp_path / "cells").mkdir()
    stranger = tmp_path / "cells" / "blood.parquet"
    stranger.touch()
    with pytest.raises(InputError, match="holds no results"):
        cleaning.clean(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["cells", "blood.parquet"]
