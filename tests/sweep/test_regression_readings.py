"""What is read from the table of a regression, and drawn from it."""

import math

import numpy as np
import pandas as pd
import pytest

from normscope import data
from normscope.sweep import Sweep, SweepExperiment
from normscope.sweep.readings import chance_error, early_step, final_errors, summary
from normscope.sweep.training_cell import train_network


def sweep(**words):
    words = {"norm": "batch,none", "lr": "0.1,1,10", "seeds": 2, "epochs": 1, "batch": 16} | words
    return Sweep.of("own_data:dense", data="own_data:table", **words)


def table(asked, loss, diverged=lambda run: False):
    rows = []
    for run in asked.runs():
        where = {name: getattr(run, name) for name in ("network", "norm", "place", "rate", "seed")}
        where["function"] = train_network.name
        place = {"step": 1, "epoch": None} if diverged(run) else {"step": None, "epoch": 1}
        measure = "diverged" if diverged(run) else "validation_loss"
        rows.append({"measure": measure, "value": loss(run), **place, **where})
    return pd.DataFrame(rows)


def by_rate(run):
    return run.rate * (1 if run.norm == "batch" else 2)


def test_a_diverged_run_counts_as_infinite_and_so_does_a_loss_that_is_no_number():
    asked = sweep()
    found = final_errors(
        table(asked, lambda run: math.nan if run.rate == 1 else run.rate, lambda run: run.rate == 10), asked
    )
    assert found.groupby("rate")["value"].first().to_dict() == {0.1: 0.1, 1.0: math.inf, 10.0: math.inf}
    assert found.loc[found["diverged"], "rate"].unique().tolist() == [10.0]


def test_the_summary_finds_the_least_loss():
    asked = sweep()
    found = summary(table(asked, by_rate, lambda run: run.rate == 10), asked).set_index("label")
    assert found.loc["no norm"].tolist() == [0.1, 0.2, 1.0, 2, 6]


def test_the_level_of_a_guess_is_the_loss_of_the_mean_target():
    loaded = data.load("own_data:table")
    expected = ((loaded.test_labels - loaded.train_labels[:64].mean()) ** 2).mean()
    assert chance_error(sweep(images=64)) == pytest.approx(expected)
    assert math.isnan(chance_error(sweep(loss="own_data:quartic")))


def test_the_early_step_is_at_most_the_last_of_the_data():
    assert early_step(sweep()) == 5
    assert early_step(sweep(batch=40)) == 2


@pytest.mark.parametrize(
    ("loss", "scale"),
    [(by_rate, "log"), (lambda run: 1 + run.rate / 100, "linear"), (lambda run: 1 - run.rate, "linear")],
    ids=["over decades", "within a decade", "below zero"],
)
@pytest.mark.parametrize("own_loss", [False, True])
@pytest.mark.filterwarnings("error")
def test_the_figure_shows_losses_on_an_axis_that_fits_them(tmp_path, loss, scale, own_loss):
    asked = sweep(loss="own_data:quartic") if own_loss else sweep()
    figure = SweepExperiment("a", asked).figure(table(asked, loss))
    figure.savefig(tmp_path / "figure.png")
    (panel,) = figure.axes
    assert panel.get_yscale() == scale
    assert panel.get_ylabel() == "final validation loss"
    assert [text.get_text() for text in panel.texts] == ([] if own_loss else ["mean target"])


@pytest.mark.filterwarnings("error")
def test_a_sweep_whose_runs_all_diverged_is_drawn(tmp_path):
    asked = sweep()
    figure = SweepExperiment("a", asked).figure(table(asked, by_rate, lambda run: True))
    figure.savefig(tmp_path / "figure.png")
    assert not [
        line
        for line in figure.axes[0].lines
        if line.get_label() == "batch" and np.isfinite(line.get_ydata()).any()
    ]


def test_the_words_are_those_of_a_loss():
    experiment = SweepExperiment("a", sweep())
    assert "validation loss by learning rate" in experiment.title
    assert "How do loss and stability" in experiment.question
    assert "counts as infinite" in experiment.caption
    assert "predicting the mean target" in experiment.caption
    assert "mean target" not in SweepExperiment("a", sweep(loss="own_data:quartic")).caption
