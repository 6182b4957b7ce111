"""What every norm over channels shares: parameters and buffers under torch's names, and the refusal of bad
input.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError

HALF = (torch.float16, torch.bfloat16)

# The framework's sentence for training on one value a channel.
_ONE_VALUE = "Expected more than 1 value per channel when training, got input size {}"


class ChannelNorm(nn.Module, ABC):
    """Base of the norms over batch and space, channel by channel (dimension 1).

    A subclass implements :meth:`with_batch_moments` and :meth:`with_running_moments`.

    Args:
        num_features: number of channels C.
        eps: added to the moment under the root, at least 0.
        momentum: weight of the newest batch in the running statistics; None averages all batches equally.
        gain: whether there is a learnable gain γ (``weight``).
        bias: whether there is a learnable bias β (``bias``).
        track_running_stats: whether running statistics are kept and used at inference.
        device: where parameters and buffers live.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument; at the call, for an input of other shape or type, and for training on
            one value a channel.
    """

    _version = 2  # torch's: from 2 on the state holds num_batches_tracked

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        gain: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if isinstance(num_features, bool) or not isinstance(num_features, int) or num_features < 1:
            raise InputError(
                f"the number of channels must be a whole number of at least 1, not {num_features!r}."
            )
        check_number("eps", eps, 0.0)
        if momentum is not None:
            check_number("momentum", momentum, 0.0, 1.0)
        self.num_features = num_features
        self.eps = float(eps)
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        ones = torch.ones(num_features, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if gain else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros_like(ones)) if bias else None)
        self.register_buffer("running_mean", torch.zeros_like(ones) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones_like(ones) if track_running_stats else None)
        count = torch.tensor(0, dtype=torch.long, device=device)
        self.register_buffer("num_batches_tracked", count if track_running_stats else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize by the batch's moments when training, or when none are kept; else by the running ones."""
        self._check_input(x)
        if not self.training and self.running_mean is not None:
            return self.with_running_moments(x)
        if x.shape[0] * math.prod(x.shape[2:]) == 1:
            raise InputError(_ONE_VALUE.format(x.shape))
        return self.with_batch_moments(x)

    @abstractmethod
    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The layer's output from the batch's own moments; keeps the running statistics when training."""

    @abstractmethod
    def with_running_moments(self, x: Tensor) -> Tensor:
        """The layer's output at inference."""

    def reset_running_stats(self) -> None:
        """Forget all batches seen."""
        if (
            self.running_mean is not None
            and self.running_var is not None
            and self.num_batches_tracked is not None
        ):
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Gain 1, bias 0, no batches seen."""
        self.reset_running_stats()
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, gain={self.weight is not None}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _count_batch(self) -> tuple[Tensor | None, Tensor | None, float]:
        """Count a training batch; the running statistics to update, if any, and the new batch's weight in
        them.
        """
        if not (self.training and self.track_running_stats):
            return None, None, 0.0
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        return self.running_mean, self.running_var, momentum

    def _kept_moments(self) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var

    def _check_input(self, x: Tensor) -> None:
        if not 2 <= x.ndim <= 5:
            raise InputError(f"a norm's input has 2 to 5 dimensions (N, C, ...), not shape {tuple(x.shape)}.")
        if x.shape[1] != self.num_features:
            raise InputError(f"this norm has {self.num_features} channels, but its input has {x.shape[1]}.")
        if not x.is_floating_point():
            raise InputError(f"a norm's input must be of floating point, not {x.dtype}.")

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Mapping[str, Any], *rest: Any
    ) -> None:
        version = local_metadata.get("version")
        key = prefix + "num_batches_tracked"
        if (
            (version is None or version < 2)
            and self.num_batches_tracked is not None
            and key not in state_dict
        ):
            state_dict[key] = self.num_batches_tracked.detach().clone()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


def check_number(
    name: str, value: object, low: float, high: float = math.inf, *, infinite: bool = False
) -> None:
    """Refuse ``value`` unless it is a number in ``[low, high]``; infinity only where ``infinite``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and low <= value <= high and (infinite or math.isfinite(value)):  # type: ignore[operator, arg-type]
        return
    allowed = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f"of at least {low:g}"
    raise InputError(f"{name} must be a {'' if infinite else 'finite '}number {allowed}, not {value!r}.")


def reduced_dims(x: Tensor) -> tuple[int, ...]:
    """Every dimension but the channels'."""
    return (0, *range(2, x.ndim))


def per_channel(vector: Tensor, x: Tensor) -> Tensor:
    """A vector of C values, shaped to broadcast against ``x`` of shape (N, C, ...)."""
    return vector.view(-1, *(1,) * (x.ndim - 2))


def batch_norm(
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """The framework's batch norm, without the refusals of its functional form, which takes no ε of 0."""
    return torch.batch_norm(x, weight, bias, mean, var, training, momentum, eps, torch.backends.cudnn.enabled)


def average_in(running: Tensor, new: Tensor, momentum: float) -> None:
    """Move a running statistic towards the newest one, in place; ``lerp_`` has no rule for vmap."""
    running.mul_(1.0 - momentum).add_(new.detach(), alpha=momentum)


def at_least_single(x: Tensor) -> Tensor:
    """``x`` itself, or in single precision where its own is a half."""
    return x.float() if x.dtype in HALF else x


def side_by_side(
    stack: int, in_dims: Sequence[int | None], args: Sequence[Any]
) -> tuple[Tensor, list[Tensor | None]]:
    """The arguments ``x, *vectors`` of a stack of layers as those of one layer with all their channels.

    Args:
        stack: number of layers.
        in_dims: the dimension of each argument that runs over the layers; None where they share it.
        args: ``x`` of shape (N, C, ...) and vectors of C values or None.

    Returns:
        ``x`` of shape (N, stack · C, ...) and vectors of stack · C values.
    """
    x, *vectors = args
    x = x.unsqueeze(1).expand(-1, stack, *x.shape[1:]) if in_dims[0] is None else x.movedim(in_dims[0], 1)
    flat: list[Tensor | None] = []
    for vector, dim in zip(vectors, in_dims[1:], strict=False):
        if vector is None:
            flat.append(None)
        else:
            rows = vector.expand(stack, -1) if dim is None else vector.movedim(dim, 0)
            flat.append(rows.reshape(-1))
    return x.flatten(1, 2), flat
