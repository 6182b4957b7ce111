"""The cell that measures how far noise moves an arrangement, run for real on a few images."""

import dataclasses
import functools
import math

import pytest
import torch

from normscope.papers.chai2020.cells.arrangements import start
from normscope.papers.chai2020.cells.noise import (
    NoiseAmplification,
    NoiseTraining,
    noise_amplification,
    train_arrangement,
)

CONFIG = NoiseAmplification(
    "prior", 0.3, seed=0, data="mnist5k", images=192, epochs=2, states=(1,), noises=(2.0,), draws=2, span=3
)  # fmt: skip
"""Epochs of three steps: the branches from step 1 go on into the second epoch, those from its end beyond the last."""

D, R = "displacement at noise 2", "rise at noise 2"


def changed(config=CONFIG, **fields):
    return dataclasses.replace(config, **fields)


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


@functools.cache
def _measured():
    return noise_amplification(CONFIG)


@pytest.fixture
def measured():
    """The cell's own rows, on one thread as in every test, and once for all that only read them."""
    return _measured()


@pytest.mark.parametrize("name", ["baseline", "batch", "prior", "nlms_l2_eps"])
def test_the_quiet_run_is_bit_for_bit_a_training_run_without_noise(name):
    found = noise_amplification(changed(arrangement=name, draws=1))
    training = NoiseTraining(name, 0.3, 0.0, seed=0, data="mnist5k", images=192, epochs=2)
    rows = [row for row in found.to_pylist() if row["measure"] not in (D, R, "quiet_error")]
    assert rows == train_arrangement(training).to_pylist()


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("baseline", 0),
        ("batch", 0),
        ("prior", 0),
        ("nlms_l2", 1),
        ("nlms_l2_sum", 0),
        ("nlms_l2_eps", 2),
        ("nlms_l1_first", 0),
    ],
)
def test_d_and_r_are_those_of_a_few_lines_of_pytorch(name, seed, by_hand):
    """Every state and draw, from code that shares nothing with the cell but the data and the draws' seeds."""
    x, y = by_hand.digits("test")
    batches = by_hand.batches(192, epochs=4, seed=seed)
    network = by_hand.network(name, rate=0.3, seed=seed)
    by_state = {}
    for step, batch in enumerate(batches[:6], start=1):
        network.step(*batch)
        if step in (1, 6):
            by_state[step] = network.copy()

    def after(state, noise=0.0, drawn=0):
        branch, generator = by_state[state].copy(), torch.Generator().manual_seed(drawn)
        for batch in batches[state : state + 3]:
            branch.step(*batch, noise, generator)
        logits = branch.test_logits(x)
        return logits, (logits.argmax(1) != y).double().mean().item()

    found = noise_amplification(changed(arrangement=name, seed=seed))
    for state in by_state:
        quiet, quiet_error = after(state)
        assert values(found, "quiet_error", step=state) == pytest.approx([quiet_error], abs=0.005)
        for draw in (0, 1):
            noisy, error = after(state, 2.0, 1_000_000 + seed + 10_000_000 * (draw + 1))
            moved = ((noisy - quiet).norm() / (quiet - quiet.mean(0)).norm()).item()
            (d,), (r,) = (values(found, measure, step=state, index=draw) for measure in (D, R))
            assert d == pytest.approx(moved, rel=1e-2)
            assert r == pytest.approx(error - quiet_error, abs=0.008)


def test_a_noise_so_small_that_it_vanishes_moves_nothing():
    """What is left is rounding: with noise the convolution's gradient is summed by other kernels."""
    found = noise_amplification(changed(noises=(1e-30,)))
    assert max(values(found, "displacement at noise 1e-30")) < 1e-5
    assert set(values(found, "rise at noise 1e-30")) == {0.0}


def test_a_quiet_branch_takes_the_steps_that_the_run_takes_next():
    """From the end of an epoch to that of the next it ends at the very error of the run, and of a longer one."""
    found = noise_amplification(changed(states=(3,), span=3, noises=(), draws=0))
    longer = train_arrangement(NoiseTraining("prior", 0.3, 0.0, seed=0, data="mnist5k", images=192, epochs=3))
    second, third = values(longer, "validation_error")[1:]
    assert values(found, "quiet_error") == [second, third]
    assert values(found, "validation_error")[1] == second


@pytest.mark.parametrize(
    "fields", [{"draws": 0}, {"states": (1, 2, 3, 4, 5), "draws": 1}, {"noises": (2.0, 1e8)}, {"span": 7}]
)
def test_branches_leave_the_run_undisturbed(fields, measured):
    found = noise_amplification(changed(**fields))
    for measure in ("validation_error", "train_loss"):
        assert values(found, measure) == values(measured, measure)


def test_a_draw_is_the_same_whatever_others_are_tried(measured):
    more = noise_amplification(changed(draws=3, noises=(5.0, 2.0), states=()))
    assert values(more, D, step=6)[:2] == values(measured, D, step=6)


def test_no_two_draws_nor_seeds_have_the_same_noise(measured):
    other = noise_amplification(changed(seed=1, states=()))
    found = [*values(measured, D, step=6), *values(other, D, step=6)]
    assert len({round(value, 9) for value in found}) == 4


def test_the_same_cell_gives_the_same_bits_whatever_ran_before(measured):
    torch.manual_seed(99)
    torch.rand(7)
    assert noise_amplification(CONFIG).equals(measured)


def test_a_cell_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    noise_amplification(changed(states=()))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("name", ["prior", "nlms_l2"])
def test_a_branch_that_diverges_has_an_infinite_d_and_the_error_of_a_guess(name):
    found = noise_amplification(changed(arrangement=name, noises=(1e8,)))
    assert values(found, "displacement at noise 1e+08") == [math.inf] * 4
    for state in (1, 6):
        (quiet_error,) = values(found, "quiet_error", step=state)
        rises = values(found, "rise at noise 1e+08", step=state)
        assert rises == pytest.approx([0.9 - quiet_error] * 2, abs=1e-12)
    assert len(values(found, "validation_error")) == 2


def test_from_a_state_whose_quiet_steps_diverge_every_draw_has_an_infinite_d():
    """Baseline at rate 30: the first step is taken, the next ones in the branch lead nowhere."""
    found = noise_amplification(changed(arrangement="baseline", rate=30.0))
    assert values(found, "quiet_error") == [0.9]
    assert set(values(found, D)) == {math.inf}
    assert set(values(found, R)) == {0.0}
    assert len(values(found, "diverged")) == 1


def test_a_run_of_which_every_activation_has_died_has_an_infinite_d(monkeypatch):
    """No noise can move it, and all its logits are alike: it is as far from a trained network as one that diverged."""
    from normscope.papers.chai2020.cells import noise

    def dead(config, level=0.0):
        run = start(config, level)
        torch.nn.init.constant_(run.model.conv2.bias, -1e9)
        return run

    monkeypatch.setattr(noise, "start", dead)
    found = noise_amplification(changed(arrangement="baseline", states=()))
    assert values(found, D) == [math.inf] * 2


@pytest.mark.parametrize(
    ("step", "count"), [(0, 2), (1, 2), (2, 2), (3, 3), (4, 1), (5, 7), (6, 4), (11, 40)]
)
def test_the_upcoming_batches_are_those_that_training_goes_on_with(step, count, by_hand):
    run = start(CONFIG)
    expected = by_hand.batches(192, epochs=20)[step : step + count]
    found = run.upcoming_batches(step, count)
    assert len(found) == count
    for (x, y), (expected_x, expected_y) in zip(found, expected, strict=True):
        assert torch.equal(y, expected_y)
        assert torch.allclose(x, expected_x, atol=1e-5)


def test_the_upcoming_batches_leave_out_partial_ones(by_hand):
    run = start(changed(images=150))
    labels = [y.tolist() for _, y in run.upcoming_batches(1, 3)]
    assert labels == [y.tolist() for _, y in by_hand.batches(150, epochs=2)[1:4]]


@pytest.mark.parametrize(
    ("states", "expected"), [((), [6]), ((1, 4), [1, 4, 6]), ((1, 6, 7), [1, 6]), ((100,), [6])]
)
def test_noise_is_tried_from_the_states_that_a_run_reaches_and_from_its_end(states, expected):
    assert changed(states=states).measured_states() == expected
    found = noise_amplification(changed(states=states, draws=0, span=1)).to_pandas()
    assert found.loc[found["measure"] == "quiet_error", "step"].tolist() == expected


def test_a_cell_is_estimated_to_take_longer_with_more_to_try():
    costs = [
        noise_amplification.cell(changed(**fields)).cost
        for fields in ({}, {"draws": 6}, {"draws": 6, "arrangement": "nlms_l2"}, {"draws": 6, "epochs": 200})
    ]
    assert costs == sorted(costs)
    assert all(cost > 0 for cost in costs)


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {"prior": [0.098595, 0.156867], "nlms_l2": [0.540202, 0.309330]}


@pytest.mark.parametrize("name", FINGERPRINT)
def test_the_rows_of_this_version_have_not_moved(name):
    assert noise_amplification.version == 1
    found = noise_amplification(changed(arrangement=name, rate=0.1, states=()))
    assert values(found, D) == pytest.approx(FINGERPRINT[name], rel=1e-2)
