"""Another norm in place of every norm of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn import make
from normscope.nn.channels_last import ChannelsLast
from normscope.nn.factory import NormSpec, resolved
from normscope.nn.module_kinds import channels, channels_last, core, norms
from normscope.nn.specs import ARGUMENTS, Spec
from normscope.surgery._changes import Change, described, with_changes
from normscope.surgery.copies import copied, device_and_dtype, exchanged


def replace_norms(model: nn.Module, spec: NormSpec) -> nn.Module:
    """A copy of the model with every norm replaced by ``spec``.

    It replaces the batch (also synchronized), group, instance, layer and RMS norms of the framework, the norms of this
    package, and look-alikes (:func:`normscope.nn.module_kinds.norms`). A norm over the last dimension, such as a layer
    norm over features, becomes a :class:`~normscope.surgery.ChannelsLast` of the new norm; a layer norm over (C, H, W)
    becomes a norm over C.

    The new norm takes over the old one's device, type and mode; its ``eps`` and ``momentum``, if a spec has these
    arguments and does not set them; and its parameters and running statistics where names and shapes agree. The second
    statistic of ``LpNorm`` is a p-th moment, so it passes only between norms of the same p;
    :func:`~normscope.surgery.calibrate` measures it. A shared norm stays shared. Hooks on an old norm are dropped.

    Args:
        model: any module; it is not changed.
        spec: a spec for :func:`normscope.nn.make`, or a callable from a number of channels to a module.

    Returns:
        the new model; :func:`~normscope.surgery.changes` lists what was replaced.

    Raises:
        UnknownNameError: for a norm or an argument that does not exist.
        InputError: for a spec that cannot be read, or cannot be built for the channels of a norm.
    """
    wanted = resolved(spec)
    after = copied(model)
    new: dict[nn.Module, nn.Module] = {}
    done = []
    with generators_kept(model):
        for name, old in norms(after):
            count = channels(name, old)
            norm = made_at(name, _inheriting(wanted, core(old)), count).to(*device_and_dtype(old, after))
            _take_state(norm, core(old))
            norm.train(old.training)
            done.append(Change("replaced", name, described(old, count), "by", described(norm, count)))
            new[old] = (
                ChannelsLast(norm) if channels_last(old) and not isinstance(norm, nn.Identity) else norm
            )
            new[old].training = old.training
    return with_changes(exchanged(after, new), done, model)


def made_at(name: str, spec: NormSpec, count: int) -> nn.Module:
    """The norm of a spec for ``count`` channels; a refusal says that it is for the layer ``name``."""
    try:
        return make(spec, count)
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error


def _inheriting(spec: Spec | Callable[[int], nn.Module], old: nn.Module) -> NormSpec:
    """The spec, with ``eps`` and ``momentum`` from the old norm unless it sets them."""
    if not isinstance(spec, Spec):
        return spec
    taken: dict[str, Any] = {
        name: getattr(old, name)
        for name in ("eps", "momentum")
        if name in ARGUMENTS.get(spec.name, ()) and hasattr(old, name)
    }
    if taken.get("eps", 0.0) is None:  # RMSNorm's default: the rounding of the input's type
        del taken["eps"]
    return Spec(spec.name, {**taken, **spec.arguments})


def _take_state(new: nn.Module, old: nn.Module) -> None:
    """Copy parameters and buffers whose names and shapes agree."""
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
