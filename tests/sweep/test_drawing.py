"""The figure of a sweep, drawn from tables that the tests write."""

import math

import numpy as np
import pytest
from sweep_tables import sweep, table

from normscope.protocol import NotJudgedError, empty_table
from normscope.sweep import SweepExperiment


def test_the_figure_has_a_line_an_arrangement_and_marks_diverged_runs():
    asked = sweep(norm="batch,suppress,none")
    figure = SweepExperiment("a", asked).figure(
        table(asked, lambda run: 0.1, lambda run: run.norm == "none" and run.rate == 10)
    )
    error, largest, smallest = figure.axes
    named = {line.get_label(): line for line in error.lines}
    assert {"batch", "suppress", "no norm", "a run diverged"} <= set(named)
    crosses = [line for line in error.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in crosses] == [[10.0]]
    assert crosses[0].get_color() == named["no norm"].get_color()
    assert "max" in largest.get_ylabel()
    assert "min" in smallest.get_ylabel()


def test_without_spectra_the_figure_has_one_panel():
    asked = sweep(probe=())
    assert len(SweepExperiment("a", asked).figure(table(asked, lambda run: 0.1)).axes) == 1


def test_an_eigenvalue_of_zero_is_marked_at_the_lower_edge(tmp_path):
    asked = sweep(lr="0.1,1", seeds=1)
    rows = table(asked, lambda run: 0.1)
    rows.loc[(rows["measure"] == "lambda_min") & (rows["rate"] == 1), "value"] = 0.0
    figure = SweepExperiment("a", asked).figure(rows)
    hollow = [line for line in figure.axes[2].lines if line.get_fillstyle() == "none"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in hollow] == [([1.0], [0.0])]
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize("value", [0.0, math.inf])
@pytest.mark.filterwarnings("error")
def test_eigenvalues_that_are_all_zero_or_infinite_are_drawn_without_complaint(tmp_path, value):
    asked = sweep(lr="0.1,1", seeds=1)
    rows = table(asked, lambda run: 0.1)
    rows.loc[rows["measure"] == "lambda_min", "value"] = value
    figure = SweepExperiment("a", asked).figure(rows)
    figure.savefig(tmp_path / "figure.png")
    panel = figure.axes[2]
    assert panel.get_yscale() == "log"
    drawn = [line for line in panel.lines if np.isfinite(line.get_ydata()).any()]
    assert drawn
    assert all(line.get_fillstyle() == "none" for line in drawn)


def test_nothing_is_drawn_when_no_run_has_finished():
    with pytest.raises(NotJudgedError):
        SweepExperiment("a", sweep()).figure(empty_table())


@pytest.mark.filterwarnings("error")
def test_errors_that_are_all_zero_are_marked_at_the_lower_edge(tmp_path):
    asked = sweep(probe=(), norm="batch,none")
    figure = SweepExperiment("a", asked).figure(table(asked, lambda run: 0.0))
    (panel,) = figure.axes
    marks = [line for line in panel.lines if line.get_transform() == panel.get_xaxis_transform()]
    assert [list(line.get_xdata()) for line in marks] == [[0.1, 1.0, 10.0]] * 2
    assert {height for line in marks for height in line.get_ydata()} == {0.0}
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("network", "shown"),
    [
        ("nets:net(tag='Ba$$in')", r"nets:net(tag='Ba\$\$in')"),
        ("nets:net(tag='$x_1$')", r"nets:net(tag='\$x_1\$')"),
        ("_nets:net", "\N{ZERO WIDTH SPACE}_nets:net"),
        ("nets:net(tag='<b>&\\\\#%{}~^')", "nets:net(tag='<b>&\\\\#%{}~^')"),
        ("nets:net(tag='a\\nb\\tc')", r"nets:net(tag='a\nb\tc')"),
    ],
)
def test_a_networks_name_is_in_the_legend_letter_by_letter(tmp_path, network, shown):
    asked = sweep([network, "lenet"], probe=())
    figure = SweepExperiment("a", asked).figure(table(asked, lambda run: 0.1))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"{shown}, as it is",
        "lenet, batch",
    ]
    figure.savefig(tmp_path / "figure.svg")


def test_a_long_name_is_shortened_in_the_legend():
    asked = sweep([f"nets:{'x' * 300}", f"nets:{'x' * 301}"], probe=())
    figure = SweepExperiment("a", asked).figure(table(asked, lambda run: 0.1))
    first, second = (text.get_text() for text in figure.legends[0].get_texts())
    assert first.startswith("nets:xxx")
    assert "…" in first
    assert first != second
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().x0 >= 0
