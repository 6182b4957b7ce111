"""Batch normalization that measures only every so many batches (Bjorck et al. 2018, Table 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from normscope.errors import InputError
from normscope.nn.channel import (
    ChannelNorm,
    at_least_single,
    average_in,
    batch_norm,
    per_channel,
    reduced_dims,
)


class AlternatingNorm(ChannelNorm):
    """BatchNorm by the moments of every ``period``-th training batch, as constants in between.

    Training batches 0, period, 2 period, … are normalized by their own moments, as in BatchNorm. The others
    are normalized by the moments of the latest of those, through which no gradient flows: ``y = γ (x −
    μ_latest) / √(σ²_latest + ε) + β``. With period 1 it is BatchNorm. Only measured batches enter the running
    statistics and are counted in ``num_batches_tracked``; inference is BatchNorm's.

    The buffers ``latest_mean``, ``latest_var`` (biased) and ``num_batches_seen`` hold the schedule's state.

    Args:
        num_features: number of channels C.
        period: measure every so many training batches, at least 1.
        eps: ε, at least 0.
        momentum: weight of the newest measured batch in the running statistics; None averages them equally.
        gain: learn γ.
        bias: learn β.
        track_running_stats: keep running statistics and use them at inference; without them, inference uses
            the batch's own moments.
        device: where parameters and buffers live.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value a channel.
    """

    latest_mean: Tensor
    latest_var: Tensor
    num_batches_seen: Tensor

    def __init__(
        self,
        num_features: int,
        period: int = 2,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        gain: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, gain, bias, track_running_stats, device, dtype)
        if isinstance(period, bool) or not isinstance(period, int) or period < 1:
            raise InputError(f"period must be a whole number of at least 1, not {period!r}.")
        self.period = period
        self.register_buffer("latest_mean", torch.zeros(num_features, device=device, dtype=dtype))
        self.register_buffer("latest_var", torch.ones(num_features, device=device, dtype=dtype))
        self.register_buffer("num_batches_seen", torch.tensor(0, dtype=torch.long, device=device))

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output by the schedule when training; by the batch's own moments else."""
        if not self.training:
            return batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return self._without_branches(x)
        due = int(self.num_batches_seen) % self.period == 0
        self.num_batches_seen.add_(1)
        if not due:
            mean, var = self.latest_mean, self.latest_var
            # A copy, since the next measured batch writes over what a backward still to come will read.
            return batch_norm(x, mean.clone(), var.clone(), self.weight, self.bias, False, 0.0, self.eps)
        # At momentum 1 the kernel's running statistics are the batch's, with Bessel's correction. The kernel
        # keeps them for its backward pass, so the buffers are not given to it.
        mean, var = torch.zeros_like(self.latest_mean), torch.zeros_like(self.latest_var)
        y = batch_norm(x, mean, var, self.weight, self.bias, True, 1.0, self.eps)
        running_mean, running_var, momentum = self._count_batch()
        if running_mean is not None and running_var is not None:
            average_in(running_mean, mean, momentum)
            average_in(running_var, var, momentum)
        n = x.numel() // x.shape[1]
        self.latest_mean.copy_(mean)
        self.latest_var.copy_(var * ((n - 1) / n))
        return y

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference."""
        return batch_norm(x, *self._kept_moments(), self.weight, self.bias, False, 0.0, self.eps)

    def reset_running_stats(self) -> None:
        """Forget all batches seen; the next training batch is measured."""
        super().reset_running_stats()
        self.latest_mean.zero_()
        self.latest_var.fill_(1)
        self.num_batches_seen.zero_()

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, period={self.period}"

    def _without_branches(self, x: Tensor) -> Tensor:
        """The training step where no branch can be taken: compiled, or for a stack of layers at once."""
        dtype, n = x.dtype, x.numel() // x.shape[1]
        x = at_least_single(x)
        due = self.num_batches_seen % self.period == 0
        self.num_batches_seen.add_(1)
        batch_var, batch_mean = torch.var_mean(x, reduced_dims(x), correction=0)
        mean = torch.where(due, batch_mean, self.latest_mean)
        var = torch.where(due, batch_var, self.latest_var)
        self.latest_mean.copy_(mean.detach())
        self.latest_var.copy_(var.detach())
        if (
            self.num_batches_tracked is not None
            and self.running_mean is not None
            and self.running_var is not None
        ):
            self.num_batches_tracked.add_(due)
            momentum = 1.0 / self.num_batches_tracked if self.momentum is None else self.momentum
            weight = due * momentum
            self.running_mean.add_(weight * (self.latest_mean - self.running_mean))
            self.running_var.add_(weight * (self.latest_var * (n / (n - 1)) - self.running_var))
        y = (x - per_channel(mean, x)) * per_channel((var + self.eps).rsqrt(), x)
        y = y if self.weight is None else y * per_channel(self.weight, x)
        return (y if self.bias is None else y + per_channel(self.bias, x)).to(dtype)
