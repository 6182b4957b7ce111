import pytest
from sample_cells import Numbers, numbers

from normscope import runner
from normscope.runner import Observer
from normscope.runner.tasks import TaskQueue
from normscope.runner.worker import run_and_store
from normscope.store import Store
from normscope.store.locks import CellLocks

CELL = numbers.cell(Numbers(1.0))
KEY = CELL.key(str)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "cells")
    store.check_writable()
    return store


class Listener(Observer):
    def __init__(self):
        self.ended = []

    def finished(self, cell, seconds):
        self.ended.append(cell)


def finish_elsewhere(store):
    run_and_store(numbers, CELL.config, KEY, store, {})


def test_a_cell_that_another_process_has_finished_since_is_reported_and_not_run(store):
    listener = Listener()
    with CellLocks(store.folder) as locks:
        queue = TaskQueue(runner.plan({KEY: CELL}, store, 1), store, listener, locks)
        finish_elsewhere(store)
        assert queue.take() is None
    assert listener.ended == [CELL]
    assert not queue.waiting


def test_a_fresh_run_runs_a_cell_that_was_in_the_store_before(store):
    finish_elsewhere(store)
    with CellLocks(store.folder) as locks:
        queue = TaskQueue(runner.plan({KEY: CELL}, store, 1, fresh=True), store, Listener(), locks)
        assert queue.take().key == KEY


def test_a_cell_that_another_process_has_finished_after_the_plan_does_not_run_twice(store):
    listener = Listener()
    plan = runner.plan({KEY: CELL}, store, 1)
    finish_elsewhere(store)
    with CellLocks(store.folder) as locks:
        assert TaskQueue(plan, store, listener, locks).take() is None
    assert listener.ended == [CELL]


def test_a_cell_found_when_its_turn_comes_is_flushed_before_it_is_reported(store, monkeypatch):
    order = []

    class Order(Observer):
        def finished(self, cell, seconds):
            order.append("reported")

    monkeypatch.setattr(store, "flush", lambda: order.append("flushed"))
    plan = runner.plan({KEY: CELL}, store, 1)
    finish_elsewhere(store)
    with CellLocks(store.folder) as locks:
        TaskQueue(plan, store, Order(), locks).take()
    assert order == ["flushed", "reported"]
