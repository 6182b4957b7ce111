"""The extreme eigenvalues that Lanczos finds without R, against the full route."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

import normscope as ns


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LAYERS = [
    (nn.Conv1d(3, 4, 4, stride=2, dilation=2, padding=3), (6, 3, 40)),
    (nn.Conv2d(6, 4, (3, 2), padding=1, groups=2), (6, 6, 9, 8)),
    (nn.Conv2d(4, 4, 3, stride=(2, 1), padding="valid", padding_mode="reflect"), (5, 4, 9, 9)),
    (nn.Conv2d(4, 4, 3, padding=2, padding_mode="circular"), (5, 4, 9, 9)),
    (nn.Conv3d(2, 4, 2, padding=1, dilation=2), (3, 2, 6, 5, 6)),
    (nn.Linear(20, 3), (30, 4, 20)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (4, 4, 6, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_extremes_equal_the_full_routes_or_say_why_not(layer, shape):
    x = batch(*shape) + 0.3
    full, lanczos = (ns.probes.spectrum(layer, x, extremes=e, groups=True) for e in (False, True))
    assert list(full.columns) == list(lanczos.columns)
    for a, b in zip(full.itertuples(), lanczos.itertuples(), strict=True):
        assert b.lambda_max == pytest.approx(a.lambda_max, rel=1e-8)
        assert b.power == pytest.approx(a.power, rel=1e-10)
        assert b.lr_bound == pytest.approx(a.lr_bound, rel=1e-8)
        assert (b.dim, b.positions, b.samples, b.group) == (a.dim, a.positions, a.samples, a.group)
        if math.isnan(b.lambda_min):
            assert "not resolved" in b.note
        else:
            assert b.lambda_min == pytest.approx(a.lambda_min, rel=1e-3)


def test_extremes_never_give_a_wrong_smallest_eigenvalue():
    """Eigenvalues crowd near 0, to 1e-9 of the largest: Lanczos must find it or say it did not."""
    rng = torch.Generator().manual_seed(5)
    for power, dim in itertools.product((2, 6, 9), (120, 700)):
        scale = torch.logspace(0, -power / 2, dim, dtype=torch.float64)
        q = torch.linalg.qr(torch.randn(800, dim, generator=rng, dtype=torch.float64)).Q
        row = ns.probes.spectrum(nn.Linear(dim, 1).double(), q * scale * 800**0.5, extremes=True).iloc[0]
        assert row.lambda_max == pytest.approx(1, rel=1e-8)
        assert math.isnan(row.lambda_min) or row.lambda_min == pytest.approx(10.0**-power, rel=1e-3)
        assert math.isnan(row.lambda_min) == ("not resolved" in row.note)


@pytest.mark.parametrize("dim", [20, 120, 700])
def test_extremes_find_the_one_direction_without_power(dim):
    """Two equal entries leave an eigenvalue of 0, far below all others."""
    x = batch(3000, dim)
    x[:, -1] = x[:, 0]
    row = ns.probes.spectrum(nn.Linear(dim, 1), x, extremes=True).iloc[0]
    assert (row.lambda_min, row.condition) == (0, math.inf)
    assert "in at least one direction, the input has no power" in row.note


def test_extremes_of_a_convolution_with_two_equal_channels():
    x = batch(16, 8, 12, 12)
    x[:, 7] = x[:, 0]
    row = ns.probes.spectrum(nn.Conv2d(8, 4, 3, padding=1), x, extremes=True).iloc[0]
    assert row.lambda_min == 0
    assert "in at least one direction, the input has no power" in row.note


def test_extremes_of_a_well_conditioned_input_are_found_in_few_steps():
    """In fewer products than entries, and enough that no smaller eigenvalue can have been missed."""
    x = batch(4000, 620)
    full, lanczos = (ns.probes.spectrum(nn.Linear(620, 1), x, extremes=e).iloc[0] for e in (False, True))
    assert lanczos.lambda_min == pytest.approx(full.lambda_min, rel=1e-4)


def test_extremes_know_that_fewer_patches_than_entries_leave_a_zero_eigenvalue():
    row = ns.probes.spectrum(nn.Linear(50, 1), batch(20, 50), extremes=True).iloc[0]
    assert (row.lambda_min, row.condition, row.samples) == (0, math.inf, 20)
    assert row.note.startswith("20 patches span at most 20 of 50 dimensions")


def test_extremes_report_dead_tiny_and_non_finite_inputs():
    dead = ns.probes.spectrum(nn.Conv2d(2, 2, 3), torch.zeros(2, 2, 6, 6), extremes=True).iloc[0]
    assert (dead.lambda_max, dead.lr_bound) == (0, math.inf)
    tiny = ns.probes.spectrum(nn.Linear(2, 2), torch.eye(2), extremes=True).iloc[0]
    assert (tiny.lambda_min, tiny.lambda_max) == (0.5, 0.5)
    x = batch(2, 2, 6, 6)
    x[0, 0, 2, 2] = math.nan
    broken = ns.probes.spectrum(nn.Conv2d(2, 2, 3), x, extremes=True).iloc[0]
    assert math.isnan(broken.lambda_max)
    assert "finite" in broken.note
