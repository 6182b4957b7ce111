"""What all tests share: no test reads or writes a user's cache, and none uses the network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from normscope.data import CATALOGUE


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fault-seed`` repeats the choices of a fault campaign."""
    parser.addoption("--fault-seed", type=int, default=None, help="seed of the kill campaign in tests/faults")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``needs_data(name)`` where the official files of that data set are not at hand."""
    for marker in item.iter_markers("needs_data"):
        (name,) = marker.args
        root = os.environ.get("NORMSCOPE_DATA", "")
        if not root:
            pytest.skip(f"needs the official files of {name}, and NORMSCOPE_DATA is not set")
        if not (Path(root) / CATALOGUE[name].folder).is_dir():
            pytest.skip(f"needs the official files of {name}, and NORMSCOPE_DATA holds none")


@pytest.fixture(scope="session", autouse=True)
def _session_cache(tmp_path_factory: pytest.TempPathFactory):
    """One cache for the whole session, processes it starts included, so that data are prepared once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def normscope():
    """Runs the command as a user would, in a process of its own."""

    def run(*arguments, cwd=None, **environment):
        return subprocess.run(
            [sys.executable, "-m", "normscope", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, **environment},
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory, normscope) -> Path:
    """A results folder with Fig. 6 at quick scale, undisturbed."""
    out = tmp_path_factory.mktemp("finished") / "runs"
    run = normscope("reproduce", "chai2020.fig6", "--out", out)
    assert run.returncode == 0, run.stderr
    return out
