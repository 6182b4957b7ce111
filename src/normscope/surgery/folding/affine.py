"""A norm as an affine map per channel, y = a x + b, measured by calling the norm.

Every norm is called, whoever wrote it, in double precision on the CPU, so no norm's formula is repeated here.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn.module_kinds import channel_dim, channels, core
from normscope.nn.trials import twin

_TOLERANCE = 1e-6  # relative to the largest output; a norm that looks at the batch is off by far more
_CONSTANT = 1e-12  # a standard deviation below this share of the mean is rounding


@dataclasses.dataclass(frozen=True)
class Affine:
    """``y = scale x + shift``, channel by channel: vectors of C values in double precision on the CPU."""

    scale: Tensor
    shift: Tensor


def inference_map(name: str, norm: nn.Module) -> Affine:
    """The map of a norm in evaluation mode.

    With ``f`` the norm, ``b = f(0)`` and ``a = f(1) − f(0)``, which must agree with f on random numbers.

    Raises:
        InputError: for a norm that looks at its input in evaluation mode, or that accepts no input of C channels.
    """
    count = channels(name, norm)
    copy = twin(core(norm)).eval()
    generator = torch.Generator().manual_seed(0)
    refusal: Exception | None = None
    over = tuple(getattr(copy, "normalized_shape", ()))  # of a layer norm over (C, H, W)
    for shape in ((3, count, 4, 5), (3, count, 4), (3, count, 2, 3, 2), (3, count), (3, *over)):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        try:
            low, high, y = _called(copy, torch.zeros_like(x), torch.ones_like(x), x)
        except Exception as raised:  # another number of dimensions, or whatever else a user's norm refuses
            refusal = raised
            continue
        shift, step = _of_channels(low)[:, 0], _of_channels(high)[:, 0]
        scale = step - shift
        if _agree(scale, shift, x, y):
            return Affine(scale, shift)
        break
    else:
        raise InputError(
            f"norm {name!r} ({type(norm).__name__}) accepts no input of {count} channels by itself ({refusal}), so no "
            "layer's weights can take it over."
        )
    raise InputError(
        f"norm {name!r} ({type(norm).__name__}) is not a fixed affine map per channel in evaluation mode: it looks "
        "at its input, so no layer's weights can take it over."
    )


def batch_map(name: str, norm: nn.Module, x: Tensor) -> Affine:
    """The map of a norm in training mode on the batch ``x``, of shape (N, C, ...), or (N, ..., C) for channels last.

    It is the least-squares line through input and output, which must pass through all points. For batch norm it is
    ``a = γ/σ``, ``b = β − γμ/σ``. A channel that is constant in the batch gets ``a = 0``, ``b = y``, whatever the
    rounding of x.

    Raises:
        InputError: for a norm that is not an affine map per channel on this batch, or that refuses the batch.
    """
    copy = twin(core(norm)).train()
    moved = x.cpu().double().movedim(channel_dim(norm, x.ndim), 1)
    try:
        (y,) = _called(copy, moved)
    except Exception as error:  # whatever a user's norm raises
        raise InputError(f"norm {name!r} refuses the batch: {error}") from error
    xs, ys = _of_channels(moved), _of_channels(y)
    mean_x, mean_y = xs.mean(1, keepdim=True), ys.mean(1, keepdim=True)
    variance = (xs - mean_x).square().mean(1)
    slope = ((xs - mean_x) * (ys - mean_y)).mean(1) / variance
    constant = variance.sqrt() <= _CONSTANT * mean_x[:, 0].abs()
    scale = torch.where(constant, 0.0, slope)
    shift = mean_y[:, 0] - scale * mean_x[:, 0]
    if not _agree(scale, shift, moved, y):
        raise InputError(
            f"norm {name!r} ({type(norm).__name__}) is not an affine map per channel on this batch: it treats samples "
            "differently, so no layer's weights can take it over."
        )
    return Affine(scale, shift)


def _called(norm: nn.Module, *inputs: Tensor) -> list[Tensor]:
    with torch.no_grad(), generators_kept(norm):
        return [norm(x) for x in inputs]


def _of_channels(x: Tensor) -> Tensor:
    """The values of each channel in a row, (C, n)."""
    return x.transpose(0, 1).flatten(1)


def _agree(scale: Tensor, shift: Tensor, x: Tensor, y: Tensor) -> bool:
    line = scale[:, None] * _of_channels(x) + shift[:, None]
    off = (line - _of_channels(y)).abs()
    return not bool(
        (off > _TOLERANCE * y.abs().max()).any()
    )  # NaN does not count as disagreement: it flows through
