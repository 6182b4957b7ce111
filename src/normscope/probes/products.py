"""The products of lagged views of an image, added up to its autocorrelation matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from normscope.probes.blocks import Blocks
from normscope.probes.geometry import Geometry
from normscope.probes.image import Image
from normscope.probes.overlap import WHOLE, Lag, lags

CHUNK = 2**19
"""Values of a chunk of unfolded rows: 2 MiB in float32, so that it stays near the processor."""

WIDE = 128
"""Channels from which products one by one, each added in place, beat a batched product and its sum."""

SQUARE = 256
"""Rows of a matrix times its own transpose that are multiplied at a time."""

Lags = tuple[Lag, ...]


def plan(geometry: Geometry, size: Sequence[int], depth: int) -> list[Lags]:
    """The lags of the leading ``depth`` dimensions of an image of that size."""
    out = geometry.output_size(size)
    columns = (size, geometry.kernel, geometry.stride, geometry.dilation, geometry.padding, out)
    return [
        lags(n, kernel, stride, dilation, before, patches)
        for n, kernel, stride, dilation, (before, _), patches in zip(
            *(c[:depth] for c in columns), strict=True
        )
    ]


def stacked_dimension(geometry: Geometry, depth: int, channels: int) -> int | None:
    """The dimension all of whose lags are multiplied at once, as rows of one matrix; None where that is no gain."""
    at = depth - 2 if depth == geometry.dims else depth - 1
    if at < 0 or channels >= WIDE or geometry.kernel[at] == 1:
        return None
    return at if geometry.stride[at] == geometry.dilation[at] == 1 else None


def sum_of_products(x: Tensor, geometry: Geometry, depth: int, total: Tensor) -> None:
    """Write ``Σ patch patchᵀ`` of one group's input ``x`` (B, C, *size) into ``total`` (K, K), which holds zeros.

    The leading ``depth`` spatial dimensions go by lags. The others are unfolded, which makes each channel and offset
    a channel of its own: ``depth`` 0 is plain unfolding; ``depth`` n copies nothing but the image. The padding is
    zeros. The sums are taken in the type of ``total`` and are symmetric to the bit.
    """
    size, kernel = x.shape[2:], geometry.kernel[:depth]
    inner = geometry.taps // math.prod(kernel)
    stacked = stacked_dimension(geometry, depth, x.shape[1] * inner)
    rows = max(depth - 1, 0) if stacked is None else stacked + 1
    plans = plan(geometry, size, depth)
    if 0 < depth == rows:
        plans, kernel = [*plans, (WHOLE,)], (*kernel, 1)
    spare = 0 if stacked is None else geometry.kernel[stacked] - 1
    front = spare if rows > 1 else 0
    blocks = Blocks(total, x.shape[1], kernel, inner)
    room = max(x.numel() // 4, 2**17)
    for images in torch.split(x, _images_at_a_time(x, geometry, depth)):
        image = Image(images, geometry, depth, rows, spare, front, total.dtype)
        if not depth:
            blocks.add_square(image.matrices, SQUARE)
        elif stacked is None:
            for combination in _upper_half(plans):
                _add_lag(blocks, image, combination, room)
        else:
            for outer in itertools.product(*plans[:-2]):
                for column in plans[-1]:
                    _add_stack(blocks, image, outer, plans[-2], column, room)
    if not depth:
        total.triu_()
    blocks.mirror()


def sum_of_grouped_products(x: Tensor, geometry: Geometry, total: Tensor) -> None:
    """Write each group's ``Σ patch patchᵀ`` into ``total`` (G, K/G, K/G), unfolding all groups together."""
    for images in torch.split(x, _images_at_a_time(x, geometry, 0)):
        matrix = Image(images, geometry, 0, 0, dtype=total.dtype).matrices
        matrix = matrix.view(*total.shape[:2], matrix.shape[-1])
        torch.baddbmm(total, matrix, matrix.mT, out=total)
    upper = total.triu(1)
    total.triu_().add_(upper.mT)


def _images_at_a_time(x: Tensor, geometry: Geometry, depth: int) -> int:
    """All, where nothing is unfolded; else as many as make a chunk."""
    if depth == geometry.dims and depth:
        return len(x)
    positions = (*x.shape[2 : 2 + depth], *geometry.output_size(x.shape[2:])[depth:])
    values: int = x.shape[1] * math.prod(geometry.kernel[depth:]) * math.prod(positions)
    return max(1, CHUNK // values)


def _sign(combination: Sequence[Lag]) -> int:
    """Of the first shift that is not zero. Of a lag and its negative only the positive one is computed."""
    first = next((lag.shift for lag in combination if lag.shift), 0)
    return (first > 0) - (first < 0)


def _upper_half(plans: Sequence[Lags]) -> Iterator[Lags]:
    return (combination for combination in itertools.product(*plans) if _sign(combination) >= 0)


def _add_lag(blocks: Blocks, image: Image, combination: Lags, room: int) -> None:
    """Add one lag of each dimension, as many channels at a time as there is room for."""
    width, matrices = image.channels, image.matrices
    counts = [len(lag.segments) for lag in combination]
    square = not any(lag.shift for lag in combination)
    fit = room // (math.prod(counts) * width * blocks.inner) * blocks.inner
    step = min(width, max(64 * blocks.inner, fit))
    for start in range(0, width, step):
        left = matrices.narrow(-2, start, min(step, width - start))
        right = matrices.narrow(-2, start, width - start) if square else matrices
        sums = matrices.new_zeros(*counts, left.shape[-2], right.shape[-2])
        _add_products(sums, left, right, image, combination)
        blocks.add(combination, sums, start)


def _add_products(sums: Tensor, left: Tensor, right: Tensor, image: Image, combination: Lags) -> None:
    """Add products of ``left`` (*size, a, columns) and ``right`` (*size, b, columns) to ``sums`` (*segments, a, b)."""
    lag, *rest = combination
    if not rest:
        for index, segment in enumerate(lag.segments):
            here, there = image.columns(lag, segment)
            sums[index].addmm_(left[:, here], right[:, there].t())
        return
    results = left.shape[0] * left.shape[-2] * right.shape[-2]
    if len(rest) == 1 and right.shape[-2] < WIDE and results <= max(right.numel(), 2**18):
        _add_batched(sums, left, right, image, lag, rest[0])
        return
    stride = image.strides[-len(combination)]
    for index, (first, last) in enumerate(lag.segments):
        for q in range(first, last):
            u = stride * q + lag.phase
            _add_products(sums[index], left[u], right[u + lag.shift], image, tuple(rest))


def _add_batched(sums: Tensor, left: Tensor, right: Tensor, image: Image, row: Lag, column: Lag) -> None:
    """The last two dimensions at once: all rows of a column segment in one batched product."""
    stride = image.strides[-2]
    low, high = row.segments[0][0], row.segments[-1][1]
    first, last = stride * low + row.phase, stride * (high - 1) + row.phase + 1
    left, right = left[first:last:stride], right[first + row.shift : last + row.shift : stride]
    for index, segment in enumerate(column.segments):
        here, there = image.columns(column, segment)
        products = image.scratch(high - low, left.shape[1], right.shape[1])
        torch.bmm(left[:, :, here], right[:, :, there].mT, out=products)
        for number, (begin, end) in enumerate(row.segments):
            sums[number, index] += _sum(products[begin - low : end - low])


def _add_stack(blocks: Blocks, image: Image, outer: Lags, rows: Lags, column: Lag, room: int) -> None:
    """Add all lags of the rows at once: rows u, u+1, … below one another are one matrix of (kernel · channels).

    Wider products are faster ones, and fewer. Rows beyond the last are zeros whose results no segment takes.
    """
    ahead, width = _sign(outer), image.channels
    found = [lag for lag in rows if ahead > 0 or (ahead == 0 and _sign([lag, column]) >= 0)]
    if ahead < 0 or not found:
        return
    first, last = min(lag.shift for lag in found), max(lag.shift for lag in found)
    height = last - first + 1
    low, high = min(lag.segments[0][0] for lag in found), max(lag.segments[-1][1] for lag in found)
    step = max(1, room // (width * width * height))
    counts = [len(lag.segments) for lag in outer]
    sums = [
        image.matrices.new_zeros(*counts, len(lag.segments), len(column.segments), width, width)
        for lag in found
    ]
    for where, left, right in _walk(image.matrices, image.matrices, outer, image.strides):
        for begin in range(low, high, step):
            count = min(step, high - begin)
            a = left[image.front + begin : image.front + begin + count]
            b = right[image.front + begin + first :]
            b = b.as_strided((count, height * width, b.shape[-1]), b.stride())
            for index, segment in enumerate(column.segments):
                here, there = image.columns(column, segment)
                products = image.scratch(count, width, height * width)
                torch.bmm(a[:, :, here], b[:, :, there].mT, out=products)
                for lag, total in zip(found, sums, strict=True):
                    at = (lag.shift - first) * width
                    for number, (start, stop) in enumerate(lag.segments):
                        start, stop = max(start, begin) - begin, min(stop, begin + count) - begin
                        if start < stop:
                            total[(*where, number, index)] += _sum(products[start:stop, :, at : at + width])
    for lag, total in zip(found, sums, strict=True):
        blocks.add((*outer, lag, column), total)


def _walk(
    left: Tensor, right: Tensor, outer: Sequence[Lag], strides: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Tensor, Tensor]]:
    """Every pair of pixels of the outer dimensions, with the segment that it belongs to."""
    if not outer:
        yield (), left, right
        return
    lag = outer[0]
    for index, (first, last) in enumerate(lag.segments):
        for q in range(first, last):
            u = strides[0] * q + lag.phase
            for where, a, b in _walk(left[u], right[u + lag.shift], outer[1:], strides[1:]):
                yield (index, *where), a, b


def _sum(products: Tensor) -> Tensor:
    return products[0] if len(products) == 1 else products.sum(0)
