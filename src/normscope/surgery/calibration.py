"""Running statistics of the whole population (Ioffe and Szegedy 2015)."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn.module_kinds import channel_dim, core, norms
from normscope.surgery.copies import copied
from normscope.surgery.tracing import run


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
    model is in evaluation mode, without dropout, as it will be at inference.

    Args:
        model: any module; it is not changed.
        batches: any loader or list. A batch is the input; or a tuple or list whose first entry is the input (the others
            are targets); or a mapping, from which the model gets the keyword arguments that it takes.

    Returns:
        the new model, in the modes of the old one; ``num_batches_tracked`` is the number of batches.

    Raises:
        InputError: for no batches, a batch of another form, or a batch with one value per channel.

    Source: Ioffe and Szegedy 2015, Algorithm 2, steps 8 to 11.
    """
    if isinstance(batches, Tensor):
        raise InputError("calibration needs a loader or list of batches, not a tensor: [x] is one batch.")
    trial, after = copied(model).eval(), copied(model)
    sums = {name: _Sums() for name, norm in norms(trial) if _keeps_statistics(core(norm))}
    for name, norm in norms(trial):
        if name in sums:
            _watch(name, norm, sums[name])
    count = 0
    with generators_kept(model):
        for batch in batches:
            count += 1
            run(trial, _input(model, batch))
    if not count:
        raise InputError("calibration needs at least one batch, and there was none.")
    for name, norm in norms(after):
        if name in sums and sums[name].weight:
            _fill(core(norm), sums[name], count)
    return after


@dataclasses.dataclass
class _Sums:
    weight: float = 0.0
    mean: Tensor | float = 0.0
    var: Tensor | float = 0.0


def _keeps_statistics(norm: nn.Module) -> bool:
    kept = (norm._buffers.get("running_mean"), norm._buffers.get("running_var"))
    return all(tensor is not None for tensor in kept) and hasattr(norm, "momentum")


def _watch(name: str, norm: nn.Module, sums: _Sums) -> None:
    """Put a norm in training mode at momentum 1, so that it keeps the latest batch's statistics, and sum these."""
    measured: Any = core(norm)
    measured.train()
    measured.momentum = 1.0

    def values_per_channel(x: Tensor) -> int:
        return x.numel() // x.shape[channel_dim(norm, x.ndim)]

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        if values_per_channel(args[0]) == 1:
            raise InputError(
                f"a batch gives norm {name!r} one value per channel, which has no variance: drop it."
            )
        # This also resets the schedule of an AlternatingNorm, so that it measures every batch.
        if hasattr(measured, "reset_running_stats"):
            measured.reset_running_stats()

    def after(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        values = values_per_channel(output)
        sums.weight += values
        sums.mean = sums.mean + values * measured.running_mean.cpu().double()
        sums.var = sums.var + values * measured.running_var.cpu().double()

    norm.register_forward_pre_hook(before)
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
        parameters = inspect.signature(model.forward).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return dict(batch)
        if taken := {key: value for key, value in batch.items() if key in parameters}:
            return taken
        raise InputError(
            f"a batch has {', '.join(map(repr, batch))}, of which the model takes none: {list(parameters)}."
        )
    raise InputError(f"a batch is a tensor, a tuple, a list or a mapping, not a {type(batch).__name__}.")
