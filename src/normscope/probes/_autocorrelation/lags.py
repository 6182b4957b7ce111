"""The autocorrelation matrix of a convolution's input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from normscope.errors import InputError
from normscope.probes._autocorrelation.choice import cheapest_depth
from normscope.probes._autocorrelation.geometry import Geometry, checked_input
from normscope.probes._autocorrelation.products import sum_of_grouped_products, sum_of_products


def autocorrelation(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Tensor:
    """The autocorrelation matrix of a convolution's input patches, without writing the patches out.

    ``R = E[patch patchᵀ]``, the mean over the batch and all output positions, exact. The entries of a patch
    are ordered as ``torch.nn.functional.unfold`` orders them: channel, then kernel row, then kernel column.
    The other arguments are those of the convolution.

    Args:
        x: the input (B, C, L), (B, C, H, W) or (B, C, D, H, W); half precision is computed in float32.
        kernel_size: one whole number or one for each spatial dimension.
        stride: the same.
        padding: the same, or ``"same"`` or ``"valid"``.
        dilation: the same.
        groups: channel groups; each group has its own matrix.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Returns:
        (K, K) with K = C·∏kernel, or (G, K/G, K/G) for groups > 1; symmetric to the bit and positive semi-
        definite to rounding. NaN and infinite values of x reach no other entries than they belong to; an entry where
        all that one meets is zero padding may be finite, or the NaN of 0 · NaN. No gradient flows through it.

    Raises:
        InputError: an argument no convolution of this x could have.

    Source: Chai et al. 2020, section 2: the matrix whose eigenvalues bound the stable learning rate.
    """
    if not isinstance(x, Tensor) or x.ndim not in (3, 4, 5):
        shape = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"x must be a tensor (B, C, L), (B, C, H, W) or (B, C, D, H, W), not {shape}.")
    geometry = Geometry.of(x.ndim - 2, kernel_size, stride, padding, dilation, groups, padding_mode)
    total, count = patch_sum(checked_input(x, groups), geometry)
    mean = total.div_(count)
    return mean if groups > 1 else mean[0]


def patch_sum(x: Tensor, geometry: Geometry, dtype: torch.dtype | None = None) -> tuple[Tensor, int]:
    """``Σ patch patchᵀ`` (G, K/G, K/G) of ``x`` (B, C, *size), symmetric to the bit, and their number.

    Computed in ``dtype``, by default that of x.
    """
    count = len(x) * math.prod(geometry.output_size(x.shape[2:]))
    groups, size = geometry.groups, x.shape[1] // geometry.groups * geometry.taps
    total = x.new_zeros(groups, size, size, dtype=dtype)
    device = x.device.type
    exact = torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
    with torch.inference_mode(), exact:  # total was made before, so it stays an ordinary tensor
        _add_patches(x, geometry, total)
    return total, count


def _add_patches(x: Tensor, geometry: Geometry, total: Tensor) -> None:
    """Write each group's sum into ``total`` (G, K/G, K/G), which holds zeros, by the cheapest path."""
    if geometry.padding_mode != "zeros":
        x, geometry = geometry.pad(x), geometry.unpadded()
    groups, channels = geometry.groups, x.shape[1] // geometry.groups
    depth = cheapest_depth(geometry, len(x), channels, x.shape[2:], total.element_size())
    if groups == 1:
        sum_of_products(x, geometry, depth, total[0])
    elif not depth:
        sum_of_grouped_products(x, geometry, total)
    else:
        for group, matrix in zip(torch.chunk(x, groups, 1), total, strict=True):
            sum_of_products(group, geometry, depth, matrix)
