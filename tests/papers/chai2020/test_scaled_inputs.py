"""The scaling's cell against unfolded patches, and the decorrelation it rests on."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope import networks, probes, training
from normscope.errors import InputError
from normscope.papers.chai2020.cells.scaled_inputs import (
    SCALINGS,
    ScaledChannels,
    _second_input,
    _with_correlation,
    scale_channels,
)

CONFIG = ScaledChannels("unit_power", 1.0, seed=0, data="mnist5k", images=8)


def values(table, measure):
    frame = table.to_pandas()
    return frame.loc[frame["measure"] == measure, "value"].to_numpy()


def covariance(x, kernel=5):
    patches = torch.nn.functional.unfold(x, kernel).transpose(1, 2).flatten(0, 1).numpy()
    return patches.T @ patches / len(patches)


def test_the_eigenvalues_are_those_of_the_scaled_inputs_patches():
    x, kernel = _second_input(CONFIG)
    assert x.shape == (8, 6, 14, 14)
    assert kernel == 5
    power = x.square().mean((0, 2, 3), keepdim=True)
    expected = np.linalg.eigvalsh(covariance(x / (power + 1e-5).sqrt()))
    np.testing.assert_allclose(values(scale_channels(CONFIG), "eigenvalue"), expected, rtol=1e-8, atol=1e-11)


def test_the_input_is_what_reaches_the_second_convolution():
    x, _ = _second_input(CONFIG)
    with training.seeded(0):
        model = networks.lenet(norm="none").double()
    assert (x >= 0).all()
    with torch.no_grad():
        assert model.conv2(x).shape == (8, 16, 10, 10)


def test_the_blocks_own_eigenvalues_are_scaled_by_the_factors_squared_and_know_their_channel():
    x, _ = _second_input(CONFIG)
    frame = scale_channels(CONFIG).to_pandas()
    rows = frame[frame["measure"] == "block_eigenvalue"]
    for channel, factor in enumerate(values(scale_channels(CONFIG), "factor")):
        own = np.linalg.eigvalsh(covariance(x[:, channel : channel + 1]))
        found = rows.loc[rows["channel"] == channel, "value"]
        np.testing.assert_allclose(found, factor**2 * own, rtol=1e-7, atol=1e-12)
    assert (np.diff(rows["value"]) >= 0).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_taking_correlation_out_leaves_every_channels_own_block(share):
    x, _ = _second_input(CONFIG)
    before, after = covariance(x), probes.autocorrelation(_with_correlation(x, share), 5).numpy()
    cross = np.kron(1 - np.eye(6), np.ones((25, 25)))
    largest = np.abs(before).max()
    np.testing.assert_allclose(after, before * (1 - cross) + share * before * cross, atol=1e-14 * largest)


@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_any_number_of_channels_can_be_decorrelated(channels, share, seed):
    x = torch.randn(2, channels, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    before, after = (probes.autocorrelation(batch, 1) for batch in (x, _with_correlation(x, share)))
    weight = share + (1 - share) * torch.eye(channels, dtype=torch.float64)
    torch.testing.assert_close(after, before * weight, rtol=1e-12, atol=1e-13)


def test_without_correlation_nothing_is_left_between_channels():
    (share,) = values(scale_channels(dataclasses.replace(CONFIG, correlation=0.0)), "cross_share")
    assert abs(share) < 1e-15
    assert values(scale_channels(CONFIG), "cross_share")[0] > 0.1


def test_powers_of_two_scale_the_blocks_to_the_bit():
    table = scale_channels(dataclasses.replace(CONFIG, scaling="powers_of_two"))
    np.testing.assert_array_equal(values(table, "factor"), 2.0 ** np.arange(-3, 3))
    np.testing.assert_array_equal(values(table, "block_error"), 0)
    np.testing.assert_array_equal(values(table, "block_ratio"), 4.0 ** np.arange(-3, 3))


def test_a_block_that_does_not_scale_by_the_square_would_show(monkeypatch):
    """The second matrix off by a part in 10⁹: the error is that part."""
    original = probes.autocorrelation
    calls = []

    def crooked(x, kernel):
        calls.append(x)
        return original(x, kernel) * (1 + 1e-9 * (len(calls) == 2))

    monkeypatch.setattr(probes, "autocorrelation", crooked)
    errors = values(scale_channels(CONFIG), "block_error")
    assert errors == pytest.approx(1e-9, rel=1e-3)


def test_an_unknown_scaling_is_refused():
    with pytest.raises(InputError, match="powers_of_two"):
        scale_channels(dataclasses.replace(CONFIG, scaling="powers"))


def test_the_same_cell_gives_the_same_bits():
    torch.manual_seed(3)
    assert scale_channels(CONFIG).equals(scale_channels(CONFIG))


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {"powers_of_two": 9.78954, "unit_power": 43.5443}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_rows_of_this_version_have_not_moved(scaling):
    assert scale_channels.version == 1
    table = scale_channels(dataclasses.replace(CONFIG, scaling=scaling, correlation=0.5))
    assert values(table, "eigenvalue")[-1] == pytest.approx(FINGERPRINT[scaling], rel=2e-3)
