"""What a new norm takes over from the one in whose place it comes: settings, parameters and running statistics."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from normscope.nn.channel_norm import ChannelNorm
from normscope.nn.specs import ARGUMENTS, Spec
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


def take_state(new: nn.Module, old: nn.Module) -> None:
    """Copy parameters and buffers whose names and shapes agree, and whether statistics are frozen."""
    same_moment = getattr(new, "p", 2.0) == getattr(old, "p", 2.0)
    with torch.no_grad():
        for name, tensor in (new._parameters | new._buffers).items():
            source = getattr(old, name, None)
            if tensor is None or not isinstance(source, Tensor) or tensor.shape != source.shape:
                continue
            if name in new._buffers and not same_moment:
                continue
            tensor.copy_(_measured_gain(old) if name == "weight" and _hides_gain(old) else source)
            if isinstance(tensor, nn.Parameter):
                tensor.requires_grad_(source.requires_grad)
    if isinstance(old, nn.modules.batchnorm._BatchNorm | ChannelNorm) and isinstance(new, ChannelNorm):
        new.track_running_stats = new.track_running_stats and bool(old.track_running_stats)


def _settings(old: nn.Module) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    if (
        eps := next((value for name in _EPS if (value := getattr(old, name, None)) is not None), None)
    ) is not None:
        taken["eps"] = float(eps)
    elif isinstance(old, nn.RMSNorm):  # None is the rounding of the input's type
        taken["eps"] = torch.finfo(device_and_dtype(old, old)[1]).eps
    for name, tensor in (("gain", "weight"), ("bias", "bias")):
        if hasattr(old, tensor):
            taken[name] = getattr(old, tensor) is not None
    if hasattr(old, "momentum"):
        taken["momentum"] = old.momentum
    if isinstance(old, nn.modules.batchnorm._BatchNorm | ChannelNorm):
        taken["track_running_stats"] = old.running_mean is not None
    if isinstance(old, nn.GroupNorm):
        taken["groups"] = old.num_groups
    return taken


def _hides_gain(old: nn.Module) -> bool:
    """Whether a norm is an RMS norm of somebody else, whose gain may be another function of its weight (1 + w)."""
    return "RMSNorm" in type(old).__name__ and not type(old).__module__.startswith(("torch.", "normscope."))


def _measured_gain(old: nn.Module) -> Tensor:
    """The gain of an RMS norm: its output for a large constant input, whose root mean square is that constant."""
    twin = copy.deepcopy(old).cpu().double().eval()
    gain: Tensor = twin.forward(torch.full((1, len(old.weight)), 1e6, dtype=torch.float64))[0]  # type: ignore[arg-type]
    return gain
