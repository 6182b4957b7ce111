"""Batch normalization with noise added on purpose (Santurkar et al. 2018, their noisy BatchNorm)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscope.errors import InputError
from normscope.nn.arithmetic import at_least_single, batch_norm, is_eager
from normscope.nn.channel_norm import ChannelNorm
from normscope.nn.recomputation import LatestPasses, is_recomputation


class NoisyNorm(ChannelNorm):
    """BatchNorm followed, in training mode, by noise whose moments change at every step.

    With z the BatchNorm output, at each step and for each activation j (a channel at a position),

        μ_j ~ U(−0.5, 0.5),   σ_j ~ U(1, 1.25),

    then for each sample ``m ~ U(μ_j − 0.1, μ_j + 0.1)``, ``s ~ N(σ_j, 0.1)`` and ``y = s z + m``. The noise is a
    constant to differentiation. In evaluation mode, and in training mode while the attribute ``noise`` is False, the
    layer is BatchNorm.

    A forward pass that ``torch.utils.checkpoint`` recomputes has the same noise again. Noise from torch's global
    generator needs the checkpoint's default ``preserve_rng_state=True``. With a generator of its own, the layer
    recognizes the pass by its input, among the latest 64 (:mod:`normscope.nn.recomputation`), and draws nothing.

    Args:
        num_features: number of channels C.
        generator: source of the noise, from which each forward pass draws its seeds; None is torch's global one.
            Under ``vmap`` and ``torch.compile``, which cannot use a generator, it must be None.
        eps, momentum, gain, bias, track_running_stats, device, dtype: as in :class:`~normscope.nn.BatchNorm`.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, for training on one value per channel, and, with a generator of its
            own, for training during a backward pass on an input that no recent forward pass has had.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        gain: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, gain, bias, track_running_stats, device, dtype)
        self.generator = generator
        self.noise = True
        self._passes: LatestPasses[tuple[int, int]] = LatestPasses("NoisyNorm")

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output from the batch's own moments, with noise in training mode."""
        mean, var, momentum = self._count_batch()
        z = batch_norm(x, mean, var, self.weight, self.bias, True, momentum, self.eps)
        if not (self.training and self.noise):
            return z
        wide = at_least_single(z)
        if not is_eager():
            if self.generator is not None:
                raise InputError("under vmap or torch.compile NoisyNorm's generator must be None.")
            return (_scales(wide, None) * wide + _shifts(wide, None)).to(z.dtype)
        of_scales, of_shifts = self._seeds(x)
        scaled: Tensor = _Scale.apply(wide, of_scales)  # type: ignore[no-untyped-call]
        return (scaled + _shifts(wide, _seeded(wide, of_shifts))).to(z.dtype)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference, without noise."""
        return batch_norm(x, *self._running_moments(), self.weight, self.bias, False, 0.0, self.eps)

    def _seeds(self, x: Tensor) -> tuple[int, int]:
        """The seeds of the scales and the shifts for the input ``x``."""
        if self.generator is not None and is_recomputation():
            return self._passes.recall(x)
        home = None if self.generator is None else self.generator.device
        first, second = torch.randint(2**62, (2,), generator=self.generator, device=home).tolist()
        if self.generator is not None:
            self._passes.keep(x, (first, second))
        return first, second


class _Scale(torch.autograd.Function):
    """``s z``, which is its own derivative.

    The backward pass draws the noise again from the seed of the forward pass, so no noise is kept.
    """

    @staticmethod
    def forward(z: Tensor, seed: int) -> Tensor:
        return _scales(z, _seeded(z, seed)) * z

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.seed = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Scale.apply(grad, ctx.seed), None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, None], z: Tensor, seed: int) -> tuple[Tensor, int]:
        z = z.movedim(in_dims[0], 0)
        return _scales(z[0], _seeded(z, seed)) * z, 0


def _seeded(like: Tensor, seed: int) -> torch.Generator:
    return torch.Generator(like.device).manual_seed(seed)


def _scales(z: Tensor, generator: torch.Generator | None) -> Tensor:
    center = 1.0 + 0.25 * _uniform(z[:1], generator)
    return center + 0.1 * torch.randn(z.shape, dtype=z.dtype, device=z.device, generator=generator)


def _shifts(z: Tensor, generator: torch.Generator | None) -> Tensor:
    center = _uniform(z[:1], generator) - 0.5
    return center + 0.2 * (_uniform(z, generator) - 0.5)


def _uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=generator)
