"""What a new norm takes over from the one in whose place it comes: settings, parameters and running statistics."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from normscope.nn.channel_norm import ChannelNorm
from normscope.nn.specs import ARGUMENTS, Spec
from normscope.nn.trials import is_foreign, measured_affine
from normscope.surgery.copies import device_and_dtype

_EPS = ("eps", "variance_epsilon", "epsilon", "layer_norm_eps")


def with_settings(spec: Spec, old: nn.Module) -> Spec:
    """The spec of a built-in norm, with the settings of the old norm that it knows and does not set.

    They are ``eps``; ``momentum``; ``gain`` and ``bias``, whether the old norm has them; ``track_running_stats`` of a
    batch norm; ``groups`` of a group norm. An instance norm, which has neither gain nor statistics by default, passes
    only its ``eps`` and ``momentum`` to another kind of norm.
    """
    known = ARGUMENTS.get(spec.name, ())
    taken = {name: value for name, value in _settings(old).items() if name in known}
    other_kind = isinstance(old, nn.modules.instancenorm._InstanceNorm) and spec.name != "instance"
    if "affine" in spec.arguments or other_kind:
        taken = {name: value for name, value in taken.items() if name not in ("gain", "bias")}
    return dataclasses.replace(spec, arguments={**taken, **spec.arguments})


def take_state(new: nn.Module, old: nn.Module, count: int) -> None:
    """Take over parameters and buffers whose names and shapes agree, and whether statistics are frozen.

    A parameter stays the same object, which other modules may share. The gain and bias of a norm that somebody else has
    written are measured: they may have other names, or be other functions of its parameters, such as ``1 + weight``.
    """
    same_moment = getattr(new, "p", 2.0) == getattr(old, "p", 2.0)
    measured = _measured(old, count) if is_foreign(old) else {}
    with torch.no_grad():
        for name, tensor in (new._parameters | new._buffers).items():
            if tensor is None or (name in new._buffers and not same_moment):
                continue
            source, found = getattr(old, name, None), measured.get(name)
            if isinstance(source, Tensor) and source.shape == tensor.shape:
                _take(new, name, tensor, source, found)
            elif found is not None and found.shape == tensor.shape:
                tensor.copy_(found)
    if isinstance(old, nn.modules.batchnorm._BatchNorm | ChannelNorm) and isinstance(new, ChannelNorm):
        new.track_running_stats = new.track_running_stats and bool(old.track_running_stats)


def _take(new: nn.Module, name: str, tensor: Tensor, source: Tensor, found: Tensor | None) -> None:
    """Let ``new`` have a tensor of the old norm, or what was ``found`` in its place."""
    agrees = found is None or source.is_meta or torch.allclose(found, source.to(found), rtol=1e-5, atol=1e-5)
    if isinstance(tensor, nn.Parameter):
        tensor.requires_grad_(source.requires_grad)
        if agrees and type(source) is nn.Parameter and source.dtype == tensor.dtype:
            new._parameters[name] = source
            return
    tensor.copy_(source if agrees or found is None else found)


def _measured(old: nn.Module, count: int) -> dict[str, Tensor]:
    found = measured_affine(old, count, _settings(old).get("eps", 0.0))
    return {} if found is None else dict(zip(("weight", "bias"), found, strict=True))


def _settings(old: nn.Module) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    found = (getattr(old, name, None) for name in _EPS)
    if (eps := next((value for value in found if value is not None), None)) is not None:
        taken["eps"] = float(eps)
    elif isinstance(old, nn.RMSNorm):  # None is the rounding of the input's type
        taken["eps"] = torch.finfo(device_and_dtype(old, old)[1]).eps
    vectors = _vectors(old) if is_foreign(old) else 0  # a gain and a bias by other names
    if hasattr(old, "weight") or vectors:
        taken["gain"] = getattr(old, "weight", vectors) is not None
        taken["bias"] = getattr(old, "bias", None) is not None or vectors > 1
    if hasattr(old, "momentum"):
        taken["momentum"] = old.momentum
    if isinstance(old, nn.modules.batchnorm._BatchNorm | ChannelNorm):
        taken["track_running_stats"] = old.running_mean is not None
    if isinstance(old, nn.GroupNorm):
        taken["groups"] = old.num_groups
    return taken


def _vectors(old: nn.Module) -> int:
    """The number of a norm's parameters that are vectors, as long as its longest one."""
    lengths = [len(value) for value in old._parameters.values() if value is not None and value.ndim == 1]
    return lengths.count(max(lengths, default=0))
