import numpy as np
import pandas as pd
import pytest

from normscope.report.plots import (
    Look,
    legend_below,
    median_band,
    new_figure,
    plain_numbers,
    rate_axis,
    show_percent,
)

LOOK = Look("#000000", "o", "--")


def draw(by_rate):
    runs = pd.DataFrame(
        [{"rate": rate, "value": value} for rate, values in by_rate.items() for value in values]
    )
    figure, (axes,) = new_figure(1)
    median_band(axes, runs, "rate", LOOK, "a label")
    return figure, axes


def test_the_line_is_the_median_and_the_band_its_quartiles():
    _, axes = draw({0.1: [1, 2, 3, 4, 100], 1.0: [5, 5, 5, 5, 5]})
    line = axes.lines[0]
    assert line.get_xdata().tolist() == [0.1, 1.0]
    assert line.get_ydata().tolist() == [3, 5]
    vertices = axes.collections[0].get_paths()[0].vertices
    assert {2.0, 4.0} <= {y for x, y in vertices if x == pytest.approx(0.1)}


def test_an_infinite_median_ends_the_line_and_is_marked_at_the_edge():
    _, axes = draw({0.1: [1, 2, 3], 1.0: [4, np.inf, np.inf]})
    line, marks = axes.lines
    assert np.isnan(line.get_ydata()[1])
    assert (marks.get_xdata().tolist(), marks.get_ydata().tolist()) == ([1.0], [1.0])
    assert [text.get_text() for text in axes.texts] == ["diverged"]


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_panel_without_a_finite_value_is_drawn(value):
    figure, (axes,) = new_figure(1)
    median_band(axes, pd.DataFrame({"rate": [1.0, 10.0], "value": [value, value]}), "rate", LOOK, "diverged")
    axes.set(yscale="log")
    show_percent(axes)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    assert 0 < low < high


def test_an_infinite_seed_leaves_a_finite_median():
    _, axes = draw({0.1: [1, 2, np.inf]})
    assert axes.lines[0].get_ydata().tolist() == [2]
    assert len(axes.lines) == 1


def test_axes_write_percents_and_rates_out():
    figure, axes = draw({0.01: [0.02], 10.0: [0.9]})
    axes.set_yscale("log")
    show_percent(axes)
    rate_axis(axes, "learning rate")
    legend_below(figure)
    figure.canvas.draw()
    assert {"2", "50"} <= {label.get_text() for label in axes.get_yticklabels()}
    assert {"0.01", "1", "10"} <= {label.get_text() for label in axes.get_xticklabels()}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a label"]


@pytest.mark.parametrize(
    ("ends", "expected"), [((0.1, 1.0), [0.1, 0.2, 0.5, 1.0]), ((0.01, 1e3), [0.1, 1, 10, 100])]
)
def test_plain_numbers_are_few_enough_to_be_read_side_by_side(ends, expected):
    figure, (axes,) = new_figure(1)
    axes.set(xscale="log", xlim=ends)
    plain_numbers(axes.xaxis)
    figure.canvas.draw()
    shown = [float(tick.get_text()) for tick in axes.get_xticklabels()]
    inside = [tick for tick in shown if ends[0] <= tick <= ends[1]]
    assert set(expected) <= set(inside)
    assert len(inside) <= 6
