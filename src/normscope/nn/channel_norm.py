"""The base class of every norm by batch statistics: torch's buffer names, and what counts as a training batch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from normscope.errors import InputError
from normscope.nn.affine_norm import AffineNorm
from normscope.nn.arguments import check_number

# The framework's sentence for training on one value per channel.
_ONE_VALUE = "Expected more than 1 value per channel when training, got input size {}"


class ChannelNorm(AffineNorm):
    """Base of the norms that treat each channel (dimension 1) by its moments over batch and space.

    A subclass implements :meth:`with_batch_moments` and :meth:`with_running_moments`. The arguments, shapes and errors
    are those of :class:`~normscope.nn.BatchNorm`. A training batch without values is counted and changes no running
    statistics, as in torch's batch norm.
    """

    _version = 2  # torch's number: from 2 on, the state holds num_batches_tracked

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
        super().__init__(num_features, gain, bias, device, dtype)
        check_number("eps", eps, 0.0)
        if momentum is not None:
            check_number("momentum", momentum, 0.0, 1.0)
        self.eps = float(eps)
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        ones = torch.ones(num_features, device=device, dtype=dtype)
        self.register_buffer("running_mean", torch.zeros_like(ones) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones_like(ones) if track_running_stats else None)
        count = torch.tensor(0, dtype=torch.long, device=device)
        self.register_buffer("num_batches_tracked", count if track_running_stats else None)

    def normalized(self, x: Tensor) -> Tensor:
        """Normalize ``x`` by running statistics at inference if the layer keeps them, else by its own moments."""
        if not self.training and self.running_mean is not None:
            return self.with_running_moments(x)
        if x.shape[0] * math.prod(x.shape[2:]) == 1:
            raise InputError(_ONE_VALUE.format(x.shape))
        return self.with_batch_moments(x)

    def of_no_values(self, x: Tensor) -> Tensor:
        """The output for a batch without values, which is counted in training mode."""
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return super().of_no_values(x)

    @abstractmethod
    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output from the batch's own moments; in training mode it also updates the running statistics."""

    @abstractmethod
    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference, from the running statistics."""

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
        """Set the gain to 1 and the bias to 0, and forget all batches seen."""
        self.reset_running_stats()
        super().reset_parameters()

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, gain={self.weight is not None}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _count_batch(self) -> tuple[Tensor | None, Tensor | None, float]:
        """Count a training batch.

        Returns:
            the running statistics to update, None outside training; and the weight of the new batch in them.
        """
        if not (self.training and self.track_running_stats):
            return None, None, 0.0
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        return self.running_mean, self.running_var, momentum

    def _running_moments(self) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var

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
