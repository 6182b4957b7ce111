"""Every norm of a model by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn import make
from normscope.nn.channels_last import ChannelsLast
from normscope.nn.kinds import channels, channels_last, core, norms
from normscope.nn.specs import ARGUMENTS, Spec, parse
from normscope.surgery.changes import Change, described, noted
from normscope.surgery.copies import copied, exchanged, home

NormSpec = str | Callable[[int], nn.Module]


def replace_norms(model: nn.Module, spec: NormSpec) -> nn.Module:
    """A copy of the model with every norm replaced by ``spec``.

    Replaced are the batch (also synchronized), group, instance, layer and RMS norms of the framework, ours,
    and look-alikes (:func:`normscope.nn.kinds.norms`). A norm over the last dimension, as a layer norm
    over features is, becomes a :class:`~normscope.surgery.ChannelsLast` of the new norm; a layer norm over
    (C, H, W) becomes a norm over C.

    The new norm has the old one's device, type and mode; its ``eps`` and ``momentum``, where a spec of ours
    takes them and does not name them; and its parameters and running statistics where names and shapes
    agree. ``LpNorm``'s second statistic is a p-th moment, so that it is taken from, and given to, norms of
    the same p alone: :func:`~normscope.surgery.calibrate` fills it. A shared norm stays shared. Hooks on a
    norm go with it.

    Args:
        model: any module; it is not changed.
        spec: what :func:`normscope.nn.make` takes, or a callable from a number of channels to a module.

    Returns:
        the new model; :func:`~normscope.surgery.changes` tells what was replaced.

    Raises:
        UnknownNameError: for a norm or an argument that does not exist.
        InputError: for a spec that cannot be read, or not built for a norm's channels.
    """
    parsed = parse(spec) if isinstance(spec, str) else spec
    if not isinstance(parsed, Spec) and not callable(parsed):
        raise InputError(f"a norm is a spec such as 'batch' or a callable, not a {type(spec).__name__}.")
    after = copied(model)
    new: dict[nn.Module, nn.Module] = {}
    told = []
    with generators_kept(model):
        for name, old in norms(after):
            count = channels(name, old)
            norm = built(name, _inheriting(parsed, core(old)), count).to(*home(old, after))
            _take_state(norm, core(old))
            norm.train(old.training)
            told.append(Change("replaced", name, described(old, count), "by", described(norm, count)))
            new[old] = (
                ChannelsLast(norm) if channels_last(old) and not isinstance(norm, nn.Identity) else norm
            )
            new[old].training = old.training
    return noted(exchanged(after, new), told, model)


def built(name: str, spec: Spec | Callable[[int], nn.Module], count: int) -> nn.Module:
    """The norm of a spec for ``count`` channels at the layer ``name``, which a refusal names."""
    try:
        norm = make(spec, count) if isinstance(spec, Spec) else spec(count)
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error
    if not isinstance(norm, nn.Module):
        raise InputError(f"a norm must be a torch.nn.Module, but {spec!r} made a {type(norm).__name__}.")
    return norm


def _inheriting(spec: Spec | Callable[[int], nn.Module], old: nn.Module) -> Spec | Callable[[int], nn.Module]:
    """The spec, with what it leaves open of ``eps`` and ``momentum`` taken from the old norm."""
    if not isinstance(spec, Spec):
        return spec
    taken: dict[str, Any] = {
        name: getattr(old, name)
        for name in ("eps", "momentum")
        if name in ARGUMENTS.get(spec.name, ()) and hasattr(old, name)
    }
    if taken.get("eps", 0.0) is None:  # RMSNorm's: the smallest step of the type
        del taken["eps"]
    return Spec(spec.name, {**taken, **spec.arguments})


def _take_state(new: nn.Module, old: nn.Module) -> None:
    same_moment = getattr(new, "p", 2.0) == getattr(old, "p", 2.0)
    both = old._parameters | old._buffers
    with torch.no_grad():
        for name, tensor in (new._parameters | new._buffers).items():
            source = both.get(name)
            if tensor is None or source is None or tensor.shape != source.shape:
                continue
            if name in new._buffers and not same_moment:
                continue
            tensor.copy_(source)
            if isinstance(tensor, nn.Parameter):
                tensor.requires_grad_(source.requires_grad)
