"""What Fig. 10 reads from its table: the curves' statistics, and the noise amplification of each seed."""

import math

import numpy as np
import pandas as pd
import pytest
from chai_tables import join
from noise_tables import amplification_rows, noisy_rows, states_of, study, zigzag

from normscope.papers.chai2020.readings.noise import (
    amplification,
    curves_of,
    error_curves,
    noise_levels,
    rises,
    trained_steps,
)
from normscope.papers.shared import curves
from normscope.protocol import NotJudgedError

PRIOR = ("prior", 0.1)


def curves_by_seed(errors_by_seed, **options):
    table = join(
        *(amplification_rows(*PRIOR, seed, errors, **options) for seed, errors in enumerate(errors_by_seed))
    )
    return curves_of(error_curves(table), *PRIOR, 0.0)


def amplifications(*states_by_seed, noise=1.0):
    """D of each seed; a seed without states has diverged in its first epoch."""
    runs = [
        amplification_rows(*PRIOR, seed, [0.1] * 10 if states else [], states, noises=(1.0, 3.0))
        for seed, states in enumerate(states_by_seed)
    ]
    return amplification(join(*runs), ["prior"], 0.1, noise)["prior"].tolist()


class TestJitter:
    def test_of_a_steady_fall_is_zero(self):
        assert curves.jitter(curves_by_seed([np.linspace(0.5, 0.1, 10)] * 2)).tolist() == [0.0, 0.0]

    def test_is_the_deviation_of_the_changes_in_the_last_half(self):
        errors = [0.9, 0.2, 0.7, 0.1, 0.5, 0.05, 0.07, 0.04, 0.06, 0.055]
        expected = np.std(np.diff(errors)[-5:], ddof=1)
        assert curves.jitter(curves_by_seed([errors] * 2)).tolist() == pytest.approx([expected] * 2)

    def test_of_a_run_that_ends_at_chance_is_infinite(self):
        found = curves.jitter(curves_by_seed([[0.9] * 10, [0.1, 0.1], zigzag(0.1, 0.01)])).tolist()
        assert found[:2] == [math.inf, math.inf]
        assert math.isfinite(found[2])

    def test_needs_eight_epochs(self):
        with pytest.raises(NotJudgedError, match="7 epochs are too few for a jitter: 8 or more"):
            curves.jitter(curves_by_seed([[0.1] * 7] * 2, epochs=7))


def test_the_band_is_the_mean_distance_of_the_quartiles_over_the_last_half():
    wide_then_narrow = [[0.5 + seed] * 5 + [0.1 + 0.01 * seed] * 5 for seed in range(5)]
    assert curves.band(curves_by_seed(wide_then_narrow)) == pytest.approx(0.02)


def test_the_settled_error_is_each_seeds_mean_over_the_last_fifth():
    runs = [[0.5] * 8 + [0.1, 0.2 + 0.02 * seed] for seed in range(3)]
    assert curves.settled(curves_by_seed(runs)).tolist() == pytest.approx([0.15, 0.16, 0.17])


def test_a_diverged_run_settles_at_chance():
    assert curves.settled(curves_by_seed([[0.1]] * 2)).tolist() == [0.9, 0.9]


def test_a_run_is_quiet_or_noisy_by_the_cell_that_made_it():
    table = join(
        amplification_rows(*PRIOR, 0, [0.1] * 10),
        noisy_rows(*PRIOR, 0, [0.3] * 10),
        noisy_rows(*PRIOR, 0, [0.5] * 10, noise=3.0),
    )
    found = error_curves(table)
    assert [curves_of(found, *PRIOR, noise).loc[0, 10] for noise in (0.0, 1.0, 3.0)] == [0.1, 0.3, 0.5]


def test_a_line_that_was_not_run_is_named():
    with pytest.raises(NotJudgedError, match="no finished run of NLMS_L1 at rate 1 and noise 3"):
        curves_of(error_curves(amplification_rows(*PRIOR, 0, [0.1] * 10)), "nlms_l1", 1.0, 3.0)


class TestAmplification:
    def test_is_the_root_mean_square_over_draws(self):
        assert amplifications({1000: {1.0: [0.02, 0.04, 0.04]}}) == pytest.approx([math.sqrt(0.0036 / 3)])

    def test_is_the_geometric_mean_over_states(self):
        assert amplifications({500: {1.0: [0.02]}, 1000: {1.0: [0.08]}}) == pytest.approx([0.04])

    def test_is_of_each_seed_by_itself(self):
        assert amplifications(states_of(0.1), states_of(0.2), states_of(0.3)) == pytest.approx(
            [0.1, 0.2, 0.3]
        )

    def test_is_of_one_noise(self):
        states = states_of(0.1, noises=(1.0, 3.0))
        assert amplifications(states, noise=1.0) == pytest.approx([0.1])
        assert amplifications(states, noise=3.0) == pytest.approx([0.3])

    def test_is_infinite_where_a_draw_diverged(self):
        assert amplifications({500: {1.0: [0.1, 0.1]}, 1000: {1.0: [0.1, math.inf]}}) == [math.inf]

    def test_is_zero_where_no_draw_moved_anything(self):
        assert amplifications({500: {1.0: [0.0, 0.0]}, 1000: {1.0: [0.1, 0.1]}}) == [0.0]

    def test_is_infinite_where_the_quiet_run_diverged_before_its_first_state(self):
        assert amplifications(states_of(0.1), None) == [pytest.approx(0.1), math.inf]

    def test_is_infinite_where_the_quiet_run_diverged_after_its_first_state(self):
        """A run of ten epochs that diverged in its seventh."""
        well = amplification_rows(*PRIOR, 0, [0.1] * 10, states_of(0.1))
        late = amplification_rows(*PRIOR, 1, [0.1] * 6, {500: {1.0: [0.1, 0.1]}})
        found = amplification(join(well, late), ["prior"], 0.1, 1.0)["prior"]
        assert found[1] == math.inf

    def test_of_an_arrangement_on_which_a_noise_was_not_tried_does_not_exist(self):
        """At laptop scale noise 3 is tried on the paper's five alone; D of the readings has no number there."""
        with pytest.raises(NotJudgedError, match="NLMS_L2, sum"):
            amplification(study(noises=(1.0, 3.0)), ["nlms_l2_sum"], 0.1, 3.0)

    def test_of_an_arrangement_without_runs_does_not_exist(self):
        with pytest.raises(NotJudgedError, match="no finished run of Baseline"):
            amplification(amplification_rows(*PRIOR, 0, [0.1] * 10, states_of(0.1)), ["baseline"], 0.1, 1.0)


def test_the_rise_is_the_mean_over_draws_and_states_and_the_median_over_seeds_in_points():
    runs = [
        amplification_rows(*PRIOR, seed, [0.1] * 10, {500: {1.0: [0.1, 0.3]}, 1000: {1.0: [0.1, 0.1 + seed]}})
        for seed in range(3)
    ]
    # A rise is a tenth of D: of the seed 1, the median, (0.01 + 0.03 + 0.01 + 0.11) / 4 as a share of all images.
    assert rises(join(*runs), ["prior"], 0.1, 1.0) == {"rise BN_Prior, points": pytest.approx(4.0)}


@pytest.mark.parametrize(
    ("epochs", "images", "steps"), [(10, 6_400, 1_000), (8, 640, 80), (3, 700, 30), (2, 127, 2)]
)
def test_the_steps_of_a_run_are_its_epochs_whole_batches(epochs, images, steps):
    table = amplification_rows(*PRIOR, 0, [0.1] * epochs, epochs=epochs, images=images)
    assert trained_steps(table) == steps


def test_the_noises_tried_are_read_from_the_measures():
    assert noise_levels(study(noises=(3.0, 1.0, 0.5), readings=False)) == [0.5, 1.0, 3.0]
    assert noise_levels(noisy_rows(*PRIOR, 0, [0.1] * 10)) == []


def test_without_any_run_there_are_no_curves():
    table = pd.DataFrame({"function": ["another"], "measure": ["value"], "value": [1.0]})
    with pytest.raises(NotJudgedError, match="no finished run"):
        error_curves(table)
