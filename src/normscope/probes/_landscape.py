"""The loss of a batch, and the moments of layers, along a line through a model's parameters, as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError, UnknownNameError
from normscope.nn import module_kinds
from normscope.probes._moments import moments as moments_of
from normscope.probes.backward import (
    LossFunction,
    batch_loss,
    differentiable,
    differentiable_pass,
)
from normscope.probes.capture import alone, copied, named, output_of
from normscope.probes.parameter_gradients import gradients_of, watch_none
from normscope.probes.snapshot import every_module, untouched
from normscope.probes.table import Table

Direction = Mapping[str, Tensor]
"""How far each parameter moves, by name. A parameter without an entry stays."""

_MOMENTS = ("layer", "mean", "variance", "nonfinite", "note")


def landscape(
    model: nn.Module,
    x: Any,
    y: Any,
    direction: Direction | Literal["gradient"] = "gradient",
    steps: Iterable[float] = (0.0,),
    *,
    loss: LossFunction = nn.functional.cross_entropy,
    moments: Iterable[str] | Literal["all"] | None = None,
    dtype: torch.dtype | None = None,
) -> pd.DataFrame:
    """The batch loss ``L(θ + t·d)`` for each of the given ``t``; on request with the moments of layers at each point.

    With ``d = −∇L(θ)``, ``t`` is the learning rate of one plain gradient step on this batch (Bjorck et al. 2018,
    Figs. 5, 6 and 24). Every point is computed in the mode that the model is in, from the same buffers and with the
    same random numbers. The model, its modes and buffers, the gradients that its parameters hold and all random
    generators are afterwards as before.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        direction: how far each parameter moves, by its name in ``model.named_parameters()`` without the marks of
            ``torch.compile``; or ``"gradient"``, for the negative gradient of this batch's loss at the model's
            parameters.
        steps: the ``t``.
        loss: the loss of the batch: one number, from the model's output and ``y``.
        moments: names of the layers whose moments are wanted, as for :func:`normscope.probes.moments`, or ``"all"``.
        dtype: the floating-point type in which parameters, buffers and data are converted for the measurement. In
            ``torch.float64``, a loss that does not change is not taken for one that falls.

    Returns:
        One row per ``t``, in the given order: ``step`` (``t``), ``distance`` (``|t|·‖d‖``, the length of the path in
        the space of parameters) and ``loss``, which may be NaN or infinite. With ``moments``, one row per ``t`` and
        layer, with more columns: ``layer``, ``mean`` (the average of |channel mean| over the layer's channels),
        ``variance`` (the average of the channels' variances), ``nonfinite`` (the number of values that are NaN or
        infinite) and ``note``, which says why a layer has no numbers.

    Raises:
        UnknownNameError: ``direction`` names a parameter, or ``moments`` a layer, that the model does not have.
        InputError: ``steps`` are no finite numbers, ``dtype`` is no floating-point type, a direction does not have its
            parameter's shape, no parameter has a gradient, or the model or the loss fails on this batch.
    """
    points = _checked(steps)
    with differentiable(), _converted(model, dtype):
        x, y = _as_type(x, dtype), _as_type(y, dtype)
        parameters = dict(module_kinds.unwrapped(model).named_parameters())
        for name, one in parameters.items():
            if one.is_floating_point() and one.element_size() < 2:
                raise InputError(
                    f"nothing can be added to {name!r}, which has the type {one.dtype}: give a dtype, such as "
                    "torch.float32."
                )
        if isinstance(direction, str):
            moves = _descent(model, x, y, loss, parameters, direction)
        else:
            moves = _moves(direction, parameters)
        length = math.sqrt(sum(move.double().square().sum().item() for move in moves.values()))
        origin = {name: parameters[name].detach() for name in moves}
        tables = []
        for step in points:
            for name, move in moves.items():
                # At 0 a direction that is not finite must not matter.
                _replace(parameters[name], origin[name] + step * move if step else origin[name])
            value, rows = _measure(model, x, y, loss, moments)
            place = {"step": step, "distance": abs(step) * length if step else 0.0, "loss": value}
            rows = Table(index=[0]) if rows is None else rows
            tables.append(Table({**{name: [number] * len(rows) for name, number in place.items()}, **rows}))
    return pd.concat(tables, ignore_index=True)


def _checked(steps: Iterable[float]) -> list[float]:
    try:
        points = [float(step) for step in steps]
    except (TypeError, ValueError):
        points = []
    if not points or not all(map(math.isfinite, points)):
        raise InputError("steps must be one or more finite numbers.")
    return points


@contextmanager
def _converted(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """A context in which the model's parameters and buffers have a type, and after which it is as before."""
    named(model)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InputError(f"dtype must be a floating-point type of torch, such as torch.float64, not {dtype}.")
    with untouched(model):
        # nn.Module.to would convert the gradients that the parameters hold, too.
        for module in every_module(model):
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None:
                    _replace(tensor, _as_type(tensor.detach(), dtype))
        yield


def _replace(tensor: Tensor, value: Tensor) -> None:
    """Give a tensor other values without writing into its memory, which a user's graph may need."""
    if tensor.data_ptr() != value.data_ptr():
        with torch.inference_mode(tensor.is_inference()):
            tensor.data = value


def _as_type(value: Any, dtype: torch.dtype | None) -> Any:
    """A batch, or a part of one, with its floating-point tensors converted."""
    if isinstance(value, Tensor):
        return value.to(dtype) if dtype is not None and value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {name: _as_type(item, dtype) for name, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_as_type(item, dtype) for item in value)
    return value


def _descent(
    model: nn.Module,
    x: Any,
    y: Any,
    loss: LossFunction,
    parameters: Mapping[str, nn.Parameter],
    direction: str,
) -> dict[str, Tensor]:
    """The negative gradient of the batch's loss."""
    if direction != "gradient":
        raise UnknownNameError("direction", direction, ["gradient"])
    with differentiable_pass(model, x, y, loss, {}, watch_none) as (_, value):
        gradients = gradients_of(value, list(parameters.values()))
    found = zip(parameters, gradients, strict=True)
    moves = {name: -gradient for name, gradient in found if gradient is not None}
    if not moves:
        raise InputError("the loss depends on no parameter that requires a gradient, so it has none.")
    return moves


def _moves(direction: Any, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """A user's direction, in the types and on the devices of the parameters."""
    if not isinstance(direction, Mapping):
        raise InputError(
            f'direction must be "gradient" or a mapping from names of parameters to tensors, '
            f"not a {type(direction).__name__}."
        )
    for name, move in direction.items():
        if name not in parameters:
            raise UnknownNameError("parameter", name, parameters)
        if not isinstance(move, Tensor) or move.shape != parameters[name].shape:
            raise InputError(
                f"the direction of {name!r} must be a tensor of its shape, {tuple(parameters[name].shape)}."
            )
    return {name: move.detach().to(parameters[name]) for name, move in direction.items()}


def _measure(
    model: nn.Module,
    x: Any,
    y: Any,
    loss: Callable[[Any, Any], Tensor],
    moments: Iterable[str] | Literal["all"] | None,
) -> tuple[float, pd.DataFrame | None]:
    """The loss at the model's parameters, and its layers' moments if they are wanted, from one pass."""
    if moments is None or isinstance(module_kinds.unwrapped(model), torch.jit.ScriptModule):
        with alone(model):
            return batch_loss(loss, output_of(model, x), copied(y)).item(), None
    outputs: list[Any] = []
    keep = module_kinds.unwrapped(model).register_forward_hook(
        lambda module, args, output: outputs.append(output)
    )
    try:
        channels = moments_of(model, x, None if moments == "all" else moments)
    finally:
        keep.remove()
    with torch.no_grad():
        return batch_loss(loss, outputs[-1], copied(y)).item(), _by_layer(channels)


def _by_layer(channels: pd.DataFrame) -> pd.DataFrame:
    """The moments of channels, averaged by layer."""
    by_layer = channels.assign(mean=channels["mean"].abs()).groupby("layer", sort=False)
    found = by_layer.agg(
        # Unlike pandas' own, numpy's mean keeps NaN: a channel that is not finite shows in its layer.
        mean=("mean", lambda values: values.to_numpy().mean()),
        variance=("variance", lambda values: values.to_numpy().mean()),
        nonfinite=("nonfinite", "sum"),
        note=("note", "first"),
    )
    return found.reset_index()[list(_MOMENTS)]
