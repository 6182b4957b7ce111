import io
import re
import time

import pytest
from processes import wait_until
from rich.console import Console
from sample_cells import Behaviour, behave

from normscope import progress, runner
from normscope.progress import lines, screen
from normscope.progress.display import Display
from normscope.progress.tally import Tally
from normscope.runner import Observer
from normscope.store import Store


@pytest.fixture
def plan(tmp_path):
    cells = [behave.cell(Behaviour("fine", str(index), seconds=9.0)) for index in range(20)]
    return runner.plan({cell.key(str): cell for cell in cells}, Store(tmp_path), 2)


@pytest.fixture
def pipe():
    return Console(file=io.StringIO(), width=160)


def test_the_time_left_is_the_estimate_until_a_tenth_is_done_and_the_pace_from_then_on(plan, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tally = Tally(plan)
    cells = iter(plan.new.values())
    assert plan.estimate.seconds == 100
    now[0] += 30
    tally.end(next(cells), 30.0)
    assert tally.left == "about 70 s left"
    now[0] += 75
    assert tally.left == "longer than estimated"
    now[0] -= 65
    tally.end(next(cells), 10.0)
    assert tally.left == "about 6 min left"
    now[0] += 200
    assert tally.left == "about 3 min left"
    for cell in cells:
        tally.end(cell, 1.0)
    assert tally.left == "about 0 s left"


def test_the_tally_counts_running_failed_and_retried_cells(plan):
    tally = Tally(plan)
    first, second, *_ = plan.new.values()
    for _ in range(4):  # two on the workers, two in the engine's queue
        tally.start(first)
    assert tally.running == 2
    tally.end(first, 2.0)
    tally.end(second, None)
    tally.retry()
    assert (tally.done, tally.failed, tally.running) == (2, 1, 1)
    assert "2/20 cells" in tally.describe()
    assert "1 failed" in tally.describe()
    assert list(tally.last) == [f"failed  {second.describe()}", f"2.0 s  {first.describe()}"]


def test_cells_of_another_run_are_counted_and_the_other_run_is_reported_once(plan, pipe):
    first, second, third, *_ = plan.new.values()
    display = Display(lambda words, style: pipe.print(words))
    display.planned(plan)
    for cell in (first, second, third):
        display.elsewhere(cell)
    display.started(first)  # the other run gave it up
    display.started(second)
    display.finished(second, 1.0)  # or has finished it
    assert "1/20 cells" in display.tally.describe()
    assert "1 running · 1 in another run" in display.tally.describe()
    assert pipe.file.getvalue().count("Another run is at work in this folder") == 1


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_live_display_shows_bar_count_and_time_left_on_a_narrow_terminal(plan, width):
    screen = Console(force_terminal=True, width=width, record=True, file=io.StringIO())
    cell = next(iter(plan.new.values()))
    with progress.watching(progress=True, screen=screen) as observer:
        observer.planned(plan)
        observer.started(cell)
        observer.finished(cell, 4.0)
    shown = screen.export_text()
    assert "━" in shown
    assert "1/20 cells" in shown
    assert "s left" in shown
    assert "4.0 s  behave(" in shown
    assert all(len(line) <= width for line in shown.splitlines())


def test_a_pipe_gets_lines_while_no_cell_ends_and_one_at_the_end(plan, pipe, monkeypatch):
    monkeypatch.setattr(lines, "_SECONDS", 0.05)
    cells = list(plan.new.values())
    text = pipe.file.getvalue
    with progress.watching(progress=True, screen=pipe) as observer:
        observer.planned(plan)
        observer.started(cells[0])
        wait_until(lambda: text().count("0/20 cells") >= 2)
        observer.retried(cells[0], "its worker ended with signal 9")
        observer.failed(cells[0], "stopped after 1 s")
        for cell in cells[1:]:
            observer.finished(cell, 1.0)
    said = text().splitlines()
    assert said[0].startswith("0 cells found, 20 to run")
    assert any(line.startswith("trying again behave(") and line.endswith("signal 9") for line in said)
    assert any(line.startswith("failed behave(") for line in said)
    assert re.match(r"20/20 cells .* 1 failed", said[-1])


@pytest.mark.parametrize(("elapsed", "pause"), [(0, 10), (20, 10), (100, 50), (36_000, 300)])
def test_lines_come_ever_rarer_in_a_long_run(plan, monkeypatch, elapsed, pause):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tally = Tally(plan)
    now[0] = elapsed
    assert lines.pause(tally) == pause


def test_a_message_in_a_pipe_is_one_line_however_narrow_the_pipe_is(plan):
    narrow = Console(file=io.StringIO(), width=40)
    with progress.watching(progress=True, screen=narrow) as observer:
        observer.planned(plan)
        observer.failed(next(iter(plan.new.values())), "a long " * 20)
    assert len(narrow.file.getvalue().splitlines()) == 2


@pytest.mark.parametrize(("columns", "width"), [(None, 80), ("200", 200)])
def test_the_console_of_a_pipe_has_80_columns_or_those_of_the_environment(
    monkeypatch, capsys, columns, width
):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert progress.console().width == width


def test_a_name_between_colons_is_no_pictogram(capfd):
    screen.console().print("L:ok: inputs of 3")
    assert capfd.readouterr().out == "L:ok: inputs of 3\n"


def test_nothing_is_shown_in_a_script_unless_asked_for(capfd):
    with progress.watching() as observer:
        assert type(observer) is Observer
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("seconds", "words"), [(3, "3 s"), (99, "99 s"), (120, "2 min"), (7200, "2.0 h")])
def test_a_duration_in_words(seconds, words):
    assert progress.duration(seconds) == words
