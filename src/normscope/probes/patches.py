"""Autocorrelation by unfolding: the patches are written out, a chunk of images at a time, and multiplied.

The plain route, K²·M multiplications; right for every geometry, and the fastest for tiny images, where a
patch is most of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from normscope.probes.geometry import Geometry

CHUNK = 2**19
"""Values of a chunk of written-out patches: 2 MiB in float32, so that it stays in the cache."""


def by_patches(x: Tensor, geometry: Geometry) -> Tensor:
    """``Σ patch patchᵀ`` over batch and positions of ``x`` (B, C, *size): (G, K/G, K/G), not yet symmetric to
    the bit.
    """
    channels = x.shape[1]
    groups, dims = geometry.groups, geometry.dims
    width = channels // groups * geometry.taps
    total = x.new_zeros(groups, width, width)
    positions = 1
    for n in geometry.output_size(x.shape[2:]):
        positions *= n
    step = max(1, CHUNK // (channels * geometry.taps * positions))
    order = (1, 0, *range(3, 3 + dims), 2, *range(3 + dims, 3 + 2 * dims))
    for images in torch.split(x, step):
        windows = geometry.windows(geometry.pad(images))
        windows = windows.view(len(images), groups, channels // groups, *windows.shape[2:])
        patches = windows.permute(order).reshape(groups, len(images) * positions, width)
        torch.baddbmm(total, patches.mT, patches, out=total)
    return total
