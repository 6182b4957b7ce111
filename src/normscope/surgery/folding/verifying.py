"""The last check of surgery that keeps the function: both networks run on an input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError, said
from normscope.forward_pass import run, tensors
from normscope.generators import generators_kept
from normscope.nn.module_kinds import modules
from normscope.surgery.copies import copied

_DOUBLE = 1e-6  # of the largest value of an output; rounding is far below it, a wrong fold far above
_FLOOR = 1e-4  # of this tolerance, relative to the largest value of all outputs: where outputs cancel to zero


def refuse_difference(
    model: nn.Module,
    new: nn.Module,
    x: Any,
    make: Callable[[nn.Module, Any], nn.Module],
    advice: str = "",
) -> None:
    """Refuse a new network whose output on ``x`` is not the model's, whatever the graph said.

    Both networks are made and run in double precision, so that rounding explains no difference. Where the model does
    not run in double precision, its own type has to do, with a wide tolerance. Both runs draw the same random numbers.

    Args:
        model: the model, in the mode in which the networks must agree; it is not changed.
        new: the new network, in the same mode; it is not changed.
        x: an input; a tuple is the model's arguments, a mapping its keyword arguments.
        make: makes the new network of a copy of the model, which it may change, and an input.
        advice: what the user can do.

    Raises:
        InputError: if the outputs differ by more than rounding, or the new network does not run.
    """
    try:
        wide = _in_double(x)
        wanted = _outputs(_widened(model), wide)
        got = _outputs(make(_widened(model), wide), wide)
        tolerance = _DOUBLE
    except Exception:  # a user's model may insist on its own type in any way
        wanted = _outputs(copied(model), x)
        try:
            got = _outputs(copied(new), x)
        except Exception as error:
            raise InputError(
                f"the new network does not run on an example input ({said(error)}), so nothing was folded."
            ) from error
        types = [tensor.dtype for tensor in wanted if tensor.is_floating_point()]
        tolerance = 8 * max(torch.finfo(kind).eps for kind in (torch.float32, *types)) ** 0.5
    off = _distance(got, wanted, _FLOOR * tolerance)
    if off > tolerance:
        raise InputError(
            f"the new network's output on an example input is off by {off:.1g} of the largest value of that of "
            f"{type(model).__name__}, so the model does something that its calls do not show, and nothing was folded"
            f"{advice}."
        )


def _widened(model: nn.Module) -> nn.Module:
    """A copy of the model in double precision, with what it keeps in plain lists."""
    copy = copied(model)
    for _, module in modules(copy):
        module.double()
    return copy


def _outputs(model: nn.Module, x: Any) -> list[Tensor]:
    with generators_kept(model):
        output = run(model, x)
    return [tensor.detach().cpu() for tensor in tensors(output) if not tensor.is_quantized]


def _distance(got: list[Tensor], wanted: list[Tensor], floor: float) -> float:
    """The largest difference relative to the largest value of the same output; values that are not finite are left out.

    A difference below ``floor``, relative to the largest value of all outputs, counts as none.
    """
    if [tensor.shape for tensor in got] != [tensor.shape for tensor in wanted]:
        return torch.inf
    pairs = []
    for one, other in zip(got, wanted, strict=True):
        a, b = (value.to_dense().to(_widest(value)) for value in (one, other))
        if (finite := b.isfinite()).any():
            off = (a - b)[finite].abs().nan_to_num(torch.inf, torch.inf).max().item()
            pairs.append((off, b[finite].abs().max().item()))
    largest = max((scale for _, scale in pairs), default=0.0)
    real = [(off, scale) for off, scale in pairs if off > floor * largest]
    return max((off / scale if scale else torch.inf for off, scale in real), default=0.0)


def _widest(value: Tensor) -> torch.dtype:
    return torch.complex128 if value.is_complex() else torch.float64


def _in_double(x: Any) -> Any:
    """The input, with its floating-point tensors in double precision."""
    if isinstance(x, Tensor):
        return x.double() if x.is_floating_point() else x
    if isinstance(x, Mapping):
        return {key: _in_double(value) for key, value in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(_in_double, x))
    if isinstance(x, list | tuple):
        return type(x)(map(_in_double, x))
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        fields = {
            field.name: _in_double(getattr(x, field.name)) for field in dataclasses.fields(x) if field.init
        }
        return dataclasses.replace(x, **fields)
    return x
