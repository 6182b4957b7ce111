"""Running statistics of the whole population (Ioffe and Szegedy 2015)."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.forward_pass import run, tensors
from normscope.generators import generators_kept
from normscope.nn import NoisyNorm
from normscope.nn.module_kinds import channel_dim, core, norm_like, norms, unwrapped
from normscope.surgery._changes import Change, warn_of, with_changes
from normscope.surgery.copies import copied, with_values
from normscope.surgery.skipping import left_alone


def calibrate(model: nn.Module, batches: Iterable[Any]) -> nn.Module:
    """A copy of the model whose running statistics are those of the population, estimated from all batches.

    Batch B has m_B values per channel (samples times positions), with mean μ_B and biased variance σ_B². Then

        E[x] = Σ_B m_B μ_B / M,   Var[x] = Σ_B m_B s_B² / M,   s_B² = m_B/(m_B − 1) σ_B²,   M = Σ_B m_B

    For batches of equal size this is ``E_B[μ_B]`` and ``m/(m − 1) E_B[σ_B²]``, the article's Algorithm 2. It stays
    exact for uneven batches, such as a short last one: E[x] is the mean of all values, however they are split, and the
    expectation of Var[x] is the population's variance if values are independent, since that of each s_B² is. Var[x] is
    not the variance of all values pooled, which the drift of the means between batches would inflate.

    Any other statistic that a norm keeps as ``running_mean`` and ``running_var``, such as a p-th moment, is averaged
    with the same weights. During the measurement, norms with running statistics use their batch's own; the rest of the
    model is in evaluation mode, without dropout, as it will be at inference; a NoisyNorm makes no noise.

    Args:
        model: any module; it is not changed.
        batches: any loader or list. A batch is the input; or a tuple or list whose first entry is the input (the others
            are targets); or a mapping, from which the model gets the keyword arguments that it takes.

    Returns:
        the new model, in the modes of the old one; ``num_batches_tracked`` is the number of batches.
        :func:`~normscope.surgery.changes` lists the norms whose statistics stay, and why.

    Raises:
        InputError: for no batches, a batch of another form, or a batch with one value per channel; for a model that
            cannot be copied.

    Warns:
        NormscopeWarning: if no norm keeps running statistics, or the statistics of one stay as they were.

    Source: Ioffe and Szegedy 2015, Algorithm 2, steps 8 to 11.
    """
    if isinstance(batches, Tensor):
        raise InputError("calibration needs a loader or list of batches, not a tensor: [x] is one batch.")
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise InputError(f"calibration needs a loader or list of batches, not a {type(batches).__name__}.")
    trial, after = with_values(copied(model)).eval(), copied(model)
    keeping = dict(_with_statistics(trial))
    frozen = {name: reason for name, norm in keeping.items() if (reason := _frozen(norm))}
    left = [
        Change("skipped", name, type(keeping[name]).__name__, reason=reason)
        for name, reason in frozen.items()
    ]
    sums = {name: _Sums() for name in keeping if name not in frozen}
    for name, found in sums.items():
        _watch(name, keeping[name], found)
    count = 0
    with generators_kept(model):
        for batch in batches:
            count += 1
            run(trial, _input(model, batch))
    if not count:
        raise InputError("calibration needs at least one batch, and there was none.")
    for name, norm in _with_statistics(after):
        if name in sums and sums[name].weight:
            _fill(core(norm), sums[name], count)
        elif name in sums:
            left.append(Change("skipped", name, type(norm).__name__, reason="the model did not call it"))
    left += [one for one in left_alone(trial) if one.name not in keeping and "batch_norm" in one.reason]
    warn_of("calibrate", model, len(left) < len(keeping), left, "no norm with running statistics")
    return with_changes(after, [], model, left)


@dataclasses.dataclass
class _Sums:
    weight: float = 0.0
    mean: Tensor | float = 0.0
    var: Tensor | float = 0.0


def _with_statistics(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The norms that keep running statistics, also batch norms with modules of their own (an activation)."""
    found = dict(norms(model)) | {
        name: module
        for name, module, _ in norm_like(model)
        if isinstance(module, nn.modules.batchnorm._NormBase)
    }
    for name, norm in found.items():
        buffers = core(norm)._buffers
        if buffers.get("running_mean") is not None and buffers.get("running_var") is not None:
            yield name, norm


def _frozen(norm: nn.Module) -> str:
    """Why the statistics of a norm are never updated; empty if they are."""
    if not hasattr(core(norm), "momentum"):
        return "its statistics are constants"
    return "" if getattr(core(norm), "track_running_stats", True) else "it does not track its statistics"


def _watch(name: str, norm: nn.Module, sums: _Sums) -> None:
    """Put a norm in training mode at momentum 1, so that it keeps the latest batch's statistics, and sum these."""
    measured: Any = core(norm)
    measured.training = True  # not the modules in it, such as an activation
    measured.momentum = 1.0
    if isinstance(measured, NoisyNorm):
        measured.noise = False

    def values_per_channel(x: Tensor) -> int:
        return x.numel() // x.shape[channel_dim(norm, x.ndim)]

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = next(tensors((args, kwargs)), None)
        if x is not None and values_per_channel(x) == 1:
            raise InputError(
                f"a batch gives norm {name!r} one value per channel, which has no variance: drop it."
            )
        # This also resets the schedule of an AlternatingNorm, so that it measures every batch.
        if hasattr(measured, "reset_running_stats"):
            measured.reset_running_stats()

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        values = values_per_channel(next(tensors(output)))
        sums.weight += values
        sums.mean = sums.mean + values * measured.running_mean.cpu().double()
        sums.var = sums.var + values * measured.running_var.cpu().double()

    norm.register_forward_pre_hook(before, with_kwargs=True)
    norm.register_forward_hook(after)


def _fill(norm: nn.Module, sums: _Sums, count: int) -> None:
    with torch.no_grad():
        norm.get_buffer("running_mean").copy_(torch.as_tensor(sums.mean / sums.weight))
        norm.get_buffer("running_var").copy_(torch.as_tensor(sums.var / sums.weight))
        if norm._buffers.get("num_batches_tracked") is not None:
            norm.get_buffer("num_batches_tracked").fill_(count)


def _input(model: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Tensor):
        return (batch,)
    if isinstance(batch, list | tuple) and batch:
        return (batch[0],)
    if isinstance(batch, Mapping):
        parameters = inspect.signature(unwrapped(model).forward).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return dict(batch)
        if taken := {key: value for key, value in batch.items() if key in parameters}:
            return taken
        raise InputError(
            f"a batch has {', '.join(map(repr, batch))}, of which the model takes none: {list(parameters)}."
        )
    raise InputError(f"a batch is a tensor, a tuple, a list or a mapping, not a {type(batch).__name__}.")
