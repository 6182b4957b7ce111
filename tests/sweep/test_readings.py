"""What is read from a sweep's table and drawn from it, on tables that the tests write."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from normscope.errors import UnknownNameError
from normscope.protocol import NotJudgedError, empty_table
from normscope.sweep import Sweep, SweepExperiment
from normscope.sweep.readings import eigenvalues, final_errors, labels, summary
from normscope.sweep.training_cell import train_network


def sweep(network="lenet", **words):
    return Sweep.of(network, **{"lr": "0.1,1,10", "seeds": 2, "epochs": 2, "probe": "spectrum"} | words)


def table(asked, error, diverged=lambda run: False, layers=("conv", "conv2", "fc")):
    """A table such as the cells would fill; ``error`` and ``diverged`` are functions of a run."""
    rows = []
    for run in asked.runs():
        words = {"function": train_network.name} | {
            name: getattr(run, name) for name in ("network", "norm", "place", "rate", "seed")
        }
        if diverged(run):
            rows.append({"measure": "diverged", "step": 3, "value": math.inf, **words})
        else:
            for epoch in (1, 2):
                rows.append(
                    {"measure": "validation_error", "epoch": epoch, "value": error(run) * 2 / epoch, **words}
                )
        for step, layer in itertools.product((0,) if diverged(run) else (0, 5, 20), layers):
            for measure in ("lambda_min", "lambda_max"):
                value = step + len(layer) * 100 + run.rate
                rows.append(
                    {"measure": measure, "step": step, "layer": layer, "index": 0, "value": value, **words}
                )
    return pd.DataFrame(rows)


def test_the_error_is_that_of_the_last_epoch_and_a_diverged_run_counts_as_chance():
    asked = sweep()
    found = final_errors(
        table(asked, lambda run: run.rate / 100, lambda run: run.rate == 10 and run.seed == 1), asked
    )
    assert len(found) == 6
    assert found.set_index(["rate", "seed"])["value"].to_dict() == {
        (0.1, 0): 0.001, (0.1, 1): 0.001, (1.0, 0): 0.01, (1.0, 1): 0.01, (10.0, 0): 0.1, (10.0, 1): 0.9,
    }  # fmt: skip
    assert found.loc[found["diverged"], ["rate", "seed"]].to_numpy().tolist() == [[10.0, 1.0]]


def test_eigenvalues_are_the_second_layers_after_five_steps_and_infinite_where_the_run_had_ended():
    asked = sweep()
    found = eigenvalues(table(asked, lambda run: 0.1, lambda run: run.rate == 10), asked, "lambda_max")
    by_rate = found.groupby("rate")["value"].first().to_dict()
    assert by_rate == {0.1: 5 + 500 + 0.1, 1.0: 5 + 500 + 1.0, 10.0: math.inf}


def test_another_layer_can_be_shown_and_an_unknown_one_is_refused():
    asked = sweep(layer="fc")
    found = eigenvalues(table(asked, lambda run: 0.1), asked, "lambda_min")
    assert found["value"].min() == 5 + 200 + 0.1
    with pytest.raises(UnknownNameError, match="did you mean fc"):
        eigenvalues(table(asked, lambda run: 0.1), sweep(layer="fcc"), "lambda_min")


def test_a_grouped_convolution_shows_the_extremes_over_its_groups():
    asked = sweep(lr=0.1, seeds=1)
    rows = table(asked, lambda run: 0.1)
    both = pd.concat([rows, rows.assign(index=1, value=rows["value"] + 7)])
    assert eigenvalues(both, asked, "lambda_min")["value"].item() == 505.1
    assert eigenvalues(both, asked, "lambda_max")["value"].item() == 512.1


def test_the_summary_finds_the_best_rate_and_where_runs_diverge():
    asked = sweep(norm="batch,none")
    found = summary(
        table(
            asked,
            lambda run: abs(run.rate - 1) / 20 + 0.01,
            lambda run: run.norm == "none" and (run.rate == 10 or (run.rate == 1 and run.seed == 0)),
        ),
        asked,
    ).set_index("label")
    assert found.loc["batch"].tolist() == [1.0, 0.01, 10.0, 0, 6]
    assert found.loc["no norm"].tolist() == [0.1, pytest.approx(0.055), 0.1, 3, 6]


def test_a_rate_is_stable_only_when_all_lower_ones_are():
    asked = sweep()
    found = summary(table(asked, lambda run: 0.1, lambda run: run.rate == 1), asked)
    assert found["stable_rate"].item() == 0.1
    nowhere = summary(table(asked, lambda run: 0.1, lambda run: run.rate == 0.1), asked)
    assert math.isnan(nowhere["stable_rate"].item())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"norm": "batch,none"}, ["batch", "no norm"]),
        ({"norm": "batch", "place": "after,before"}, ["batch after", "batch before"]),
        ({"norm": "batch,none", "place": "after,before"}, ["batch, after", "batch, before", "no norm"]),
        ({"network": "lenet,resnet(depth=8)", "norm": "batch"}, ["lenet", "resnet(depth=8)"]),
        ({"network": "my.net:make"}, ["my.net:make"]),
        ({"norm": "suppress"}, ["suppress"]),
    ],
    ids=str,
)
def test_a_line_is_named_by_what_varies(words, expected):
    assert list(labels(sweep(**words)).values()) == expected
    assert len(set(expected)) == len(expected)


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


def test_nothing_is_drawn_or_summed_up_when_no_run_has_finished():
    with pytest.raises(NotJudgedError):
        SweepExperiment("a", sweep()).figure(empty_table())
    with pytest.raises(NotJudgedError):
        summary(empty_table(), sweep())
