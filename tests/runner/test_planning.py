import pytest
from sample_cells import Behaviour, behave

from normscope import runner
from normscope.protocol import Rows
from normscope.store import Store


def planned(costs, store, workers):
    cells = [behave.cell(Behaviour("fine", seconds=cost - 1)) for cost in costs]
    return runner.plan({cell.key(str): cell for cell in cells}, store, workers)


def test_the_estimate_divides_the_work_among_the_workers(tmp_path):
    estimate = planned([1, 2, 3, 6], Store(tmp_path), 3).estimate
    assert estimate.seconds == pytest.approx(6)
    assert planned([1, 2, 3, 4], Store(tmp_path), 2).estimate.seconds == pytest.approx(5)
    assert not estimate.measured


def test_the_estimate_follows_the_pace_of_finished_cells(tmp_path):
    store = Store(tmp_path)
    finished = behave.cell(Behaviour("fine", seconds=1))
    store.write(finished.key(str), Rows().table(), {"seconds": 20.0})
    estimate = planned([2, 5], store, 1).estimate
    assert estimate.seconds == pytest.approx(50)
    assert estimate.measured


def test_nothing_to_run_takes_no_time(tmp_path):
    assert planned([], Store(tmp_path), 2).estimate.seconds == 0


def test_fresh_plans_say_which_cells_the_store_had(tmp_path):
    store = Store(tmp_path)
    had, new = (behave.cell(Behaviour("fine", seconds=seconds)) for seconds in (1, 2))
    store.write(had.key(str), Rows().table(), {"seconds": 20.0})
    cells = {cell.key(str): cell for cell in (had, new)}
    assert runner.plan(cells, store, 1, fresh=True).again == {had.key(str)}
    assert runner.plan(cells, store, 1).again == frozenset()


def test_a_plan_runs_and_writes_nothing_but_sets_a_damaged_file_aside(tmp_path):
    store = Store(tmp_path)
    cell = behave.cell(Behaviour("fine"))
    store.check_writable()
    store.path(cell.key(str)).write_bytes(b"torn")
    plan = runner.plan({cell.key(str): cell}, store, 1)
    assert (len(plan.new), plan.damaged) == (1, 1)
    assert [path.parent.name for path in tmp_path.rglob("*.parquet")] == ["_unreadable"]
