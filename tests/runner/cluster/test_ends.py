"""How a run on Ray ends before its work is done: signals, kills, and what is left for the next run."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from processes import alive, command, descendants, wait_until

from normscope.runner.cluster import session as session_file
from normscope.runner.cluster.folders import remove_leftovers

pytest.importorskip("ray", reason="needs Ray: pip install 'normscope[ray]'")
pytestmark = pytest.mark.xdist_group("ray")
LONG = [pytest.mark.long, pytest.mark.faults]


@pytest.fixture
def temporary():
    """A folder for temporary files whose name leaves room for the names of Ray's sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        yield Path(folder)


@pytest.fixture
def start(tmp_path, temporary):
    """Starts the command with Ray in a process of its own; what it leaves is ended with the test."""
    drivers = []

    def run(*arguments):
        drivers.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                stderr=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "TMPDIR": str(temporary)},
                cwd=tmp_path,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        return drivers[-1]

    yield run
    for driver in drivers:
        driver.kill()
        driver.communicate()
    tidy(temporary)


def tidy(temporary):
    """What the next start does first."""
    remove_leftovers(temporary, "ns-ray-", session_file._end_processes)


def reproduce(out):
    return "-m", "normscope", "reproduce", "chai2020.fig6", "--engine", "ray", "--out", out


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGHUP, 130, marks=LONG),
        pytest.param(signal.SIGTERM, 143, marks=LONG),
    ],
)
def test_a_signal_ends_ray_and_says_how_to_go_on(start, tmp_path, temporary, number, status):
    out = tmp_path / "runs"
    driver = start(*reproduce(out))
    wait_until(lambda: len(list((out / "cells").glob("*.parquet"))) >= 1)
    started = descendants(driver.pid)
    assert any("raylet" in words for words in started.values())
    driver.send_signal(number)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == status, said
    assert "the same command goes on" in said.splitlines()[-1]
    assert "Traceback" not in said
    wait_until(lambda: not any(command(process) == words for process, words in started.items()))
    assert list(temporary.glob("ns-*")) == []


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_so_does_a_signal_while_ray_is_starting(start, tmp_path, temporary, number, status):
    driver = start(*reproduce(tmp_path / "runs"))
    wait_until(lambda: any("raylet" in words for words in descendants(driver.pid).values()), every=0.001)
    started = descendants(driver.pid)
    driver.send_signal(number)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == status, said
    assert "Traceback" not in said
    wait_until(lambda: not any(command(process) == words for process, words in started.items()))
    assert list(temporary.glob("ns-*")) == []


DRIVER = """
import sys
from pathlib import Path
from sample_cells import Behaviour, behave
from normscope import runner
from normscope.store import Store

folder = Path(sys.argv[1])
cells = [behave.cell(Behaviour("wait", str(folder), index / 100)) for index in range(2)]
store = Store(folder / "cells")
engine = runner.make_engine("ray")
runner.run(runner.plan({cell.key(str): cell for cell in cells}, store, 2), store, runner.Observer(), engine=engine)
"""


def test_the_cells_of_a_killed_driver_end_at_once_and_the_next_start_removes_the_rest(
    start, tmp_path, temporary, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    driver = start("-c", DRIVER, tmp_path)
    traces = tmp_path / "traces"
    wait_until(lambda: traces.exists() and len(traces.read_text().splitlines()) == 2)
    cells = [int(line.split()[-1]) for line in traces.read_text().splitlines()]
    started = descendants(driver.pid)
    assert set(cells) <= set(started)
    driver.kill()
    driver.wait()
    wait_until(lambda: not any(alive(process) for process in cells), seconds=20)
    assert len(list(temporary.glob("ns-ray-*"))) == 1
    tidy(temporary)
    assert not any(alive(process) for process in started)
    assert list(temporary.glob("ns-*")) == []


MOMENTS = {
    "before Ray": lambda driver, temporary, cells: bool(list(temporary.glob("ns-ray-*"))),
    "the first process": lambda driver, temporary, cells: bool(descendants(driver.pid)),
    "the raylet": lambda driver, temporary, cells: "raylet" in " ".join(descendants(driver.pid).values()),
    "a Ray worker": lambda driver, temporary, cells: "ray::" in " ".join(descendants(driver.pid).values()),
    "a cell's worker": lambda driver, temporary, cells: (
        "runner.worker" in " ".join(descendants(driver.pid).values())
    ),
    "a finished cell": lambda driver, temporary, cells: bool(list(cells.glob("*.parquet"))),
}


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_goes_on_after_a_kill_and_leaves_nothing_of_the_first(start, tmp_path, temporary, moment):
    shared = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").exists() else set()
    out = tmp_path / "runs"
    driver = start(*reproduce(out))
    wait_until(lambda: MOMENTS[moment](driver, temporary, out / "cells"), every=0.001)
    started = descendants(driver.pid)
    driver.kill()
    driver.wait()
    again = start(*reproduce(out))
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert not any(alive(process) and command(process) == words for process, words in started.items())
    assert list(temporary.glob("ns-*")) == []
    if shared:
        assert set(Path("/dev/shm").iterdir()) <= shared
