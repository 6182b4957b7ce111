"""Eq. 2's claim on made-up noises, and on the cell run for real."""

import dataclasses

import pytest
from chai_tables import real_table
from line_tables import noise_rows

from normscope.papers.bjorck2018.eq2 import EXPERIMENT, slope
from normscope.papers.bjorck2018.readings.noise import noises, rates
from normscope.protocol import Scale, Verdict


@pytest.mark.parametrize(
    ("power", "scatter", "verdict"),
    [
        (-1.0, 1e-3, "holds"),
        (-1.09, 1e-3, "holds"),
        (-0.91, 1e-3, "holds"),
        (-1.11, 1e-3, "does not hold"),
        (-0.89, 1e-3, "does not hold"),
        (-0.9, 0.05, "undecided"),
    ],
)
def test_the_slope_must_be_minus_one_to_a_tenth(power, scatter, verdict):
    claim = slope(noise_rows(power, scatter=scatter))
    assert claim.verdict == verdict
    assert claim.measured["slope of log noise"] == pytest.approx(power, abs=0.02)
    assert claim.measured["slope by the law"] == pytest.approx(-1)


def test_one_size_of_batch_has_no_slope():
    assert slope(noise_rows(sizes=(4,))).verdict is Verdict.NOT_JUDGED


def test_the_rates_are_read_from_the_highest_down():
    table = noise_rows(rates=(0.001, 0.1, 0.01))
    assert rates(table) == [0.1, 0.01, 0.001]
    assert slope(table).measured["rate"] == 0.1


def test_the_experiment_runs_draws_and_judges():
    profile = dataclasses.replace(
        EXPERIMENT.profile(Scale.QUICK), images=40, batch=12, seeds=2, draws=400, sizes=(1, 2, 4)
    )
    table = real_table(EXPERIMENT, profile)
    (claim,) = EXPERIMENT.claims(table)
    assert claim.measured["slope of log noise"] == pytest.approx(-1, abs=0.2)
    (axes,) = EXPERIMENT.figure(table).axes
    drawn = [line for line in axes.lines if line.get_label().startswith("α = ")]
    assert [line.get_label() for line in drawn] == ["α = 0.1", "α = 0.01", "α = 0.001"]
    medians = noises(table, 0.01).groupby("index")["value"].median()
    assert drawn[1].get_ydata().tolist() == pytest.approx(medians.tolist())
