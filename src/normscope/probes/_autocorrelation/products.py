"""The autocorrelation sum of a batch, some examples at a time."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from normscope.probes._autocorrelation import lag_sums
from normscope.probes._autocorrelation.blocks import Blocks
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes._autocorrelation.image import Image
from normscope.probes._autocorrelation.lag_sums import LagSums, LineSums, StackSums
from normscope.probes._autocorrelation.overlap import WHOLE, Lags, lags

CHUNK = 2**20
"""Bytes of the examples that are taken in at a time: they stay near the processor while all lags use them."""

COLUMNS = 128
"""Columns of a matrix at the least, if there are so many: shorter products spend their time on their results."""

ROOM = 0.9
"""Values of the examples taken in at a time, as a share of the input's, at the most, if there is more than one."""

SQUARE = 256
"""Rows of a matrix times its own transpose that are multiplied at a time."""


@lru_cache(maxsize=1024)
def plan(geometry: Geometry, size: tuple[int, ...], depth: int) -> tuple[Lags, ...]:
    """The lags of the leading ``depth`` dimensions of an image of that size."""
    out = geometry.output_size(size)
    columns = (size, geometry.kernel, geometry.stride, geometry.dilation, geometry.padding, out)
    return tuple(
        lags(n, kernel, stride, dilation, before, patches)
        for n, kernel, stride, dilation, (before, _), patches in zip(
            *(c[:depth] for c in columns), strict=True
        )
    )


def stacked_dimension(geometry: Geometry, depth: int, channels: int) -> int | None:
    """The dimension all of whose lags are multiplied at once, as rows of one matrix; None where that is no gain."""
    at = depth - 2 if depth == geometry.dims > 1 else depth - 1
    if at < 0 or channels >= lag_sums.WIDE or geometry.kernel[at] == 1:
        return None
    return at if geometry.stride[at] == geometry.dilation[at] == 1 else None


def sum_of_products(x: Tensor, geometry: Geometry, depth: int, total: Tensor) -> None:
    """Write ``Σ patch patchᵀ`` of one group's input ``x`` (B, C, *size) into ``total`` (K, K), which holds zeros.

    The leading ``depth`` spatial dimensions go by lags. The others are unfolded, which makes each channel and offset
    a channel of its own: ``depth`` 0 is plain unfolding; ``depth`` n copies nothing but the image. The padding is
    zeros. The sums are taken in the type of ``total`` and are symmetric to the bit.
    """
    size, kernel = x.shape[2:], geometry.kernel[:depth]
    width = x.shape[1] * geometry.taps // math.prod(kernel)
    stacked = stacked_dimension(geometry, depth, width)
    rows = max(depth - 1, 0) if stacked is None else stacked + 1
    plans = plan(geometry, size, depth)
    if 0 < depth == rows:
        plans, kernel = (*plans, (WHOLE,)), (*kernel, 1)
    image = Image(geometry, depth, rows, stacked is not None)
    blocks = Blocks(total, x.shape[1], kernel, width // x.shape[1], taps_first=stacked is not None)
    kind = LagSums if stacked is None else LineSums if geometry.dims == 1 else StackSums
    sums = kind(plans, image, blocks, width, x.numel()) if depth else None
    kept = sums is None or sums.kept
    step = images_at_a_time(geometry, len(x), x.shape[1], size, depth, total.element_size(), kept)
    parts = torch.split(x, step)
    for number, examples in enumerate(parts, 1):
        image.load(examples, total.dtype)
        if sums is None:
            blocks.add_square(image.matrices, SQUARE)
        else:
            sums.add(number == len(parts))
    if not depth:
        blocks.halve_squares(SQUARE)
    blocks.mirror()


def sum_of_grouped_products(x: Tensor, geometry: Geometry, total: Tensor) -> None:
    """Write each group's ``Σ patch patchᵀ`` into ``total`` (G, K/G, K/G), unfolding all groups together."""
    image = Image(geometry, 0, 0)
    step = images_at_a_time(geometry, len(x), x.shape[1], x.shape[2:], 0, total.element_size(), True)
    for images in torch.split(x, step):
        image.load(images, total.dtype)
        matrix = image.matrices.view(*total.shape[:2], -1)
        torch.baddbmm(total, matrix, matrix.mT, out=total)
    upper = total.triu(1)
    total.triu_().add_(upper.mT)


@lru_cache(maxsize=1024)
def images_at_a_time(
    geometry: Geometry,
    batch: int,
    channels: int,
    size: tuple[int, ...],
    depth: int,
    itemsize: int,
    kept: bool,
) -> int:
    """As many examples as make a chunk, and columns enough; all, where sums are not kept and nothing is unfolded.

    More than one never takes more than its share of room.
    """
    width = channels * math.prod(geometry.kernel[depth:])
    if depth and depth == geometry.dims and (width >= lag_sums.WIDE or not kept):
        return batch
    columns = math.prod(geometry.output_size(size)[depth:])
    columns *= size[depth - 1] if depth and depth == geometry.dims else 1
    values = width * math.prod(size[:depth]) * math.prod(geometry.output_size(size)[depth:])
    large = not kept or width >= lag_sums.WIDE
    fit = max(CHUNK * (1 + large) // (values * itemsize), -(-COLUMNS * (1 + large) // columns))
    step = max(1, min(fit, int(ROOM * batch * channels * math.prod(size)) // values))
    return -(-batch // -(-batch // step))
