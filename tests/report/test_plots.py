import numpy as np
import pandas as pd
import pytest

from normscope.report.plots import (
    Look,
    interval,
    legend_below,
    log_y,
    markers,
    median_band,
    new_figure,
    plain_numbers,
    rate_axis,
    show_percent,
)

LOOK = Look("#000000", "o", "--")


def draw(by_rate, log=False):
    runs = pd.DataFrame(
        [{"rate": rate, "value": value} for rate, values in by_rate.items() for value in values]
    )
    figure, (axes,) = new_figure(1)
    if log:
        log_y(axes)
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
    figure.draw_without_rendering()
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
    figure.draw_without_rendering()
    shown = [float(tick.get_text()) for tick in axes.get_xticklabels()]
    inside = [tick for tick in shown if ends[0] <= tick <= ends[1]]
    assert set(expected) <= set(inside)
    assert len(inside) <= 6


def test_a_median_of_0_ends_the_line_of_a_logarithmic_axis_and_is_marked_at_its_lower_edge():
    _, axes = draw({0.1: [0, 0, 3], 1.0: [2, 3, 4]}, log=True)
    line, marks = axes.lines
    assert np.isnan(line.get_ydata()[0])
    assert marks.get_transform() == axes.get_xaxis_transform()
    assert (marks.get_xdata().tolist(), marks.get_ydata().tolist()) == ([0.1], [0.0])
    assert [text.get_text() for text in axes.texts] == ["0 at this edge"]


def test_a_median_of_0_is_a_point_like_others_on_a_linear_axis():
    _, axes = draw({0.1: [0, 0, 3], 1.0: [2, 3, 4]})
    assert axes.lines[0].get_ydata().tolist() == [0, 3]
    assert len(axes.lines) == 1


@pytest.mark.filterwarnings("error")
def test_medians_that_are_all_0_are_drawn_without_complaint():
    figure, axes = draw({0.1: [0, 0], 1.0: [0, 0]}, log=True)
    show_percent(axes)
    figure.draw_without_rendering()
    assert axes.get_yscale() == "log"
    assert axes.lines[1].get_xdata().tolist() == [0.1, 1.0]


def test_two_lines_that_end_at_0_are_remarked_once():
    _, (axes,) = new_figure(1)
    log_y(axes)
    for label in "ab":
        median_band(axes, pd.DataFrame({"rate": [1.0, 2.0], "value": [0.0, 1.0]}), "rate", LOOK, label)
    assert len(axes.texts) == 1


def test_a_line_without_markers_has_them_at_the_edge():
    _, (axes,) = new_figure(1)
    runs = pd.DataFrame({"rate": [1.0, 2.0], "value": [np.inf, 1.0]})
    median_band(axes, runs, "rate", Look("#000000", ""), "a label")
    assert axes.lines[1].get_marker() == "o"


def test_points_at_0_are_at_the_edge_of_each_logarithmic_axis():
    _, (axes,) = new_figure(1)
    axes.set(xscale="log", yscale="log")
    markers(axes, [1, 0, 1, 0, 2], [1, 1, 0, 0, np.nan], LOOK, "a label")
    inside, left, low, corner = axes.lines
    assert inside.get_xydata()[0].tolist() == [1, 1]
    for line, transform, place in (
        (left, axes.get_yaxis_transform(), [0, 1]),
        (low, axes.get_xaxis_transform(), [1, 0]),
        (corner, axes.transAxes, [0, 0]),
    ):
        assert line.get_transform() == transform
        assert line.get_xydata().tolist() == [place]
    assert axes.get_legend_handles_labels()[1] == ["a label"]
    assert [text.get_text() for text in axes.texts] == ["0 at this edge", "0 at the left edge"]


@pytest.mark.parametrize(("middle", "place"), [(0.0, 0.0), (np.inf, 1.0)])
def test_an_interval_about_what_the_axis_cannot_show_is_marked_at_the_edge(middle, place):
    _, (axes,) = new_figure(1)
    axes.set_xscale("log")
    interval(axes, 3, (0.0, middle, np.inf), LOOK)
    (mark,) = axes.lines
    assert mark.get_transform() == axes.get_yaxis_transform()
    assert mark.get_xydata().tolist() == [[place, 3]]


def test_a_legend_of_many_rows_makes_the_figure_taller_and_covers_no_panel():
    figure, axes = draw({0.1: [1], 1.0: [2]})
    for number in range(40):
        axes.plot([], [], label=f"line {number}")
    before = figure.get_figheight()
    legend_below(figure)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.get_figheight() > before + 2
    assert legend.y0 >= 0
    assert legend.y1 <= axes.get_tightbbox().y0
    assert axes.get_window_extent().height > 0.5 * before * figure.dpi
