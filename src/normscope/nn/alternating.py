"""Batch normalization that measures only every few batches (Bjorck et al. 2018, Table 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from normscope.nn.arguments import check_count
from normscope.nn.arithmetic import (
    at_least_single,
    average_in,
    batch_norm,
    composite_affine,
    is_eager,
    reduced_dims,
)
from normscope.nn.channel_norm import ChannelNorm
from normscope.nn.recomputation import LatestPasses, first_pass_only, is_recomputation


class AlternatingNorm(ChannelNorm):
    """BatchNorm by the moments of every ``period``-th training batch, which are constants until the next.

    Training batches 0, period, 2 period, … are *measured*: they are normalized by their own moments, as in BatchNorm.
    The others are normalized by the moments of the latest measured batch, through which no gradient flows:
    ``y = γ (x − μ_latest) / √(σ²_latest + ε) + β``. With period 1 the layer is BatchNorm. Only measured batches enter
    the running statistics and are counted in ``num_batches_tracked``. Inference is BatchNorm's.

    The buffers ``latest_mean``, ``latest_var`` (biased) and ``num_batches_seen`` hold the state of the schedule. A
    training batch without values does not move the schedule: the next batch takes its turn.

    A forward pass that ``torch.utils.checkpoint`` recomputes repeats what it did, whatever batches came in between, and
    changes no state: unlike torch's batch norm, which counts such a batch twice. The layer recognizes the pass by its
    input, among the latest 64 (:mod:`normscope.nn.recomputation`); compiled, it refuses to be recomputed.

    Args:
        num_features: number of channels C.
        period: measure one training batch in so many, at least 1.
        momentum: weight of the newest measured batch in the running statistics; None averages them equally.
        eps, gain, bias, track_running_stats, device, dtype: as in :class:`~normscope.nn.BatchNorm`.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, for training on one value per channel, and for training during a
            backward pass on an input that no recent forward pass has had or in compiled code.
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
        check_count("period", period)
        self.period = period
        self._passes: LatestPasses[tuple[Tensor, Tensor] | None] = LatestPasses("AlternatingNorm")
        self.register_buffer("latest_mean", torch.zeros(num_features, device=device, dtype=dtype))
        self.register_buffer("latest_var", torch.ones(num_features, device=device, dtype=dtype))
        self.register_buffer("num_batches_seen", torch.tensor(0, dtype=torch.long, device=device))

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output by the schedule in training mode; from the batch's own moments otherwise."""
        if not self.training:
            return batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        if not is_eager():
            return self._without_branches(x)
        if is_recomputation():
            earlier = self._passes.recall(x)
            return self._by_constants(x, *earlier) if earlier else self._by_own_moments(x)[0]
        due = int(self.num_batches_seen) % self.period == 0
        self.num_batches_seen.add_(1)
        # A backward pass may come after the next measured batch, which overwrites the buffers: hence copies.
        latest = None if due else (self.latest_mean.clone(), self.latest_var.clone())
        self._passes.keep(x, latest)
        if latest:
            return self._by_constants(x, *latest)
        y, mean, var = self._by_own_moments(x)
        running_mean, running_var, momentum = self._count_batch()
        if running_mean is not None and running_var is not None:
            average_in(running_mean, mean, momentum)
            average_in(running_var, var, momentum)
        n = x.numel() // x.shape[1]
        self.latest_mean.copy_(mean)
        self.latest_var.copy_(var * ((n - 1) / n))
        return y

    def of_no_values(self, x: Tensor) -> Tensor:
        """The output for a batch without values, which is counted if its turn is to be measured."""
        recomputed = is_eager() and is_recomputation()
        if (
            self.training
            and self.track_running_stats
            and self.num_batches_tracked is not None
            and not recomputed
        ):
            self.num_batches_tracked.add_(self.num_batches_seen % self.period == 0)
        return self._affine(x).to(x.dtype)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference, from the running statistics."""
        return batch_norm(x, *self._running_moments(), self.weight, self.bias, False, 0.0, self.eps)

    def reset_running_stats(self) -> None:
        """Forget all batches seen; the next training batch is measured."""
        super().reset_running_stats()
        self.latest_mean.zero_()
        self.latest_var.fill_(1)
        self.num_batches_seen.zero_()

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, period={self.period}"

    def _by_constants(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)

    def _by_own_moments(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The output, the batch's mean, and its variance with Bessel's correction."""
        # At momentum 1 the kernel's running statistics are the batch's. The kernel keeps them for its backward pass,
        # so it must not get the buffers.
        mean, var = torch.zeros_like(self.latest_mean), torch.zeros_like(self.latest_var)
        return batch_norm(x, mean, var, self.weight, self.bias, True, 1.0, self.eps), mean, var

    def _without_branches(self, x: Tensor) -> Tensor:
        """The training step without a branch on a value, for ``torch.compile`` and ``vmap``."""
        dtype, n = x.dtype, x.numel() // x.shape[1]
        x = at_least_single(x)
        due = self.num_batches_seen % self.period == 0
        if torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
            due = first_pass_only(due)
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
        return composite_affine(x, mean, (var + self.eps).rsqrt(), self.weight, self.bias).to(dtype)
