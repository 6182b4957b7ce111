import math

import numpy as np
import pytest
from noise_tables import run_rows, run_table, zigzag

from normscope.papers.chai2020.readings.noise import curves_of, error_curves
from normscope.papers.shared import Estimate, curves, overlapping
from normscope.papers.shared.curves import jitter
from normscope.protocol import NotJudgedError


def curves_by_seed(errors_by_seed, **options):
    table = run_table(
        *(run_rows("prior", 0.1, 0.0, seed, e, **options) for seed, e in enumerate(errors_by_seed))
    )
    return error_curves(table).loc[("prior", 0.1, 0.0)]


def errors_of(quiet, noisy, arrangement="prior"):
    """``quiet`` and ``noisy``: one run's errors a seed."""
    return error_curves(
        run_table(
            *(run_rows(arrangement, 0.1, 0.0, seed, errors) for seed, errors in enumerate(quiet)),
            *(run_rows(arrangement, 0.1, 1.0, seed, errors) for seed, errors in enumerate(noisy)),
        )
    )


def with_noise(statistic, errors):
    return statistic(*(curves_of(errors, "prior", 0.1, noise) for noise in (1.0, 0.0)))


def test_a_steady_fall_has_no_jitter():
    assert jitter(curves_by_seed([np.linspace(0.5, 0.1, 10)] * 2)).tolist() == [0.0, 0.0]


def test_jitter_is_the_deviation_of_the_changes_in_the_last_half():
    errors = [0.9, 0.2, 0.7, 0.1, 0.5, 0.05, 0.07, 0.04, 0.06, 0.055]
    expected = np.std(np.diff(errors)[-5:], ddof=1)
    assert jitter(curves_by_seed([errors] * 2)).tolist() == pytest.approx([expected] * 2)


def test_a_run_that_ends_at_chance_has_infinite_jitter():
    assert jitter(curves_by_seed([[0.9] * 10, [0.1, 0.1], zigzag(0.1, 0.01)])).tolist()[:2] == [
        math.inf,
        math.inf,
    ]


def test_too_few_epochs_have_no_jitter():
    with pytest.raises(NotJudgedError, match="7 epochs are too few for a jitter: 8 or more"):
        jitter(curves_by_seed([[0.1] * 7] * 2, epochs=7))


def test_sensitivity_pairs_each_seeds_runs_and_takes_the_median():
    quiet = [zigzag(0.1, amplitude) for amplitude in (0.001, 0.002, 0.004)]
    noisy = [zigzag(0.1, amplitude) for amplitude in (0.003, 0.004, 0.040)]
    found = with_noise(curves.sensitivity, errors_of(quiet, noisy))
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 2.0, 10.0))
    assert found.seeds == 3


def test_a_seed_without_its_counterpart_is_left_out():
    quiet = [zigzag(0.1, 0.001)] * 2
    noisy = [zigzag(0.1, 0.002)] * 2 + [zigzag(0.1, 0.05)]
    found = with_noise(curves.sensitivity, errors_of(quiet, noisy))
    assert found.value == pytest.approx(2.0)
    assert found.seeds == 2


@pytest.mark.parametrize("failing", ["quiet", "noisy", "both"])
def test_a_run_that_fails_makes_its_seeds_sensitivity_infinite(failing):
    fine, failed = [zigzag(0.1, 0.001)] * 3, [[0.9] * 10] * 2 + [zigzag(0.1, 0.001)]
    quiet = fine if failing == "noisy" else failed
    noisy = fine if failing == "quiet" else failed
    found = with_noise(curves.sensitivity, errors_of(quiet, noisy))
    assert (found.value, found.low, found.high) == (math.inf, pytest.approx(1.0), math.inf)


def test_two_curves_without_jitter_are_alike_and_noise_on_one_counts_without_bound():
    flat, rough = [[0.1] * 10] * 2, [zigzag(0.1, 0.001)] * 2
    assert with_noise(curves.sensitivity, errors_of(flat, flat)).value == 1.0
    assert with_noise(curves.sensitivity, errors_of(flat, rough)).value == math.inf
    assert with_noise(curves.sensitivity, errors_of(rough, flat)).value == 0.0


def test_the_band_is_the_mean_distance_of_the_quartiles_over_the_last_half():
    wide_then_narrow = [[0.5 + seed] * 5 + [0.1 + 0.01 * seed] * 5 for seed in range(5)]
    assert curves.band(curves_of(errors_of(wide_then_narrow, []), "prior", 0.1, 0.0)).value == pytest.approx(
        0.02
    )


def test_the_settled_error_is_the_mean_over_the_last_fifth():
    runs = [[0.5] * 8 + [0.1, 0.2 + 0.02 * seed] for seed in range(3)]
    assert curves.settled_error(curves_of(errors_of(runs, []), "prior", 0.1, 0.0)).value == pytest.approx(
        0.16
    )


def test_the_rise_pairs_each_seeds_settled_errors():
    quiet, noisy = (
        [[0.5] * 8 + [error, error] for error in errors] for errors in ((0.1, 0.2, 0.4), (0.3, 0.3, 0.8))
    )
    assert with_noise(curves.rise, errors_of(quiet, noisy)).value == pytest.approx(2.0)


def test_a_diverged_run_settles_at_chance():
    assert curves.settled_error(curves_of(errors_of([[0.1]] * 2, []), "prior", 0.1, 0.0)).value == 0.9


def test_the_interval_covers_the_true_median_about_as_often_as_it_says():
    """Twelve log-normal seeds, true median 1: a bootstrap of a median is not exact, but near 95 %."""
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(40):
        amplitudes = 0.001 * np.exp(generator.normal(size=12) * 0.5)
        quiet, noisy = [zigzag(0.1, 0.001)] * 12, [zigzag(0.1, amplitude) for amplitude in amplitudes]
        found = with_noise(curves.sensitivity, errors_of(quiet, noisy))
        hits += found.low <= 1 <= found.high
    assert 34 <= hits <= 40


def test_the_same_runs_give_the_same_interval():
    runs = errors_of([zigzag(0.1, 0.001)] * 4, [zigzag(0.1, 0.001 * seed) for seed in (1, 2, 5, 9)])
    assert with_noise(curves.sensitivity, runs) == with_noise(curves.sensitivity, runs)


def test_one_seed_gives_no_interval():
    with pytest.raises(NotJudgedError, match=r"one seed of BN_Prior at rate 0\.1 and noise 0"):
        curves.settled_error(curves_of(errors_of([zigzag(0.1, 0.001)], []), "prior", 0.1, 0.0))


def test_a_line_that_was_not_run_is_named():
    with pytest.raises(NotJudgedError, match="no finished run of NLMS_L1 at rate 1 and noise 3"):
        curves.settled_error(curves_of(errors_of([zigzag(0.1, 0.001)] * 2, []), "nlms_l1", 1.0, 3.0))


def test_intervals_that_share_a_point_overlap():
    estimates = {
        "prior": Estimate(1.0, 0.9, 1.2, 5),
        "batch": Estimate(1.4, 1.2, 1.5, 5),
        "baseline": Estimate(math.inf, 1.6, math.inf, 5),
    }
    pairs = [("prior", "batch"), ("prior", "baseline"), ("batch", "baseline")]
    assert overlapping(pairs, estimates) == "the intervals overlap in 1 of 3 comparisons"
