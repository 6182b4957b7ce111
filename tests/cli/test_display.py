import time

import pytest
from rich.console import Console
from sample_cells import Deed, deed

from normscope import sweep
from normscope.cli import display
from normscope.sweep import Store


@pytest.fixture
def plan(tmp_path):
    cells = [deed.cell(Deed("fine", str(index), seconds=9.0)) for index in range(20)]
    return sweep.plan({cell.key(str): cell for cell in cells}, Store(tmp_path), 2)


def test_the_time_left_is_the_estimate_until_a_tenth_is_done_and_the_pace_from_then_on(plan, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    left = display.TimeLeft(plan)
    cells = iter(plan.new.values())
    assert plan.estimate.seconds == 100
    now[0] += 30
    assert left.after(next(cells)) == "about 70 s left"
    now[0] += 10
    assert left.after(next(cells)) == "about 6 min left"
    now[0] += 10
    assert [left.after(cell) for cell in cells][-1] == "about 0 s left"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_shows_count_and_time_left_on_a_narrow_terminal(plan, width, monkeypatch):
    screen = Console(force_terminal=True, width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(display, "console", lambda stderr=False: screen)
    with display.progress() as observer:
        observer.planned(plan)
        observer.finished(next(iter(plan.new.values())), 4.0)
        observer._bars.refresh()
    shown = screen.export_text()
    assert "1/20" in shown
    assert "s left" in shown


@pytest.mark.parametrize(("seconds", "words"), [(3, "3 s"), (99, "99 s"), (120, "2 min"), (7200, "2.0 h")])
def test_a_duration_in_words(seconds, words):
    assert display.duration(seconds) == words
