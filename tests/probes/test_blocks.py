"""How segments become the sums of windows, and where blocks go."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.probes._autocorrelation.blocks import Blocks, windowed
from normscope.probes._autocorrelation.lags import WHOLE, lags_along


def windows():
    ends = st.tuples(st.integers(0, 5), st.integers(1, 4)).map(lambda w: (w[0], w[0] + w[1]))
    sliding = st.builds(
        lambda begin, length, step, count: [
            (begin + n * step, begin + n * step + length) for n in range(count)
        ],
        st.integers(0, 3),
        st.integers(1, 4),
        st.integers(0, 2),
        st.integers(1, 4),
    )
    return st.one_of(sliding, st.lists(ends, min_size=1, max_size=5))


@settings(max_examples=200, deadline=None)
@given(windows(), st.integers(0, 1))
def test_each_window_is_the_sum_of_its_segments(windows, dim):
    sums = torch.arange(2 * 14 * 3, dtype=torch.float64).reshape(2, 14, 3).movedim(1, dim) ** 2
    found = windowed(sums, dim, [(0, 0, *window) for window in windows])
    truth = torch.stack([sums.narrow(dim, a, b - a).sum(dim) for a, b in windows], dim)
    assert found.shape[dim] == (1 if len(set(windows)) == 1 else len(windows))
    assert torch.equal(found.expand_as(truth), truth)


@pytest.mark.parametrize("windows", [[(0, 2), (1, 4), (2, 5)], [(0, 2), (1, 3), (2, 4)], [(1, 3)] * 2])
def test_a_nan_stays_in_the_windows_that_hold_it(windows):
    sums = torch.ones(6, 2)
    sums[0] = torch.nan
    found = windowed(sums, 0, [(0, 0, *window) for window in windows]).expand(len(windows), 2)
    assert found.isnan().all(1).tolist() == [begin == 0 for begin, _ in windows]


@pytest.mark.parametrize("taps_first", [False, True])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1), (2, 3)])
def test_the_blocks_of_a_lag_go_to_its_pairs_of_taps(taps_first, stride, dilation):
    channels, kernel, inner = 2, 5, 3
    matrix = torch.zeros(channels * kernel * inner, channels * kernel * inner)
    blocks = Blocks(matrix, channels, (kernel, 1), inner, taps_first)
    along = lags_along(40, kernel, stride, dilation, 0, 6)
    expected = torch.zeros(channels, kernel, inner, channels, kernel, inner)
    for number, lag in enumerate(lag for lag in along if lag.shift > 0):
        sums = torch.full((len(lag.segments), 1, channels * inner, channels * inner), 10.0**number)
        blocks.add((lag.pairs, WHOLE.pairs), sums)
        for i, j, first, last in lag.pairs:
            expected[:, i, :, :, j] += 10.0**number * (last - first)
    assert torch.equal(matrix.view_as(expected), expected)
