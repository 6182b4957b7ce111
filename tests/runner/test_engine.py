import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from processes import alive, wait_until
from sample_cells import Behaviour, Numbers, behave, numbers

from normscope import devices, runner
from normscope.runner import Observer, local
from normscope.store import Store, StoreError


class Listener(Observer):
    def __init__(self):
        self.heard = []

    def started(self, cell):
        self.heard.append(("started", cell.config))

    def finished(self, cell, seconds):
        self.heard.append(("finished", cell.config))

    def retried(self, cell, error):
        self.heard.append(("retried", cell.config))

    def failed(self, cell, error):
        self.heard.append(("failed", cell.config))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def keyed(cells):
    return {cell.key(str): cell for cell in cells}


def run(cells, store, workers=2, observer=None, **options):
    return runner.run(runner.plan(keyed(cells), store, workers), store, observer or Observer(), **options)


def test_every_cell_is_run_and_kept_and_reported(store):
    cells = [numbers.cell(Numbers(float(start))) for start in range(5)]
    listener = Listener()
    assert run(cells, store, observer=listener) == {}
    assert store.table(keyed(cells)).groupby("start").size().to_dict() == dict.fromkeys(
        map(float, range(5)), 4
    )
    assert sorted(config.start for event, config in listener.heard if event == "finished") == list(range(5))


def test_finished_cells_are_found_and_not_run_again(store, tmp_path):
    cells = [behave.cell(Behaviour("fine", str(tmp_path)))]
    run(cells, store)
    again = runner.plan(keyed(cells), store, 2)
    assert (len(again.reused), len(again.new)) == (1, 0)
    runner.run(again, store, Observer())
    assert len((tmp_path / "traces").read_text().splitlines()) == 1


def test_fresh_runs_finished_cells_again(store):
    cells = [numbers.cell(Numbers(1.0))]
    run(cells, store)
    assert len(runner.plan(keyed(cells), store, 2, fresh=True).new) == 1


def test_any_number_of_workers_gives_the_same_bytes_of_data(tmp_path):
    cells = [numbers.cell(Numbers(0.1 * start)) for start in range(6)]
    tables = []
    for workers in (1, 2, 3):
        store = Store(tmp_path / str(workers))
        run(cells, store, workers)
        tables.append({key: store.read(key).rows for key in keyed(cells)})
    assert all(table[key].equals(tables[0][key]) for table in tables for key in tables[0])


def test_longer_cells_start_first(store):
    cells = [behave.cell(Behaviour("fine", seconds=seconds)) for seconds in (0.0, 0.2, 0.1)]
    listener = Listener()
    run(cells, store, workers=1, observer=listener)
    started = [config.seconds for event, config in listener.heard if event == "started"]
    assert started == [0.2, 0.1, 0.0]


def test_bad_cells_are_listed_with_their_errors_and_the_rest_is_run(store):
    errors = {
        "raise": "RuntimeError: this went wrong",
        "refuse": "this was refused.",
        "exit": "exit status 7: about to leave",
        "killed": "signal 9",
    }
    bad = [behave.cell(Behaviour(kind)) for kind in errors]
    good = [numbers.cell(Numbers(float(start))) for start in range(3)]
    listener = Listener()
    failures = run([*bad, *good], store, observer=listener)
    assert failures.keys() == keyed(bad).keys()
    for key, cell in keyed(bad).items():
        assert errors[cell.config.kind] in failures[key]
        assert ("failed", cell.config) in listener.heard
    assert len(store.table(keyed(good))) == 3 * 4


def test_a_cell_whose_worker_died_is_tried_twice_more(store, tmp_path):
    listener = Listener()
    run([behave.cell(Behaviour("killed", str(tmp_path)))], store, observer=listener)
    assert len((tmp_path / "traces").read_text().splitlines()) == 3
    assert [event for event, _ in listener.heard].count("retried") == 2


def test_a_cell_whose_worker_died_once_succeeds(store, tmp_path):
    cells = [behave.cell(Behaviour("killed once", str(tmp_path)))]
    assert run(cells, store) == {}
    assert len(store.table(keyed(cells))) == 1


def test_a_cell_that_hangs_is_stopped_at_its_time_out_and_not_tried_again(store, tmp_path):
    hanging, fine = behave.cell(Behaviour("fine", str(tmp_path), seconds=60)), numbers.cell(Numbers(1.0))
    started = time.monotonic()
    failures = run([hanging, fine], store, workers=1, timeout=5)
    assert time.monotonic() - started < 50
    assert failures == {hanging.key(str): "stopped after 5 s (--cell-timeout)"}
    assert len((tmp_path / "traces").read_text().splitlines()) == 1
    assert len(store.table(keyed([fine]))) == 4


def test_what_a_cell_prints_does_not_disturb_the_workers_answers(store):
    assert run([behave.cell(Behaviour("print")), numbers.cell(Numbers(1.0))], store, workers=1) == {}


def test_a_store_that_cannot_be_written_stops_the_run_before_it_starts(tmp_path):
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file")
    with pytest.raises(StoreError):
        run([numbers.cell(Numbers(1.0))], store)


def test_workers_end_when_the_driver_is_killed(store, tmp_path):
    script = textwrap.dedent(f"""
        from sample_cells import Behaviour, behave
        from normscope import runner
        from normscope.store import Store
        store = Store({str(tmp_path / "cells")!r})
        cell = behave.cell(Behaviour("fine", {str(tmp_path)!r}, seconds=600))
        runner.run(runner.plan({{cell.key(str): cell}}, store, 1), store, runner.Observer())
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen([sys.executable, "-c", script], env=environment)
    traces = tmp_path / "traces"
    wait_until(lambda: traces.exists() and traces.read_text().endswith("\n"))
    worker = int(traces.read_text().split()[-1])
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not alive(worker))


def test_a_cell_of_a_script_is_refused_in_a_sentence_since_no_worker_can_import_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import dataclasses
            from pathlib import Path
            from normscope import runner
            from normscope.protocol import Rows, cell
            from normscope.store import Store

            @dataclasses.dataclass(frozen=True)
            class Nothing:
                pass

            @cell(name="mine.inline", version=1)
            def inline(config: Nothing):
                return Rows().table()

            store = Store(Path("cells"))
            made = inline.cell(Nothing())
            plan = runner.plan({made.key(str): made}, store, 1)
            print(*runner.run(plan, store, runner.Observer()).values())
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == (
        "cell 'mine.inline' is defined in a script or notebook, which workers cannot import: move it to a module."
    )


def test_a_cell_that_reads_the_standard_input_gets_an_end_and_not_the_drivers_requests(
    store, tmp_path, monkeypatch
):
    """Whatever encoding the user has chosen for the standard input."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-16")
    cells = [behave.cell(Behaviour(kind, str(tmp_path))) for kind in ("read", "fine")]
    assert run(cells, store, workers=1, timeout=60) == {}


def test_a_worker_whose_accelerator_is_broken_runs_no_other_cell(store, tmp_path):
    broken = behave.cell(Behaviour("broken accelerator", str(tmp_path), seconds=1.0))
    fine = behave.cell(Behaviour("fine", str(tmp_path)))
    listener = Listener()
    failures = run([broken, fine], store, workers=1, observer=listener)
    assert failures == {broken.key(str): "RuntimeError: CUDA error: device-side assert triggered"}
    first, second = (line.split()[-1] for line in (tmp_path / "traces").read_text().splitlines())
    assert first != second
    assert "retried" not in [event for event, _ in listener.heard]


def test_an_accelerator_without_memory_left_is_told_like_a_machine_without(store):
    cell = behave.cell(Behaviour("full accelerator"))
    assert run([cell], store) == {cell.key(str): "out of memory: fewer workers leave more for each."}


def test_a_cell_for_a_device_that_is_not_there_fails_with_the_reason(store):
    cell = numbers.cell(Numbers(1.0)).on("cuda")
    (failure,) = run([cell], store).values()
    assert failure == "torch finds no cuda device on this machine: it has cpu."


def test_workers_take_several_gpus_in_turn(store, monkeypatch):
    given = []

    class Recorded(local.WorkerProcess):
        def __init__(self, settings):
            given.append(settings.environment.get("CUDA_VISIBLE_DEVICES"))
            super().__init__(settings)

    monkeypatch.setattr(local, "WorkerProcess", Recorded)
    monkeypatch.setattr(devices, "visible_gpus", lambda: ["4", "7"])
    run(
        [behave.cell(Behaviour("fine", seconds=0.1 * index)).on("cuda") for index in range(3)],
        store,
        workers=3,
    )
    assert sorted(given) == ["4", "4", "7"]


@pytest.mark.parametrize(("gpus", "workers"), [(1, 4), (2, 8), (100, 12), (0, 1)])
def test_four_workers_share_a_gpu_but_no_more_than_there_are_cores(monkeypatch, gpus, workers):
    monkeypatch.setattr(devices, "models", lambda kind: ["GPU"] * gpus)
    monkeypatch.setattr(local, "available_cores", lambda: 12)
    assert local.LocalEngine().workers("cuda") == workers
    assert local.LocalEngine().workers("cpu") == 12
