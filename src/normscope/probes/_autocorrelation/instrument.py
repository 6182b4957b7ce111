"""The autocorrelation matrix of a convolution's input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from normscope.errors import InputError
from normscope.probes._autocorrelation.blocks import mirror
from normscope.probes._autocorrelation.cost import cheapest_plan
from normscope.probes._autocorrelation.geometry import Geometry, checked_input
from normscope.probes._autocorrelation.image import Image
from normscope.probes._autocorrelation.plan import Plan
from normscope.probes._autocorrelation.sums import LagSums, PatchSums, StackSums


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

    ``R = E[patch patchᵀ]``, the exact mean over the batch and all output positions. The entries of a patch are ordered
    as ``torch.nn.functional.unfold`` orders them: channel, kernel row, kernel column. The other arguments are those of
    the convolution.

    Args:
        x: the input (B, C, L), (B, C, H, W) or (B, C, D, H, W); half precision is computed in float32.
        kernel_size: one whole number, or one for each spatial dimension.
        stride: the same.
        padding: the same, or ``"same"`` or ``"valid"``.
        dilation: the same.
        groups: number of channel groups; each group has a matrix of its own.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Returns:
        (K, K) with K = C·∏kernel, or (G, K/G, K/G) for groups > 1; symmetric to the bit and positive semi-definite to
        rounding. A NaN or infinite value of x reaches only the entries that contain it; where it meets nothing but
        zero padding, the entry may be finite or NaN (0 · NaN). No gradient flows through the result.

    Raises:
        InputError: a convolution of this x cannot have this argument.

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
    """``Σ patch patchᵀ`` (G, K/G, K/G) of ``x`` (B, C, *size), symmetric to the bit, and the number of patches.

    Computed in ``dtype``, by default that of x.
    """
    count = len(x) * math.prod(geometry.output_size(x.shape[2:]))
    groups, channels = geometry.groups, x.shape[1] // geometry.groups
    total = x.new_zeros(groups, channels * geometry.taps, channels * geometry.taps, dtype=dtype)
    device = x.device.type
    exact = torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
    with torch.inference_mode(), exact:  # total was made before, so it stays an ordinary tensor
        if geometry.padding_mode != "zeros":
            x, geometry = geometry.pad(x), geometry.unpadded()
        plan = cheapest_plan(geometry, len(x), channels, tuple(x.shape[2:]), total.element_size(), device)
        carry_out(plan, x, total)
    return total, count


def carry_out(plan: Plan, x: Tensor, total: Tensor) -> None:
    """Write ``Σ patch patchᵀ`` of each group of ``x`` (B, G·C, *size) into ``total`` (G, K, K), which holds zeros.

    The sums are taken in the type of ``total``.
    """
    kind = StackSums if plan.stacks else LagSums if plan.depth else PatchSums
    groups, examples = len(total), plan.examples
    inputs, totals = torch.chunk(x, groups, 1), torch.split(total, 1)
    if not plan.depth:  # all groups together
        inputs, totals, examples = (x,), (total,), max(1, examples // groups)
    for group, matrices in zip(inputs, totals, strict=True):
        image = Image(plan, total)
        sums = kind(plan, image, matrices)
        parts = torch.split(group, examples)
        for number, part in enumerate(parts, 1):
            image.load(part)
            sums.add(last=number == len(parts))
    if not plan.looked_up:
        mirror(total)
