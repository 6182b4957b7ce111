"""Where a convolution's patches lie in its input.

Patch m of an input padded by ``lo`` and ``hi`` holds, in each spatial dimension, the pixels ``stride·m + dilation·i``
for the taps ``i = 0 … kernel−1``.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normscope.errors import InputError
from normscope.nn import module_kinds

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A convolution without its weight.

    Attributes:
        kernel: kernel size of each of the n spatial dimensions; n is 0 for a linear layer.
        stride: stride of each dimension.
        padding: number of pixels added ``(before, after)`` in each dimension.
        dilation: spacing of the kernel's taps in each dimension.
        groups: number of channel groups.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    padding_mode: str = "zeros"

    @classmethod
    def of(
        cls,
        dims: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
    ) -> Geometry:
        """The geometry of a convolution with ``dims`` spatial dimensions, from the convolution's arguments.

        Raises:
            InputError: a convolution does not take this argument.
        """
        kernel = _tuple("kernel_size", kernel_size, dims, 1)
        steps = _tuple("stride", stride, dims, 1)
        spacing = _tuple("dilation", dilation, dims, 1)
        if padding_mode not in PADDING_MODES:
            raise InputError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, not {padding_mode!r}.")
        if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
            raise InputError(f"groups must be a positive integer, not {groups!r}.")
        pads: tuple[tuple[int, int], ...]
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise InputError(f"padding must be 'same', 'valid' or whole numbers, not {padding!r}.")
            if padding == "same" and any(step != 1 for step in steps):
                raise InputError("padding='same' needs stride 1.")
            totals = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, spacing, strict=True)]
            pads = tuple((total // 2, total - total // 2) for total in totals)
        else:
            pads = tuple((p, p) for p in _tuple("padding", padding, dims, 0))
        return cls(kernel, steps, pads, spacing, groups, padding_mode)

    @classmethod
    def of_layer(cls, layer: nn.Module) -> Geometry:
        """The geometry of a convolution, a transposed convolution (its own arguments) or a linear layer."""
        if module_kinds.is_linear(layer):
            return cls((), (), (), ())
        if not isinstance(layer, module_kinds.Convolution | module_kinds.Transposed):
            raise InputError(f"{type(layer).__name__} is not a convolution and not a linear layer.")
        return cls.of(
            len(layer.kernel_size),
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            layer.padding_mode,
        )

    @property
    def dims(self) -> int:
        """The number of spatial dimensions."""
        return len(self.kernel)

    @property
    def taps(self) -> int:
        """The number of kernel taps: k² for a square 2-D kernel."""
        return math.prod(self.kernel)

    def inner(self, depth: int) -> Geometry:
        """The geometry of the dimensions behind the first ``depth``."""
        rest = {name: getattr(self, name)[depth:] for name in ("kernel", "stride", "padding", "dilation")}
        return dataclasses.replace(self, **rest)

    def unpadded(self) -> Geometry:
        """The geometry for an input that is padded already."""
        return dataclasses.replace(self, padding=((0, 0),) * self.dims, padding_mode="zeros")

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """The number of output positions in each dimension, for an input of this size.

        Raises:
            InputError: the kernel is larger than the padded input, or the padding mode cannot pad so far.
        """
        out = []
        for n, k, s, (lo, hi), d in zip(
            size, self.kernel, self.stride, self.padding, self.dilation, strict=True
        ):
            reach = {"reflect": n - 1, "circular": n}.get(self.padding_mode, max(lo, hi))
            if max(lo, hi) > reach:
                raise InputError(f"{self.padding_mode} padding of {max(lo, hi)} is too wide for size {n}.")
            span = d * (k - 1) + 1
            if n + lo + hi < span or n == 0:
                raise InputError(
                    f"a kernel that spans {span} does not fit a padded input of size {n + lo + hi}."
                )
            out.append(_positions(n + lo + hi, k, s, d))
        return tuple(out)

    def stuffed(self, x: Tensor, output_padding: Sequence[int]) -> tuple[Tensor, Geometry]:
        """Input and geometry of the ordinary convolution that equals a transposed convolution of ``x``.

        The input gets ``stride − 1`` zeros between its pixels and ``dilation·(kernel − 1) − padding`` zeros around them
        (a negative number cuts pixels off), and the stride becomes 1. The taps come in reverse order.
        """
        size = [(n - 1) * s + 1 for n, s in zip(x.shape[2:], self.stride, strict=True)]
        spaced = x.new_zeros(*x.shape[:2], *size)
        pixels: tuple[Any, ...] = (..., *[slice(None, None, s) for s in self.stride])
        spaced[pixels] = x
        pads, cuts = [], []
        for k, d, (p, _), extra in zip(self.kernel, self.dilation, self.padding, output_padding, strict=True):
            before, after = d * (k - 1) - p, d * (k - 1) - p + extra
            pads.append((max(0, before), max(0, after)))
            cuts.append(slice(max(0, -before), min(0, after) or None))
        return spaced[(..., *cuts)], dataclasses.replace(self, stride=(1,) * self.dims, padding=tuple(pads))

    def pad(self, x: Tensor) -> Tensor:
        """The padded input, of ``x`` (B, C, *size)."""
        if not any(map(any, self.padding)):
            return x
        pads = [side for pair in reversed(self.padding) for side in pair]
        return F.pad(x, pads, mode="constant" if self.padding_mode == "zeros" else self.padding_mode)

    def windows(self, x: Tensor) -> Tensor:
        """Every patch of the padded input (B, C, *rest, *size), as a view (B, C, *rest, *output, *kernel)."""
        lead = x.ndim - self.dims
        steps = x.stride()[lead:]
        each = zip(x.shape[lead:], self.kernel, self.stride, self.dilation, strict=True)
        output = [_positions(*along) for along in each]
        return x.as_strided(
            (*x.shape[:lead], *output, *self.kernel),
            (
                *x.stride()[:lead],
                *(s * step for s, step in zip(self.stride, steps, strict=True)),
                *(d * step for d, step in zip(self.dilation, steps, strict=True)),
            ),
            x.storage_offset(),
        )


def checked_input(x: Any, groups: int) -> Tensor:
    """``x`` as a tensor that the instrument can read; half precision becomes float32.

    Raises:
        InputError: not a real floating-point tensor, an empty, sparse or meta tensor, or a number of channels that
            ``groups`` does not divide.
    """
    if not isinstance(x, Tensor):
        raise InputError(f"x must be a torch tensor, not {type(x).__name__}.")
    if not x.is_floating_point():
        raise InputError(f"x must be of a floating-point type, not {x.dtype}.")
    if x.numel() == 0 or x.is_meta or x.layout != torch.strided:
        what = f" ({x.layout}, on {x.device})" if x.numel() else ""
        raise InputError(f"x of shape {tuple(x.shape)} holds no values that can be read{what}.")
    if x.shape[1] % groups:
        raise InputError(f"groups={groups} must divide the {x.shape[1]} channels of x.")
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _positions(padded: int, kernel: int, stride: int, dilation: int) -> int:
    """The number of positions of the kernel along ``padded`` pixels, ``⌊(padded − d(k−1) − 1)/s⌋ + 1``."""
    return (padded - dilation * (kernel - 1) - 1) // stride + 1


def _tuple(name: str, value: int | Sequence[int], dims: int, least: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dims
    if len(values) == 1:
        values = values * dims
    if len(values) != dims:
        raise InputError(f"{name} must be one whole number or {dims} of them for this x, not {value!r}.")
    try:  # whole numbers of NumPy, and tensors of one whole number, have an index, too
        whole = tuple(operator.index(v) for v in values if not isinstance(v, bool))
    except TypeError:
        whole = ()
    if len(whole) < dims or min(whole, default=least) < least:
        raise InputError(f"{name} must be whole numbers of at least {least}, not {value!r}.")
    return whole
