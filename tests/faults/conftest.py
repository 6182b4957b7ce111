"""One undisturbed run to compare with, and a summary of the kills."""

import random
import time
from collections import Counter
from pathlib import Path

import points
import pytest
import trial
from failing import server
from killing import Run
from scenarios import SCENARIOS, Starts, count


def pytest_configure(config: pytest.Config) -> None:
    if config.option.fault_seed is None:
        config.option.fault_seed = random.SystemRandom().randrange(10**6)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Say what was killed and when, and which seed repeats it."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
    ]
    for title in ("killed", "while"):
        counts = Counter(word for report in reports for name, word in report.user_properties if name == title)
        if counts:
            words = ", ".join(f"{word} {count}" for word, count in counts.most_common())
            terminalreporter.line(f"{title}: {words} (--fault-seed {config.option.fault_seed})")
    tried = [
        tuple(word.split("|"))
        for report in reports
        for name, word in report.user_properties
        if name == "point"
    ]
    if tried:
        for line in points.table(tried):
            terminalreporter.line(line)
        terminalreporter.line(f"--fault-seed {config.option.fault_seed} repeats these points")
    for report in reports:
        for word in (word for name, word in report.user_properties if name == "power"):
            command, count, broken, losing, lost = word.split("|")
            sentence = (
                f"{count} states, {broken} with a torn file, {losing} without {lost} finished cells in all"
            )
            terminalreporter.line(f"power lost during {command}: {sentence}")


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
    seed = request.config.option.fault_seed
    print(f"--fault-seed {seed}")  # shown when the test fails
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session")
def failing():
    """Runs commands whose calls of the system can be failed."""
    with server("failing") as started:
        yield started


@pytest.fixture(scope="session")
def starts(failing, tmp_path_factory) -> Starts:
    """The states of the disk from which disturbed commands start."""
    return Starts(tmp_path_factory.mktemp("starts"), failing)


@pytest.fixture(scope="session")
def calls_of(failing, starts, tmp_path_factory):
    """The calls that a command makes undisturbed, by role and kind; counted once."""
    known = {}

    def counted(name: str) -> dict[str, dict[str, list[str]]]:
        if name not in known:
            folder = tmp_path_factory.mktemp("count")
            known[name] = count(failing, SCENARIOS[name], starts, folder / "root")
        return known[name]

    return counted
