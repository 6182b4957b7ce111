"""The descent's cell against a few lines of NumPy that share nothing with it but its start."""

import dataclasses

import numpy as np
import pytest
import torch

from normscope.papers.chai2020.cells.linear_descent import LinearDescent, _moments, _start, descend

CONFIG = LinearDescent(0.7, seed=1, data="mnist5k", images=3, steps=20)


def measured(table, name):
    frame = table.to_pandas()
    return frame[frame["measure"] == name]


def by_mode(table, name, step):
    rows = measured(table, name)
    return rows[rows["step"] == step].sort_values("index")["value"].to_numpy()


def patches_of(config):
    """Every patch of every image as a row, and the response wanted of it."""
    images, desired, layer = _start(config)
    rows = np.lib.stride_tricks.sliding_window_view(images.numpy(), (5, 5), axis=(2, 3)).reshape(-1, 25)
    return rows, desired.numpy().reshape(-1), layer.weight.detach().numpy().ravel()


def test_the_amplitudes_are_those_of_gradient_descent_written_out():
    x, d, w = patches_of(CONFIG)
    table = descend(CONFIG)
    images = CONFIG.images
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    rate = CONFIG.share * 2 / (28 * 28 * values[-1])
    best, *_ = np.linalg.lstsq(x, d, rcond=None)
    losses = []
    for _ in range(CONFIG.steps):
        losses.append(np.square(d - x @ w).sum() / (2 * images))
        w = w + rate * x.T @ (d - x @ w) / images
    losses.append(np.square(d - x @ w).sum() / (2 * images))
    found = by_mode(table, "amplitude", CONFIG.steps)
    size = np.abs(by_mode(table, "amplitude", 0)).max()
    np.testing.assert_allclose(np.abs(found), np.abs(vectors.T @ (best - w)), rtol=1e-6, atol=1e-10 * size)
    excess = measured(table, "excess").sort_values("step")
    least = np.square(d - x @ best).sum() / (2 * images)
    np.testing.assert_allclose(
        excess["value"], np.array(losses)[excess["step"].astype(int)] - least, rtol=1e-8
    )


def test_the_desired_response_is_noisy_so_that_the_wiener_solution_leaves_an_error():
    x, d, _ = patches_of(CONFIG)
    _, residual, *_ = np.linalg.lstsq(x, d, rcond=None)
    assert residual.item() / np.square(d).sum() == pytest.approx(CONFIG.noise**2, rel=0.1)


def test_the_moments_are_means_over_images_and_positions():
    x, d, _ = patches_of(CONFIG)
    images, desired, _ = _start(CONFIG)
    autocorrelation, cross_correlation = _moments(images, desired, 5)
    np.testing.assert_allclose(autocorrelation, x.T @ x / len(x), rtol=1e-12)
    np.testing.assert_allclose(cross_correlation, x.T @ d / len(x), rtol=1e-10, atol=1e-12)


def test_every_rate_starts_from_the_same_place():
    slow, fast = (descend(dataclasses.replace(CONFIG, share=share, steps=1)) for share in (0.1, 1.01))
    np.testing.assert_array_equal(by_mode(slow, "amplitude", 0), by_mode(fast, "amplitude", 0))
    other = descend(dataclasses.replace(CONFIG, seed=2, steps=1))
    assert (by_mode(other, "amplitude", 0) != by_mode(slow, "amplitude", 0)).all()


def test_the_last_step_is_recorded_and_the_first_ones_all():
    steps = sorted(set(measured(descend(CONFIG), "excess")["step"]))
    assert steps[:4] == [0, 1, 2, 3]
    assert steps[-1] == CONFIG.steps


def test_the_same_cell_gives_the_same_bits_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    first = descend(CONFIG)
    drawn = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), drawn)
    assert descend(CONFIG).equals(first)


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {"shrinkage": 0.00259835, "excess": 395.434}


def test_the_rows_of_this_version_have_not_moved():
    table = descend(CONFIG)
    assert descend.version == 1
    smallest = measured(table, "shrinkage").sort_values("index")["value"].iloc[0]
    last = measured(table, "excess").sort_values("step")["value"].iloc[-1]
    assert {"shrinkage": smallest, "excess": last} == pytest.approx(FINGERPRINT, rel=2e-3)
