"""The products of lagged views of an image, added up to its autocorrelation matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from normscope.probes.geometry import Geometry
from normscope.probes.overlap import Lag, lags

CHUNK = 2**19
"""Values of a chunk of unfolded rows: 2 MiB in float32, so that it stays near the processor."""

WIDE = 128
"""Channels from which products one by one, each added in place, beat a batched product and its sum."""


def plan(geometry: Geometry, size: Sequence[int], depth: int) -> list[tuple[Lag, ...]]:
    """The lags of the leading ``depth`` dimensions of an image of that size."""
    out = geometry.output_size(size)
    columns = (size, geometry.kernel, geometry.stride, geometry.dilation, geometry.padding, out)
    return [
        lags(n, kernel, stride, dilation, before, patches)
        for n, kernel, stride, dilation, (before, _), patches in zip(
            *(c[:depth] for c in columns), strict=True
        )
    ]


SQUARE = 256
"""Rows of a matrix times its own transpose that are multiplied at a time, leaving out what mirrors the rest.
"""


def sum_of_products(x: Tensor, geometry: Geometry, depth: int, total: Tensor) -> None:
    """Write ``Σ patch patchᵀ`` of one group's input ``x`` (B, C, *size) into ``total`` (K, K), which holds
    zeros.

    The leading ``depth`` spatial dimensions go by lags. The others are unfolded, which makes each channel and
    offset a channel of its own: ``depth`` 0 is plain unfolding; ``depth`` n copies nothing but the image. The
    padding is zeros. The result is symmetric to the bit.
    """
    size, channels = x.shape[2:], x.shape[1]
    outer = math.prod(geometry.kernel[:depth])
    inner = geometry.taps // outer
    blocks = total.view(channels, outer, inner, channels, outer, inner)
    plans = plan(geometry, size, depth)
    per_image = channels * inner * math.prod(size[:depth]) * math.prod(geometry.output_size(size)[depth:])
    step = len(x) if depth == geometry.dims else max(1, CHUNK // per_image)
    room = max(x.numel() // 2, 2**17)
    for images in torch.split(x, step):
        rows = _rows(images, geometry, depth)
        if depth:
            for combination in _upper_half(plans):
                _add_lag(blocks, rows, combination, geometry, room)
        else:
            _add_square(total, rows)
    if not depth:
        total.triu_()
    _mirror(total)


def sum_of_grouped_products(x: Tensor, geometry: Geometry, total: Tensor) -> None:
    """Write each group's ``Σ patch patchᵀ`` into ``total`` (G, K/G, K/G), unfolding all groups together."""
    per_image = x.shape[1] * geometry.taps * math.prod(geometry.output_size(x.shape[2:]))
    for images in torch.split(x, max(1, CHUNK // per_image)):
        rows = _rows(images, geometry, 0).view(*total.shape[:2], -1)
        torch.baddbmm(total, rows, rows.mT, out=total)
    upper = total.triu(1)
    total.triu_().add_(upper.mT)


def _rows(x: Tensor, geometry: Geometry, depth: int) -> Tensor:
    """``x`` as (channels · unfolded taps, *lagged size, n), n contiguous.

    The pixels of the last lagged dimension are ordered phase by phase, so that a range of q is contiguous.
    """
    if depth and geometry.stride[depth - 1] > 1:
        stride, pixels = geometry.stride[depth - 1], x.shape[1 + depth]
        order = [u for phase in range(stride) for u in range(phase, pixels, stride)]
        x = x.index_select(1 + depth, torch.tensor(order, device=x.device))
    if depth == geometry.dims:
        return x.reshape(len(x), -1).t().contiguous().view(*x.shape[1:], len(x))
    inner = geometry.inner(depth)
    windows = inner.windows(inner.pad(x))
    unfolded = range(2 + depth, 2 + geometry.dims)
    taps = range(2 + geometry.dims, 2 + geometry.dims + inner.dims)
    windows = windows.permute(1, *taps, *range(2, 2 + depth), 0, *unfolded)
    return windows.reshape(x.shape[1] * inner.taps, *x.shape[2 : 2 + depth], -1)


def _upper_half(plans: Sequence[tuple[Lag, ...]]) -> Iterator[tuple[Lag, ...]]:
    """One lag of each dimension; of each and its negative, the one of positive first shift."""
    for combination in itertools.product(*plans):
        first = next((lag.shift for lag in combination if lag.shift), 0)
        if first >= 0:
            yield combination


def _add_lag(
    total: Tensor, rows: Tensor, combination: tuple[Lag, ...], geometry: Geometry, room: int
) -> None:
    """Add the blocks of every pair of taps that this lag of each dimension joins."""
    channels, _, inner = total.shape[:3]
    width = rows.shape[0]
    counts = [len(lag.segments) for lag in combination]
    square = not any(lag.shift for lag in combination)
    fit = room // (math.prod(counts) * width * inner) * inner
    block = min(width, max(64 * inner, fit))
    strides = geometry.stride
    for start in range(0, width, block):
        stop = min(start + block, width)
        sums = rows.new_zeros(*counts, stop - start, width - start if square else width)
        _add_products(sums, rows[start:stop], rows[start:] if square else rows, combination, strides)
        if square:
            sums.triu_()
        for pairs in itertools.product(*(lag.pairs for lag in combination)):
            i, j = (_flat([pair[end] for pair in pairs], geometry.kernel) for end in (0, 1))
            found = sums[tuple(slice(first, last) for _, _, first, last in pairs)]
            cells = math.prod(found.shape[:-2])
            found = found.reshape(cells, *found.shape[-2:])
            found = found[0] if cells == 1 else found.sum(0)
            upper = slice(start // inner, stop // inner)
            right = slice(start // inner if square else 0, channels)
            target = total[upper, i, :, right, j, :]
            target += found.view(target.shape)


def _add_products(
    sums: Tensor, left: Tensor, right: Tensor, combination: tuple[Lag, ...], strides: Sequence[int]
) -> None:
    """Add products of ``left`` (a, *size, n) and ``right`` (b, *size, n) to ``sums`` (*segments, a, b)."""
    lag, *rest = combination
    if not rest:
        here, there = _positions(lag, strides[0], left.shape[1])
        for index, (first, last) in enumerate(lag.segments):
            a = left[:, here + first : here + last].flatten(1)
            b = right[:, there + first : there + last].flatten(1)
            sums[index].addmm_(a, b.t())
        return
    results = left.shape[1] * sums.shape[-1] * sums.shape[-2]
    if len(rest) == 1 and left.shape[0] < WIDE and results <= max(right.numel(), 2**18):
        _add_batched(sums, left, right, lag, rest[0], strides)
        return
    for index, (first, last) in enumerate(lag.segments):
        for q in range(first, last):
            u = strides[0] * q + lag.phase
            _add_products(sums[index], left[:, u], right[:, u + lag.shift], tuple(rest), strides[1:])


def _add_batched(
    sums: Tensor, left: Tensor, right: Tensor, row: Lag, column: Lag, strides: Sequence[int]
) -> None:
    """The last two dimensions at once: all rows of a column segment in one batched product."""
    low, high = row.segments[0][0], row.segments[-1][1]
    first = strides[0] * low + row.phase
    last = strides[0] * (high - 1) + row.phase + 1
    left = left[:, first : last : strides[0]].movedim(1, 0)
    right = right[:, first + row.shift : last + row.shift : strides[0]].movedim(1, 0)
    here, there = _positions(column, strides[1], left.shape[2])
    for index, (start, stop) in enumerate(column.segments):
        a = left[:, :, here + start : here + stop].flatten(2)
        b = right[:, :, there + start : there + stop].flatten(2)
        products = torch.bmm(a, b.mT)
        for number, (begin, end) in enumerate(row.segments):
            part = products[begin - low : end - low]
            sums[number, index] += part[0] if end - begin == 1 else part.sum(0)


def _positions(lag: Lag, stride: int, pixels: int) -> tuple[int, int]:
    """Where q = 0 of the left and of the right pixel stands in a dimension stored phase by phase."""
    there = (lag.phase + lag.shift) % stride
    starts = [sum(-(-(pixels - f) // stride) for f in range(phase)) for phase in (lag.phase, there)]
    return starts[0], starts[1] + (lag.phase + lag.shift - there) // stride


def _add_square(total: Tensor, rows: Tensor) -> None:
    """Add the upper triangle of ``rows rowsᵀ``, and beside the diagonal what is dear to leave out."""
    for start in range(0, len(total), SQUARE):
        part = total[start : start + SQUARE, start:]
        part.addmm_(rows[start : start + SQUARE], rows[start:].t())


def _mirror(upper: Tensor, tile: int = 256) -> None:
    """Make symmetric in place a matrix of which one of two mirrored entries is 0."""
    diagonal = upper.diagonal().clone()
    for i in range(0, len(upper), tile):
        square = upper[i : i + tile, i : i + tile]
        square += square.mT.clone()
        for j in range(i + tile, len(upper), tile):
            one, other = upper[i : i + tile, j : j + tile], upper[j : j + tile, i : i + tile]
            one += other.mT
            other.copy_(one.mT)
    upper.diagonal().copy_(diagonal)


def _flat(index: Sequence[int], shape: Sequence[int]) -> int:
    flat = 0
    for i, n in zip(index, shape, strict=False):
        flat = flat * n + i
    return flat
