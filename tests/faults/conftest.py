"""One undisturbed run to compare with, and the account of the campaign."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest
import trial
from killing import Run

DEATHS = pytest.StashKey[list]()
SEED = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--fault-seed")
    config.stash[SEED] = random.SystemRandom().randrange(10**6) if given is None else given
    config.stash[DEATHS] = []


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Say who died when, and with which seed to repeat it."""
    deaths = config.stash[DEATHS]
    if deaths:
        terminalreporter.section(f"{len(deaths)} killed runs, --fault-seed {config.stash[SEED]}")
        for title, counts in (
            ("killed", Counter(death.kind for death in deaths)),
            ("while", Counter(death.moment for death in deaths)),
        ):
            words = ", ".join(f"{name} {count}" for name, count in counts.most_common())
            terminalreporter.line(f"{title}: {words}")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> tuple[Path, float]:
    """A finished run and how long it took."""
    out = tmp_path_factory.mktemp("undisturbed") / "runs"
    started = time.monotonic()
    run = Run(out)
    ended = run.end()
    assert ended.returncode == 0, ended.stderr
    assert sorted(run.begun()) == list(range(trial.CELLS))
    return out, time.monotonic() - started


@pytest.fixture
def dice(request) -> random.Random:
    """Random choices that ``--fault-seed`` repeats."""
    return random.Random(f"{request.config.stash[SEED]} {request.node.name}")


@pytest.fixture
def deaths(request) -> list:
    """Where a test enters who died."""
    return request.config.stash[DEATHS]
