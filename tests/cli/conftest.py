import os
import subprocess
import sys
from pathlib import Path

import pytest


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
