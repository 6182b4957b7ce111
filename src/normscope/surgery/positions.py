"""Whether a norm of images normalizes each position by itself."""

from __future__ import annotations

import copy

import torch
from torch import nn

from normscope.nn.module_kinds import channels, core


def sees_one_position(norm: nn.Module) -> bool:
    """Whether the output of a norm of images (N, C, H, W) at one position depends on the input there only.

    So does a layer norm over the channels of each pixel (ConvNeXt's); a batch norm's in evaluation mode does not count,
    since a norm that keeps running statistics averages over positions in training. The norm is tried on random numbers.
    """
    if norm._buffers.get("running_mean") is not None or isinstance(norm, nn.GroupNorm):
        return False
    twin = copy.deepcopy(core(norm)).cpu().double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels("", norm), 3, 4, generator=generator, dtype=torch.float64)
    other = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    other[0, :, 0, 0] = x[0, :, 0, 0]
    try:
        with torch.no_grad():
            one, another = (twin.forward(value)[0, :, 0, 0] for value in (x, other))
    except (RuntimeError, ValueError, TypeError):  # not a norm of images
        return False
    return torch.allclose(one, another, rtol=1e-6, atol=1e-6)
