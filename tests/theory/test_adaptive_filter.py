"""The closed forms against least squares and plain descent."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.errors import InputError
from normscope.theory.adaptive_filter import natural_modes, wiener_solution

seeds = st.integers(0, 2**32 - 1)
dims = st.integers(1, 8)


def data(seed, dim=4, count=40):
    """Patches (count, dim) whose entries are of different sizes, and responses (count,)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dim)) * np.logspace(-1, 1, dim), rng.normal(size=count)


def moments(x, d):
    return x.T @ x / len(x), x.T @ d / len(x)


class TestWiener:
    @settings(max_examples=60, deadline=None)
    @given(seeds, dims)
    def test_it_is_the_least_squares_solution(self, seed, dim):
        x, d = data(seed, dim)
        expected, *_ = np.linalg.lstsq(x, d, rcond=None)
        np.testing.assert_allclose(wiener_solution(*moments(x, d)), expected, rtol=1e-8, atol=1e-8)

    @settings(max_examples=60, deadline=None)
    @given(seeds)
    def test_there_the_error_is_orthogonal_to_the_input(self, seed):
        x, d = data(seed)
        error = d - x @ wiener_solution(*moments(x, d))
        np.testing.assert_allclose(x.T @ error / len(x), 0, atol=1e-10)

    @settings(max_examples=60, deadline=None)
    @given(seeds)
    def test_of_a_singular_autocorrelation_it_is_the_shortest(self, seed):
        x, d = data(seed)
        x = x @ np.diag([1.0, 0, 1, 1]) @ np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
        expected, *_ = np.linalg.lstsq(x, d, rcond=1e-10)
        np.testing.assert_allclose(wiener_solution(*moments(x, d)), expected, rtol=1e-6, atol=1e-7)

    def test_each_output_channel_has_its_own(self):
        x, d = data(0)
        r, p = moments(x, d)
        found = wiener_solution(r, np.stack([p, 2 * p], 1))
        np.testing.assert_allclose(found, np.outer(wiener_solution(r, p), [1, 2]))

    def test_of_no_input_it_is_zero(self):
        assert (wiener_solution(np.zeros((2, 2)), np.zeros(2)) == 0).all()

    def test_a_cross_correlation_that_no_weights_explain_is_refused(self):
        with pytest.raises(InputError, match="range"):
            wiener_solution(np.diag([1.0, 0.0]), [1.0, 1.0])


class TestModes:
    @settings(max_examples=60, deadline=None)
    @given(seeds, dims, st.floats(0.01, 1.2), st.integers(0, 60), st.integers(1, 9))
    def test_they_decay_as_descent_itself_does(self, seed, dim, share, steps, positions):
        """Plain descent on the weights, without eigenvectors, against eq. 6."""
        x, d = data(seed, dim)
        r, p = moments(x, d)
        modes = natural_modes(r, positions)
        rate = share * modes.stability_bound
        best, w = np.linalg.solve(r, p), np.zeros(dim)
        start = modes.amplitudes(best - w)
        for _ in range(steps):
            w = w + rate * positions * (p - r @ w)
        size = np.abs(start).max() * max(1.0, np.abs(modes.factors(rate)).max() ** steps)
        np.testing.assert_allclose(
            modes.amplitudes(best - w), modes.decay(start, rate, steps), rtol=1e-7, atol=1e-9 * size
        )

    @settings(max_examples=60, deadline=None)
    @given(seeds)
    def test_the_stability_bound_parts_shrinking_from_growing(self, seed):
        modes = natural_modes(moments(*data(seed))[0], positions=7)
        assert np.abs(modes.factors(modes.stability_bound * (1 - 1e-9))).max() < 1
        assert np.abs(modes.factors(modes.stability_bound * (1 + 1e-9))).max() > 1
        assert modes.stability_bound == pytest.approx(2 / (7 * modes.eigenvalues[-1]))

    @settings(max_examples=60, deadline=None)
    @given(seeds, st.floats(0.01, 0.99))
    def test_in_its_time_constant_a_mode_falls_by_a_factor_e(self, seed, share):
        modes = natural_modes(moments(*data(seed))[0], positions=3)
        rate = share * modes.stability_bound
        factors, constants = modes.factors(rate), modes.time_constants(rate)
        there = factors != 0  # what is gone after one step has no e-th part left
        left = np.abs(factors[there]) ** constants[there]
        np.testing.assert_allclose(left, math.exp(-1), rtol=1e-6)

    @settings(max_examples=60, deadline=None)
    @given(st.floats(1e-12, 0.999))
    def test_a_slow_modes_time_constant_is_about_one_over_its_shrinkage(self, shrinkage):
        (constant,) = natural_modes([[shrinkage]]).time_constants(1.0)
        assert 1 / shrinkage - 1 - 1e-9 / shrinkage <= constant <= (1 / shrinkage - 0.5) * (1 + 1e-9)

    def test_time_constants_at_the_edges(self):
        modes = natural_modes(np.diag([0.0, 0.5, 1.0, 2.0, 1 + math.e]))
        expected = [math.inf, 1 / math.log(2), 0, math.inf, -1]
        np.testing.assert_allclose(modes.time_constants(1.0), expected)

    @settings(max_examples=60, deadline=None)
    @given(seeds)
    def test_the_excess_loss_is_the_loss_above_its_minimum(self, seed):
        x, d = data(seed)
        r, p = moments(x, d)
        best, w = wiener_solution(r, p), np.random.default_rng(seed).normal(size=4)

        def loss(weights):
            return 5 * np.square(d - x @ weights).mean() / 2

        modes = natural_modes(r, positions=5)
        found = modes.excess_loss(modes.amplitudes(best - w))
        assert found == pytest.approx(loss(w) - loss(best), rel=1e-8, abs=1e-10)

    def test_many_steps_and_many_weights_at_once(self):
        modes = natural_modes(np.diag([1.0, 2.0]))
        np.testing.assert_allclose(
            modes.decay([1.0, 1.0], 0.25, [0, 1, 2]), [[1, 1], [0.75, 0.5], [0.5625, 0.25]]
        )
        assert modes.excess_loss(modes.amplitudes(np.ones((3, 2)))).tolist() == [1.5, 1.5, 1.5]

    def test_a_mode_below_rounding_stays(self):
        x, _ = data(0)
        modes = natural_modes(moments(np.c_[x, x[:, 0]], x[:, 0])[0])
        assert modes.eigenvalues[0] == 0
        assert modes.factors(0.1)[0] == 1

    def test_no_input_is_stable_at_any_rate(self):
        assert natural_modes(np.zeros((2, 2))).stability_bound == math.inf

    def test_growth_without_end_is_infinite(self):
        assert natural_modes([[3.0]]).decay([1.0], 1.0, 10_000).tolist() == [math.inf]

    def test_single_precision_is_symmetric_to_its_own_rounding(self):
        x, d = data(3)
        r = moments(x, d)[0].astype(np.float32)
        r[0, 1] = np.nextafter(r[0, 1], np.float32(9))
        assert natural_modes(r).eigenvalues.dtype == np.float64


GOOD = np.diag([1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: natural_modes(np.zeros((2, 3))), r"square, not of shape \(2, 3\)"),
        (lambda: natural_modes(np.zeros((0, 0))), "square"),
        (lambda: natural_modes([[1.0, 0.1], [0.2, 1.0]]), "symmetric"),
        (lambda: natural_modes([[1.0, 2.0], [2.0, 1.0]]), "negative eigenvalue"),
        (lambda: natural_modes([[math.nan]]), "not finite"),
        (lambda: natural_modes([["a"]]), "real numbers"),
        (lambda: natural_modes(np.array([[1j]])), "real numbers"),
        (lambda: natural_modes(GOOD, 0), "positions"),
        (lambda: natural_modes(GOOD).factors(0.0), "learning rate must be"),
        (lambda: natural_modes(GOOD).time_constants(-1.0), "learning rate must be"),
        (lambda: natural_modes(GOOD).decay([1, 1], math.inf, 1), "learning rate must be"),
        (lambda: natural_modes(GOOD).decay([1, 1], 0.1, 1.5), "whole numbers"),
        (lambda: natural_modes(GOOD).decay([1, 1], 0.1, -1), "whole numbers"),
        (lambda: natural_modes(GOOD).decay([1, 1, 1], 0.1, 1), "2 amplitudes"),
        (lambda: natural_modes(GOOD).amplitudes([1.0]), "2 entries"),
        (lambda: wiener_solution(GOOD, [1.0]), r"\(2,\)"),
        (lambda: wiener_solution(GOOD, [1.0, math.inf]), "not finite"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(call, words):
    with pytest.raises(InputError, match=words) as refusal:
        call()
    assert "\n" not in str(refusal.value)
