"""What must come out, computed with hooks and formulas alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from benchmarks.zoo.subject import outputs

_CHANNELS_FIRST = ("SqueezeBertLayerNorm",)
"""Norms that take (N, C, L), which nothing but their code shows."""

Change = Callable[[Tensor], Tensor]


@contextmanager
def hooked(model: nn.Module, hooks: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """A context in which the modules have forward hooks, by name."""
    modules = dict(model.named_modules(remove_duplicate=False))
    handles = [modules[name].register_forward_hook(hook, with_kwargs=True) for name, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def changed(
    model: nn.Module,
    x: Any,
    training: bool,
    changes: Mapping[str, Change],
    place: Literal["instead", "after", "before"] = "instead",
) -> list[Tensor]:
    """The outputs of the model with a change in the place of each named module, after it, or before it."""

    def after(change: Change) -> Callable[..., Tensor]:
        def exchange(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
            return change(output if place == "after" else first(args, kwargs))

        return exchange

    def before(change: Change) -> Callable[..., Any]:
        def exchange(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return (change(args[0]), *args[1:])

        return exchange

    model = copy.deepcopy(model).train(training)
    if place == "before":
        for name, change in changes.items():
            model.get_submodule(name).register_forward_pre_hook(before(change))
    else:
        changes = {name: after(change) for name, change in changes.items()}
    with torch.no_grad(), hooked(model, {} if place == "before" else changes):
        return outputs(model, x)


def seen(model: nn.Module, x: Any, names: Mapping[str, Any], training: bool = False) -> dict[str, list[Any]]:
    """The inputs and outputs of each call of the named modules, in the order of the first calls."""
    found: dict[str, list[Any]] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> None:
            found.setdefault(name, []).append((first(args, kwargs).clone(), output.clone()))

        return keep

    model = copy.deepcopy(model).train(training)
    with torch.no_grad(), hooked(model, {name: hook(name) for name in names}):
        outputs(model, x)
    return found


def first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The first argument of a call."""
    return args[0] if args else next(iter(kwargs.values()))


def channel_dim(module: nn.Module, ndim: int) -> int:
    """The dimension of the channels of a norm or layer."""
    images = isinstance(module, _ConvNd | nn.modules.batchnorm._BatchNorm | nn.GroupNorm)
    first = getattr(module, "data_format", "") == "channels_first" or type(module).__name__ in _CHANNELS_FIRST
    return 1 if images or first else ndim - 1


def formula(spec: str, old: nn.Module, new: nn.Module, training: bool) -> Change:
    """The new norm as a formula, in the place of the old one.

    A norm over the last dimension, and a layer norm over the channels of an image, normalize every position by itself.
    In the place of a batch or group norm, ``layer`` and ``rms`` take all channels and positions of a sample together.
    """
    return lambda x: apply(spec, new, x, channel_dim(old, x.ndim), not _over_positions(old), training)


def _over_positions(old: nn.Module) -> bool:
    return isinstance(old, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | _ConvNd)


def apply(spec: str, norm: nn.Module, x: Tensor, dim: int, tokens: bool, training: bool) -> Tensor:
    """The formula of ``batch``, ``layer`` or ``rms`` with the parameters, statistics and eps of ``norm``."""
    x = x.movedim(dim, -1)
    eps = getattr(norm, "eps", None)
    if spec == "batch":
        if training:
            rows = x.flatten(0, -2)
            mean, var = rows.mean(0), rows.var(0, unbiased=False)
        else:
            mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    else:
        axes = (-1,) if tokens else tuple(range(1, x.ndim))
        mean = x.mean(axes, keepdim=True) if spec == "layer" else torch.zeros_like(x[..., :1])
        var = (x - mean).square().mean(axes, keepdim=True)
    y = (x - mean) / (var + (torch.finfo(x.dtype).eps if eps is None else eps)).sqrt()
    for name, combine in (("weight", torch.mul), ("bias", torch.add)):
        if isinstance(tensor := getattr(norm, name, None), Tensor):
            y = combine(y, tensor)
    return y.movedim(-1, dim)


def output_layers(model: nn.Module, x: Any, names: Mapping[str, Any]) -> set[str]:
    """For each tensor that the model returns: the last called layer from which a path past all others leads to it.

    Every layer's output is cut off from its input. So only layers next to the output have a gradient.
    """
    cut: list[tuple[str, Tensor]] = []

    def hook(name: str) -> Callable[..., Tensor]:
        def leaf(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
            made = output.detach().requires_grad_()
            cut.append((name, made))
            return made.clone()

        return leaf

    last = set()
    model = copy.deepcopy(model).eval().requires_grad_(False)
    with hooked(model, {name: hook(name) for name in names}):
        made = outputs(model, x)
    for y in made:
        if y.requires_grad:
            gradients = torch.autograd.grad(
                y.square().sum(), [t for _, t in cut], allow_unused=True, retain_graph=True
            )
            last.add([name for (name, _), g in zip(cut, gradients, strict=True) if g is not None][-1])
    return last
