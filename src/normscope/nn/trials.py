"""How a norm that somebody else has written behaves, found by trying a copy of it on random numbers.

A class's name and base class do not tell: a subclass of ``LayerNorm`` may take its channels in dimension 1, and its
gain may be ``1 + weight``. Every copy is tried in double precision on the CPU in evaluation mode.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_LARGE = 1e3  # of the random numbers: any ε is far below it
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_known: WeakKeyDictionary[nn.Module, bool | None] = WeakKeyDictionary()


def is_foreign(module: nn.Module) -> bool:
    """Whether a module's class is neither the framework's nor this package's."""
    return not type(module).__module__.startswith(("torch.", "normscope."))


def takes_last(norm: nn.Module, count: int) -> bool | None:
    """Whether a norm of ``count`` channels takes them in the last dimension; False for dimension 1.

    None if it accepts both or neither.
    """
    if norm not in _known:
        a, b = _other_sizes(count)
        found = [
            _accepts(norm, last) - _accepts(norm, first)
            for last, first in (
                ((2, a, count), (2, count, a)),
                ((2, a, b, count), (2, count, a, b)),
            )
        ]
        decided = next(filter(None, found), 0)
        _known[norm] = decided > 0 if decided else None
    return _known[norm]


def sees_one_position(norm: nn.Module, count: int) -> bool:
    """Whether the output of a norm (N, C, L) or (N, C, H, W) at one position depends on the input there only.

    So does a layer norm over the channels of each pixel (ConvNeXt's). A batch norm does so in evaluation mode only, so
    a norm with running statistics does not count.
    """
    if norm._buffers.get("running_mean") is not None or isinstance(norm, nn.GroupNorm):
        return False
    for shape in ((2, count, 3), (2, count, 3, 4)):
        place: tuple[int | slice, ...] = (0, slice(None), *(0,) * (len(shape) - 2))
        x, other = _random(*shape), _random(*shape, seed=1)
        other[place] = x[place]
        one, another = _tried(norm, x), _tried(norm, other)
        if one is not None and another is not None:
            return one.shape == x.shape and _same(one[place], another[place])
    return False


def measured_affine(norm: nn.Module, count: int, eps: float) -> tuple[Tensor, Tensor] | None:
    """The gain and the bias of a norm: ``y = γ x̂ + β``, whatever functions of its parameters they are.

    For a norm with running statistics, ``x̂ = (x − μ)/√(σ² + ε)``. Otherwise x̂ is a vector of C values divided by its
    root mean square, with or without its mean subtracted first; whichever gives the same γ for two vectors.

    Args:
        norm: the norm.
        count: its number of channels C.
        eps: ε, where it keeps running statistics.

    Returns:
        γ and β in double precision, (C,); None for a norm that is no such function, or has no values.
    """
    if _is_empty(norm):
        return None
    mean, var = norm._buffers.get("running_mean"), norm._buffers.get("running_var")
    if mean is not None and var is not None:
        mean, std = mean.cpu().double(), (var.cpu().double() + eps).sqrt()
        bias, both = (_tried(norm, x.view(1, -1, 1, 1).expand(2, -1, 2, 2)) for x in (mean, mean + std))
        return None if bias is None or both is None else ((both - bias)[0, :, 0, 0], bias[0, :, 0, 0])
    x = _LARGE * _random(2, count)
    bias, y = _tried(norm, torch.zeros_like(x)), _tried(norm, x)
    if bias is None or y is None or y.shape != x.shape:
        return None
    for center in (_centered, _as_it_is):
        gains = (y - bias) / _of_unit_power(center(x))
        if _same(gains[0], gains[1]):
            return gains[0], bias[0]
    return None


def twin(norm: nn.Module) -> nn.Module:
    """A copy of a norm in double precision on the CPU, without hooks except those that compute its tensors.

    Where the norm has no values (on the meta device), those of the copy are 1.
    """
    hooks: dict[int, Any] = {id(getattr(norm, table)): OrderedDict() for table in _HOOKS}
    hooks[id(norm._forward_pre_hooks)] = OrderedDict(
        (key, hook) for key, hook in norm._forward_pre_hooks.items() if _computes(hook)
    )
    # What such a hook computed before is no leaf, which deepcopy refuses.
    computed = {
        id(value): value.detach().clone()
        for value in vars(norm).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    new = copy.deepcopy(norm, hooks | computed)
    if _is_empty(new):
        new.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*new.parameters(), *new.buffers()):
                tensor.fill_(1)
    return new.cpu().double()


def _is_empty(norm: nn.Module) -> bool:
    """Whether a norm is on the meta device, which keeps no values."""
    return any(tensor.is_meta for tensor in (*norm.parameters(), *norm.buffers()))


def has_hooks(module: nn.Module) -> bool:
    """Whether a module has a hook of the user's: one that does not compute the module's own tensors."""
    return any(not _computes(hook) for table in _HOOKS for hook in getattr(module, table).values())


def _computes(hook: Any) -> bool:
    """Whether a hook computes a tensor of its module: pruning, and the older weight and spectral norm."""
    return type(hook).__module__.startswith("torch.nn.utils.")


def _other_sizes(count: int) -> tuple[int, int]:
    """The two smallest sizes above 1 that have no divisor in common with ``count``, so that no group fits in them."""
    coprime = (size for size in itertools.count(2) if math.gcd(size, count) == 1)
    return next(coprime), next(coprime)


def _accepts(norm: nn.Module, shape: tuple[int, ...]) -> bool:
    y = _tried(norm, _random(*shape))
    return y is not None and y.shape == shape


def _tried(norm: nn.Module, x: Tensor) -> Tensor | None:
    """The output of a copy of the norm, or None if it refuses the input."""
    try:
        with torch.no_grad():
            y = twin(norm).eval()(x)
    except Exception:  # whatever a user's norm raises, it does not take this input
        return None
    return y.double() if isinstance(y, Tensor) else None


def _random(*shape: int, seed: int = 0) -> Tensor:
    """Random numbers, none of them small."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x + x.sign()


def _of_unit_power(x: Tensor) -> Tensor:
    return x / x.square().mean(-1, keepdim=True).sqrt()


def _centered(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-5, atol=1e-5)
