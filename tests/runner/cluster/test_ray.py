"""The real Ray: started here, and a cluster of two nodes on this machine."""

import importlib
import os
import shutil
import signal
import textwrap
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from processes import descendants, parent, wait_until
from sample_cells import Behaviour, Numbers, behave, numbers

from normscope import data, runner
from normscope.errors import InputError
from normscope.papers.chai2020.cells.lenet import LeNetTraining, train_lenet
from normscope.runner import Observer
from normscope.store import Store, StoreError

pytest.importorskip("ray", reason="needs Ray: pip install 'normscope[ray]'")
pytestmark = pytest.mark.xdist_group("ray")

# With these a lost node is noticed within seconds rather than half a minute.
_SETTINGS = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}


class Listener(Observer):
    def __init__(self, on_start=lambda cell: None, on_end=lambda cell: None):
        self.retries, self.ended = [], 0
        self._on_start, self._on_end = on_start, on_end

    def started(self, cell):
        self._on_start(cell)

    def finished(self, cell, seconds):
        self.ended += 1
        self._on_end(cell)

    def retried(self, cell, error):
        self.retries.append(error)


@pytest.fixture(scope="module")
def cluster(here):
    from ray.cluster_utils import Cluster

    here.close()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _SETTINGS.items():
            patch.setenv(name, value)
        node = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
        found = Cluster(initialize_head=True, head_node_args=node)
        found.add_node(**node)
        yield found
        found.shutdown()


@pytest.fixture(scope="module")
def lent(tmp_path_factory):
    """The only folder from which the driver takes the data sets' files."""
    return tmp_path_factory.mktemp("lent")


@pytest.fixture(scope="module")
def joined(cluster, lent):
    """An engine that joins the cluster."""

    def files(name):
        copies = {called: shutil.copy(path, lent / called) for called, path in data.portable(name).items()}
        return {called: Path(path) for called, path in copies.items()}

    engine = runner.make_engine("ray", cluster.address, runner.DataFiles(files, data.GIVEN_VARIABLE))
    yield engine
    engine.close()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def keyed(cells):
    return {cell.key(data.digest if cell.data else str): cell for cell in cells}


def run(cells, store, engine=None, workers=2, observer=None, **options):
    plan = runner.plan(keyed(cells), store, workers)
    return runner.run(plan, store, observer or Observer(), engine=engine, **options)


def begun(folder):
    """The processes that have begun a cell."""
    traces = folder / "traces"
    return [int(line.split()[-1]) for line in traces.read_text().splitlines()] if traces.exists() else []


def ancestors(process):
    """The process and those that started it, as far back as they exist."""
    found = set()
    while process is not None and process > 1:
        found.add(process)
        process = parent(process)
    return found


def columns(store, cells):
    """The bits of every cell's columns, by key."""
    found = {}
    for key in keyed(cells):
        rows = store.read(key).rows.replace_schema_metadata(None).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        found[key] = sink.getvalue().to_pybytes()
    return found


def test_one_worker_two_workers_and_ray_give_the_same_bits(here, tmp_path):
    cells = [numbers.cell(Numbers(0.1 * start)) for start in range(4)]
    cells += [
        train_lenet.cell(LeNetTraining(norm, 0.5, 0, "mnist5k", 1000, 1)) for norm in ("none", "suppress")
    ]
    local, found = runner.make_engine(), []
    for name, engine, workers in (("one", local, 1), ("two", local, 2), ("ray", here, 2)):
        store = Store(tmp_path / name)
        assert run(cells, store, engine, workers) == {}
        found.append(columns(store, cells))
    local.close()
    assert found[0] == found[1] == found[2]


def test_bad_cells_are_listed_with_their_errors_and_the_rest_is_run(here, store):
    errors = {"raise": "RuntimeError: this went wrong", "exit": "exit status 7: about to leave"}
    bad = [behave.cell(Behaviour(kind)) for kind in errors]
    good = [numbers.cell(Numbers(float(start))) for start in range(3)]
    failures = run([*bad, *good], store, here)
    assert failures.keys() == keyed(bad).keys()
    assert all(errors[cell.config.kind] in failures[key] for key, cell in keyed(bad).items())
    assert len(store.table(keyed(good))) == 3 * 4


def test_a_cell_whose_worker_died_is_tried_again(here, store, tmp_path):
    listener = Listener()
    assert run([behave.cell(Behaviour("killed once", str(tmp_path)))], store, here, observer=listener) == {}
    assert len(listener.retries) == 1
    assert "signal 9" in listener.retries[0]


def test_a_cell_that_hangs_is_stopped_at_its_time_out(here, store):
    hanging, fine = behave.cell(Behaviour("fine", seconds=60)), numbers.cell(Numbers(1.0))
    failures = run([hanging, fine], store, here, timeout=5)
    assert failures == {hanging.key(str): "stopped after 5 s (--cell-timeout)"}
    assert len(store.table(keyed([fine]))) == 4


def test_once_ended_ray_leaves_nothing_behind(usual_handler, usual_environment, here, store):
    run([numbers.cell(Numbers(1.0))], store, here)
    folder, started = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent, descendants(os.getpid())
    assert any(str(folder) in words for words in started.values())
    here.close()
    assert signal.getsignal(signal.SIGTERM) == usual_handler
    assert {name: value for name, value in os.environ.items() if name.startswith("RAY_")} == usual_environment
    assert not folder.exists()
    assert not any(str(folder) in words for words in descendants(os.getpid()).values())


def test_no_more_cells_run_than_workers_were_asked_for(joined, store, tmp_path):
    cells = [behave.cell(Behaviour("fine", str(tmp_path), seconds=0.01 * index)) for index in range(6)]
    assert joined.workers("cpu") == 2
    under_way, most = set(), []

    def begin(cell):
        under_way.add(cell)
        most.append(len(under_way))

    assert run(cells, store, joined, workers=1, observer=Listener(begin, under_way.discard)) == {}
    assert max(most) == 1


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """The name of a user's module in the working directory, which no node has seen."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / f"own_cells_{os.getpid()}.py").write_text(
        textwrap.dedent("""
            import dataclasses
            from normscope import data
            from normscope.protocol import Rows, cell

            @dataclasses.dataclass(frozen=True)
            class Look:
                data: str

            @cell(name="own.look", version=1, data=lambda config: (config.data,))
            def look(config: Look):
                rows = Rows()
                rows.add("module", 1.0, layer=__file__)
                loaded = data.load(config.data)
                images = loaded.train_images
                rows.add("images", float(images.sum(dtype="int64")), layer=str(images.filename))
                return rows.table()
        """)
    )
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(str(tmp_path / "work"))
    return f"own_cells_{os.getpid()}"


def test_nodes_get_data_and_the_users_modules_through_ray(joined, lent, store, own_modules):
    look = importlib.import_module(own_modules).look
    cells = [look.cell(look.config_type("mnist5k"))]
    # When a cell starts, what it needs is in Ray's object store and nowhere else.
    listener = Listener(on_start=lambda cell: shutil.rmtree(lent))
    assert run(cells, store, joined, observer=listener) == {}
    rows = store.table(keyed(cells)).set_index("measure")
    assert rows["value"]["images"] == data.load("mnist5k").train_images.sum(dtype="int64")
    arrived = [Path(rows["layer"][measure]).parent for measure in ("module", "images")]
    assert all(folder.parent.name == f"normscope-{os.getuid()}-nodes" for folder in arrived)
    for folder in arrived:
        shutil.rmtree(folder)


def test_with_one_of_two_nodes_killed_half_way_every_cell_is_finished_once(cluster, joined, store, tmp_path):
    node = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    raylet = node.all_processes["raylet"][0].process.pid
    cells = [behave.cell(Behaviour("wait", str(tmp_path), seconds=0.001 * index)) for index in range(16)]

    def kill():
        try:
            wait_until(lambda: any(raylet in ancestors(pid) for pid in begun(tmp_path)))
            cluster.remove_node(node, allow_graceful=False)
        finally:
            (tmp_path / "go").touch()

    listener = Listener()
    killing = threading.Thread(target=kill)
    killing.start()
    assert joined.workers("cpu") == 3
    assert run(cells, store, joined, workers=3, observer=listener) == {}
    killing.join()
    assert listener.retries
    assert all("lost" in words for words in listener.retries)
    assert sorted(store.table(keyed(cells))["cell"]) == sorted(keyed(cells))
    assert listener.ended == len(cells)


def test_a_driver_that_cannot_write_ends_the_run_with_one_line(joined, store):
    cells = [numbers.cell(Numbers(float(start))) for start in range(4)]

    def obstruct(cell):
        store.path(cell.key(str)).mkdir()

    with pytest.raises(StoreError, match="cannot write to"):
        run(cells, store, joined, observer=Listener(on_start=obstruct))


def test_a_cluster_without_gpus_offers_none(joined):
    assert joined.kind_of("auto") == "cpu"
    with pytest.raises(InputError) as refused:
        joined.kind_of("cuda")
    assert str(refused.value) == "the Ray cluster offers no cuda device: it has cpu."


def test_a_cell_for_a_gpu_goes_to_the_node_that_has_one_and_takes_its_share(cluster, joined, store):
    node = cluster.add_node(num_cpus=8, num_gpus=1, object_store_memory=100_000_000)
    try:
        wait_until(lambda: joined.kind_of("auto") == "cuda")
        assert joined.workers("cuda") == 4
        cells = [numbers.cell(Numbers(1.0)).on("cuda"), numbers.cell(Numbers(1.0))]
        failures = run(cells, store, joined)
        # That node has a GPU in Ray's books only: its worker finds none.
        assert failures == {
            cells[0].key(str): "torch finds no cuda device on this machine: it has cpu.",
        }
    finally:
        cluster.remove_node(node)
