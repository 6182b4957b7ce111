"""The closed forms against plain descent on the layer's own weights."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.errors import InputError
from normscope.theory.linear_network import least_squares

seeds = st.integers(0, 2**32 - 1)


def drawn(seed, outputs=4, inner=3, features=5, examples=9):
    """Ā, x, y and the start of A."""
    rng = np.random.default_rng(seed)
    shapes = (outputs, inner), (features, examples), (outputs, examples), (inner, features)
    return [rng.normal(size=shape) for shape in shapes]


def loss(above, x, y, weight):
    return 0.5 * np.sum((above @ weight @ x - y) ** 2)


def descend(above, x, y, weight, rate, steps):
    for _ in range(steps):
        weight = weight - rate * above.T @ (above @ weight @ x - y) @ x.T
    return weight


@settings(max_examples=40, deadline=None)
@given(seeds, st.tuples(*[st.integers(1, 5)] * 3))
def test_the_change_of_variables_keeps_the_loss_and_can_be_undone(seed, sizes):
    outputs, inner, features = sizes
    above, x, y, weight = drawn(seed, outputs, inner, features, examples=7)
    problem = least_squares(above, x, y)
    variables = problem.variables(weight)
    assert problem.loss(variables) == pytest.approx(loss(above, x, y, weight), rel=1e-9)
    np.testing.assert_allclose(problem.weight(variables), weight, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(seeds, st.tuples(*[st.integers(1, 5)] * 3), st.sampled_from([0.3, 0.99, 1.02]))
def test_its_descent_is_that_on_the_layers_weights(seed, sizes, share):
    above, x, y, weight = drawn(seed, *sizes, examples=7)
    problem = least_squares(above, x, y)
    rate = share * problem.stability_bound
    expected = problem.variables(descend(above, x, y, weight, rate, 25))
    found = problem.after(problem.variables(weight), rate, 25)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_each_column_is_a_least_squares_problem_at_a_rate_of_its_own():
    above, x, y, weight = drawn(1)
    problem = least_squares(above, x, y)
    rate = 0.4 * problem.stability_bound
    found = problem.after(problem.variables(weight), rate, 12)
    for j, scale in enumerate(np.linalg.svd(x, compute_uv=False)):
        column = problem.variables(weight)[:, j]
        for _ in range(12):
            column = column - rate * scale**2 * above.T @ (above @ column - problem.targets[:, j])
        np.testing.assert_allclose(found[:, j], column, rtol=1e-10)


def test_the_bound_parts_descents_that_shrink_from_those_that_grow():
    above, x, y, weight = drawn(2, outputs=3)
    bound = least_squares(above, x, y).stability_bound
    singular = [np.linalg.svd(one, compute_uv=False)[0] for one in (above, x)]
    assert bound == pytest.approx(2 / (singular[0] * singular[1]) ** 2)
    start = loss(above, x, y, weight)
    assert loss(above, x, y, descend(above, x, y, weight, 0.99 * bound, 2000)) < start
    assert loss(above, x, y, descend(above, x, y, weight, 1.01 * bound, 2000)) > 1e6 * start


def test_steps_to_converge_are_those_after_which_the_slowest_mode_is_a_hundredth():
    above, x, y, weight = drawn(15, outputs=3)
    problem = least_squares(above, x, y)
    rate = 0.5 * problem.stability_bound
    steps = problem.steps_to_converge(rate)
    start, solution = problem.modes(problem.variables(weight)), problem.solution()
    whole = math.ceil(steps)
    ended = problem.modes(problem.variables(descend(above, x, y, weight, rate, whole)))
    shares = np.abs((ended - solution) / (start - solution))
    assert shares.max() == shares[-1, -1] == pytest.approx(0.01 ** (whole / steps), rel=1e-6)
    assert steps == pytest.approx(math.log(0.01) / math.log1p(-(problem.condition**-2)), rel=1e-9)


def test_the_condition_number_is_the_product_of_both():
    above, x, y, _ = drawn(4)
    assert least_squares(above, x, y).condition == pytest.approx(np.linalg.cond(above) * np.linalg.cond(x))


def test_what_the_layers_above_do_not_see_never_moves():
    _, x, y, weight = drawn(5)
    above = np.zeros((4, 3))
    above[0, 0] = 1
    problem = least_squares(above, x, y)
    variables = problem.variables(weight)
    after = problem.after(variables, 0.5 * problem.stability_bound, 100)
    np.testing.assert_allclose(after[1:], variables[1:])
    assert problem.condition == math.inf
    assert problem.steps_to_converge(0.1 * problem.stability_bound) == math.inf
    assert least_squares(0 * above, x, y).stability_bound == math.inf


@pytest.mark.parametrize("method", ["variables", "weight", "loss", "modes"])
@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros(3), "a", None, 1j * np.zeros((3, 3))], ids=str)
def test_weights_that_do_not_fit_are_refused(method, values):
    problem = least_squares(np.eye(3), np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="must"):
        getattr(problem, method)(values)


@pytest.mark.parametrize("steps", [-1, 1.5, None, "a", True])
def test_steps_that_are_no_number_of_steps_are_refused(steps):
    problem = least_squares(np.eye(3), np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="steps must be"):
        problem.after(np.zeros((3, 3)), 0.1, steps)


def test_at_and_beyond_the_bound_nothing_converges():
    problem = least_squares(*drawn(6)[:3])
    assert problem.steps_to_converge(1.01 * problem.stability_bound) == math.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones((5, 9))}, "full rank"),
        ({"x": np.ones((5, 4)), "y": np.ones((4, 4))}, "as many examples"),
        ({"y": np.ones((3, 9))}, "do not fit"),
        ({"y": np.ones((4, 8))}, "do not fit"),
        ({"above": np.ones(3)}, "two dimensions"),
        ({"above": [["a"]]}, "real numbers"),
        ({"x": np.full((5, 9), np.nan)}, "finite"),
    ],
)
def test_arrays_that_make_no_problem_are_refused_in_one_sentence(change, message):
    above, x, y, _ = drawn(0)
    arrays = {"above": above, "x": x, "y": y} | change
    with pytest.raises(InputError, match=message):
        least_squares(*arrays.values())


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InputError, match="learning rate"):
        least_squares(*drawn(0)[:3]).shrinkage(rate)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        least_squares(*drawn(0)[:3]).steps_to_converge(1e-9, 1.0)
