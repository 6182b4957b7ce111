"""An affine map per channel, merged into the weights of the layer before or after it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from normscope.generators import generators_kept
from normscope.nn.module_kinds import Convolution, Layer, Transposed, is_transposed_linear, sizes
from normscope.surgery.folding.affine import Affine
from normscope.surgery.tracing.overriding import is_overridden


def into_producer(layer: Layer, map_: Affine) -> None:
    """Merge the map that follows the layer into its weights: ``w ← a w``, ``b ← a b + shift``.

    This is the equivalent point ``w_eq = (γ/σ) w``, ``b_eq = (γ/σ)(b − μ) + β``.
    """
    weight = _weight(layer)
    if isinstance(layer, Transposed):  # (in, out/groups, ...)
        scale = map_.scale.view(layer.groups, -1).repeat_interleave(weight.shape[0] // layer.groups, 0)
        new = weight * _trailing(scale, weight)
    else:
        new = weight * _trailing(map_.scale, weight)
    bias = torch.zeros_like(map_.shift) if layer.bias is None else layer.bias.detach().cpu().double()
    _set(layer, new, map_.scale * bias + map_.shift)


def into_consumer(layer: Layer, map_: Affine) -> None:
    """Merge the map that precedes the layer into its weights: ``b ← b + w·shift``, ``w ← w a``.

    For a transposed convolution, the shift must be 0.
    """
    weight = _weight(layer)
    if isinstance(layer, Transposed):
        _set(layer, weight * _trailing(map_.scale, weight), None)
        return
    groups = layer.groups if isinstance(layer, Convolution) else 1
    each = weight.shape[0] // groups
    scale, shift = (v.view(groups, -1).repeat_interleave(each, 0) for v in (map_.scale, map_.shift))
    added = (weight * _trailing(shift, weight)).flatten(1).sum(1)
    bias = torch.zeros_like(added) if layer.bias is None else layer.bias.detach().cpu().double()
    _set(layer, weight * _trailing(scale, weight), bias + added)


def keeps_constants(layer: Layer) -> bool:
    """Whether a constant added to a channel of the input adds a constant to each channel of the output."""
    if isinstance(layer, Transposed):
        return False
    if not isinstance(layer, Convolution):
        return True
    padded = layer.padding not in ("valid", "same") and any(layer.padding)
    same = layer.padding == "same" and any(size > 1 for size in layer.kernel_size)
    return layer.padding_mode != "zeros" or not (padded or same)


def uses_weights_plainly(layer: Layer) -> bool:
    """Whether :func:`into_producer` and :func:`into_consumer` are right for a layer.

    They are for the framework's classes. Other classes, and instances with a ``forward`` of their own, are tried on
    random numbers: they are wrong, for example, for a layer that standardizes its weights before use.
    """
    written_by_torch = {type(layer).__module__[:9], type(layer).forward.__module__[:9]} == {"torch.nn."}
    if written_by_torch and not is_overridden(layer):
        return True
    try:
        with generators_kept(layer), torch.no_grad():
            return _takes_maps(copy.deepcopy(layer).cpu().double().eval())
    except Exception:  # a user's layer may refuse random numbers in any way; it is not known to be plain
        return False


def _takes_maps(old: Layer) -> bool:
    """Whether random maps merged into the weights of a layer give the layer with these maps before or after it."""
    generator = torch.Generator().manual_seed(0)
    width, out = sizes(old)
    reach: list[int] = []
    if isinstance(old, Convolution | Transposed):
        reach = [d * (k - 1) + 2 for d, k in zip(old.dilation, old.kernel_size, strict=True)]

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, after, before = draw(2, width, *reach), Affine(draw(out), draw(out)), Affine(draw(width), draw(width))
    if not keeps_constants(old):
        before = Affine(before.scale, torch.zeros_like(before.shift))
    first, second = copy.deepcopy(old), copy.deepcopy(old)
    into_producer(first, after)
    into_consumer(second, before)
    pairs = (
        (first.forward(x), _applied(after, old.forward(x))),
        (second.forward(x), old.forward(_applied(before, x))),
    )
    return all(torch.allclose(new, wanted, rtol=1e-9, atol=1e-9) for new, wanted in pairs)


def _applied(map_: Affine, x: Tensor) -> Tensor:
    return _trailing(map_.scale, x[0]) * x + _trailing(map_.shift, x[0])


def _trailing(matrix: Tensor, like: Tensor) -> Tensor:
    return matrix.view(*matrix.shape, *(1,) * (like.ndim - matrix.ndim))


def _weight(layer: Layer) -> Tensor:
    """The weight in double precision on the CPU; of a linear layer it is (out, in), however the layer keeps it."""
    weight = layer.weight.detach().cpu().double()
    return weight.T if is_transposed_linear(layer) else weight


def _set(layer: Layer, weight: Tensor, bias: Tensor | None) -> None:
    """Write new values, keeping the device, type and memory format of the layer."""
    with torch.no_grad():
        layer.weight.copy_(weight.T if is_transposed_linear(layer) else weight)
        if bias is None:
            return
        if layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.new_empty(bias.shape), layer.weight.requires_grad)
        layer.bias.copy_(bias)
