"""A Ray of the user's own: started by the program, or a cluster that demands the user's token."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="needs Ray: pip install 'normscope[ray]'")
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.long, pytest.mark.faults]

RUN = """
import os, sys
from pathlib import Path
import ray
from sample_cells import Numbers, numbers
from normscope import runner
from normscope.store import Store

def changes(before):
    return {name: os.environ.get(name) for name, value in dict(os.environ).items() ^ before.items()}

def run(engine, name):
    store, cell = Store(Path(name)), numbers.cell(Numbers(1.0))
    plan = runner.plan({cell.key(str): cell}, store, 1)
    failures = runner.run(plan, store, runner.Observer(), engine=engine)
    assert failures == {}, failures
    return len(store.table({cell.key(str): cell}))
"""

STARTED = """
ray.init("local", num_cpus=1, include_dashboard=False, object_store_memory=100_000_000, logging_level="ERROR")
before, kept = dict(os.environ), ray.put(7)
engine = runner.make_engine("ray")
assert run(engine, "cells") == 4
engine.close()
assert ray.is_initialized() and ray.get(kept) == 7
assert changes(before) == {}, changes(before)
"""

# The engine starts Ray, closes it, and the program then starts one that is set up as if nothing had been.
AFTERWARDS = """
before = dict(os.environ)
engine = runner.make_engine("ray")
assert run(engine, "cells") == 4
assert ray.util.get_node_ip_address() == "127.0.0.1"
engine.close()
assert changes(before) == {}, changes(before)
ray.init("local", num_cpus=1, include_dashboard=False, object_store_memory=100_000_000, logging_level="ERROR")
assert ray.get(ray.remote(lambda: 7).remote()) == 7
assert ray._raylet.get_authentication_mode() == ray._raylet.AuthenticationMode.DISABLED
"""

CLUSTER = """
from ray.cluster_utils import Cluster
from normscope.errors import InputError
node = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=node)
engine = runner.make_engine("ray", cluster.address)
assert run(engine, "joined") == 4
engine.close()
os.environ["RAY_AUTH_TOKEN"] = "another"
try:
    run(runner.make_engine("ray", cluster.address), "refused")
except InputError as error:
    assert str(error).startswith("no Ray cluster to join"), error
    assert len(str(error).splitlines()) == 1
else:
    raise SystemExit("a wrong token was let in")
os.environ["RAY_AUTH_TOKEN"] = "mine" * 8
cluster.shutdown()
"""


@pytest.mark.parametrize(
    ("program", "variables"),
    [
        (STARTED, {}),
        (STARTED, {"RAY_AUTH_MODE": "disabled"}),
        (AFTERWARDS, {"RAY_AUTH_MODE": "disabled"}),
        (CLUSTER, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "mine" * 8}),
    ],
    ids=["started with Ray's defaults", "started open", "started afterwards", "a cluster with a token"],
)
def test_a_program_with_a_ray_of_its_own_goes_on_working(tmp_path, program, variables):
    cleared = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = os.pathsep.join(filter(None, sys.path))
    ended = subprocess.run(
        [sys.executable, "-c", RUN + program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**cleared, "PYTHONPATH": path, "HOME": str(tmp_path), **variables},
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
