"""The figure of a sweep, drawn from tables that the tests write."""

import math

import numpy as np
import pandas as pd
import pytest
from sweep_tables import sweep, table

import normscope as ns
from normscope.protocol import NotJudgedError, empty_table
from normscope.sweep import SweepExperiment
from normscope.sweep.training_cell import train_network


def test_the_figure_has_a_line_an_arrangement_and_marks_diverged_runs():
    asked = sweep(norm="batch,suppress,none")
    figure = SweepExperiment("a", asked).figure(
        table(asked, lambda run: 0.1, lambda run: run.norm == "none" and run.rate == 10)
    )
    error, largest, smallest = figure.axes[:3]
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


@pytest.mark.filterwarnings("error")
def test_a_single_rate_at_which_every_run_diverged_is_drawn_without_complaint(tmp_path):
    asked = sweep(lr=0.1, seeds=1)
    rows = table(asked, lambda run: 0.1, lambda run: True).assign(epoch=math.nan)
    figure = SweepExperiment("a", asked).figure(rows)
    figure.savefig(tmp_path / "figure.svg")
    low, high = figure.axes[0].get_xlim()
    assert low < 0.1 < high


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


def probed(
    asked,
    spectra=lambda run: [(0, 0.1, 1.0)],
    powers=lambda run: {"conv": [1.0, 4.0]},
    diverged=lambda run: False,
):
    """A table with early readings of every run that has not diverged.

    ``spectra``: run → (layer or group, λ_min, λ_max) of layer "conv"; ``powers``: run → layer → its channels' powers.
    """
    rows = table(asked, lambda run: run.rate / 100, diverged)
    rows = rows[rows["measure"].isin(["validation_error", "diverged"])]
    words = ("network", "norm", "place", "rate", "seed")
    for run in asked.runs():
        where = {"function": train_network.name, "step": 5} | {name: getattr(run, name) for name in words}
        found = []
        if "spectrum" in asked.probes:
            for index, low, high in spectra(run):
                place = {"layer": "conv", "index": index, **where}
                found += [
                    {"measure": "lambda_min", "value": low, **place},
                    {"measure": "lambda_max", "value": high, **place},
                ]
        if "moments" in asked.probes:
            for layer, channels in powers(run).items():
                for channel, power in enumerate(channels):
                    place = {"layer": layer, "channel": channel, **where}
                    found.append({"measure": "output_mean", "value": math.sqrt(power / 2), **place})
                    found.append({"measure": "output_variance", "value": power / 2, **place})
        if not diverged(run):
            rows = pd.concat([rows, pd.DataFrame(found)], ignore_index=True)
    return rows


def by_depth(asked, rows):
    """The panels below, by title; the colour bar has none."""
    figure = SweepExperiment("a", asked).figure(rows)
    figure.draw_without_rendering()
    return [panel for panel in figure.axes if "rate" in panel.get_title()]


def values(panel, marker):
    lines = [line for line in panel.lines if line.get_marker() == marker]
    return [value for line in lines for value in line.get_xdata().tolist()]


@pytest.mark.filterwarnings("error")
class TestByDepth:
    def test_each_line_has_a_panel_a_probe_of_its_first_seed_at_its_best_rate(self):
        asked = sweep(norm="batch,none", probe="spectrum,moments", lr="0.1,1")
        rows = probed(asked, lambda run: [(0, 1e-3, run.rate + run.seed + 10 * (run.norm == "none"))])
        first, second, heat, other = by_depth(asked, rows)
        assert first.get_title() == "batch\nrate 0.1, seed 0"
        assert second.get_title() == "no norm\nrate 0.1, seed 0"
        assert (values(first, ">"), values(second, ">")) == ([0.1], [10.1])
        assert first.get_xlim() == second.get_xlim()
        assert [len(panel.images) for panel in (heat, other)] == [1, 1]

    def test_the_panels_are_those_of_plot(self):
        asked = sweep(probe="spectrum,moments", lr="1", seeds=1)
        powers = {"conv": [1.0, 16.0], "norm": [4.0, 4.0]}
        spectrum, heat = by_depth(asked, probed(asked, powers=lambda run: powers))
        own = [
            (layer, channel, power)
            for layer, channels in powers.items()
            for channel, power in enumerate(channels)
        ]
        moments = pd.DataFrame(own, columns=["layer", "channel", "power"]).assign(mean=0.0, variance=1.0)
        ours = ns.plot(moments).axes[0]
        assert np.array_equal(heat.images[0].get_array(), ours.images[0].get_array())
        assert [label.get_text() for label in heat.get_yticklabels()] == ["conv", "norm"]
        assert "input power" in spectrum.get_xlabel()

    def test_the_first_seed_that_reached_the_step_is_shown(self):
        asked = sweep(probe="spectrum", lr="1")
        (panel,) = by_depth(asked, probed(asked, diverged=lambda run: run.seed == 0))
        assert panel.get_title() == "batch\nrate 1, seed 1"

    def test_a_line_of_which_every_run_diverged_says_so(self):
        asked = sweep(norm="batch,none", probe="spectrum,moments", lr="1")
        found = by_depth(asked, probed(asked, diverged=lambda run: run.norm == "none"))
        said = {panel.get_title(): [text.get_text() for text in panel.texts] for panel in found}
        assert said == {"batch\nrate 1, seed 0": [], "no norm\nrate 1": ["every run had diverged"]}

    def test_without_early_readings_there_are_no_such_panels(self):
        asked = sweep(probe="spectrum,moments")
        rows = probed(asked, diverged=lambda run: True).assign(epoch=math.nan)
        figure = SweepExperiment("a", asked).figure(rows)
        assert len(figure.axes) == 3

    def test_of_many_lines_the_first_twelve_are_shown_and_the_figure_says_so(self):
        norms = [f"suppress(threshold={number})" for number in range(1, 15)]
        asked = sweep(norm=norms, probe="spectrum", lr="1", seeds=1)
        figure = SweepExperiment("a", asked).figure(probed(asked))
        assert len([panel for panel in figure.axes if "rate" in panel.get_title()]) == 12
        assert "the first 12 of 14 lines" in figure.subfigs[1].get_suptitle()

    @pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
    def test_readings_without_a_finite_number_are_drawn(self, value):
        asked = sweep(norm="batch,none", probe="spectrum,moments", lr="1", seeds=1)
        rows = probed(asked)
        rows.loc[rows["step"] == 5, "value"] = value
        assert len(by_depth(asked, rows)) == 4

    def test_a_networks_name_is_in_the_titles_letter_by_letter(self):
        asked = sweep(["nets:net(tag='$x$')", f"_n:{'y' * 300}"], probe="spectrum", lr="1", seeds=1)
        first, second = (panel.get_title() for panel in by_depth(asked, probed(asked)))
        assert first.startswith(r"nets:net(tag='\$x\$')")
        assert "…" in second

    def test_after_one_step_is_singular(self):
        asked = sweep(probe="spectrum", lr="1", seeds=1, epochs=1, images=64)
        rows = probed(asked).replace({"step": {5: 1}})
        figure = SweepExperiment("a", asked).figure(rows)
        assert "after 1 step," in figure.subfigs[1].get_suptitle()
