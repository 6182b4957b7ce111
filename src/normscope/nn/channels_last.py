"""A norm over dimension 1, applied to the last dimension."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from normscope.nn.arithmetic import HALF


class ChannelsLast(nn.Module):
    """A norm over dimension 1, applied to the last dimension.

    It replaces a layer norm over features, and follows a linear layer, whose features come last. What a norm averages
    over decides what it gets. A norm that normalizes each sample over its channels (:func:`is_over_channels`: layer,
    group and RMS norms) gets every token as a sample of its own, (tokens, C), so that no token sees another. Any other
    norm gets (N, C, ...): a batch norm averages over all tokens of all samples in training, and uses its running
    statistics in evaluation mode; an instance norm averages over the tokens of each sample in both modes.

    Attributes that it lacks come from the norm, since a model may read its norm's ``weight``.

    Args:
        norm: a norm whose channels are in dimension 1.
        sequence_first: an input of three dimensions is (sequence, N, C), as the framework's transformer layers take it
            by default; otherwise the samples come first.

    Shapes: (..., C) in, the same out; contiguous, as the ``view`` that may come next expects it.
    """

    norm: nn.Module

    def __init__(self, norm: nn.Module, sequence_first: bool = False) -> None:
        super().__init__()
        self.norm = norm
        self.sequence_first = sequence_first

    def forward(self, input: Tensor) -> Tensor:
        """Move the channels to dimension 1, normalize, and move them back."""
        x = input.to(self._type(input.dtype))
        y: Tensor
        if x.ndim <= 2 or is_over_channels(self.norm):
            y = self.norm(x.reshape(-1, x.shape[-1])).reshape(x.shape)
        elif self.sequence_first and x.ndim == 3:
            y = self.norm(x.permute(1, 2, 0)).permute(2, 0, 1)
        else:
            y = self.norm(x.movedim(-1, 1)).movedim(1, -1)
        return y.contiguous().to(input.dtype)

    def _type(self, given: torch.dtype) -> torch.dtype:
        """The type in which the norm is computed: of half precision where its parameters are and it takes no wider one.

        A language model in half precision may keep its residuals in single precision (Mamba), which its own RMS norm
        takes, as ours does; torch's batch and group norms do not.
        """
        if isinstance(self.norm, nn.RMSNorm) or getattr(self.norm, "over_channels", False) is True:
            return given
        tensors = itertools.chain(self.norm.parameters(), self.norm.buffers())
        own = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), given)
        return own if own in HALF and given.is_floating_point else given

    def __getattr__(self, name: str) -> Any:
        return attribute_of(self, "norm", name)


class EachPosition(ChannelsLast):
    """A norm over channels, applied to the channels (dimension 1) of each position by itself.

    It replaces a layer norm over the channels of every pixel, such as ConvNeXt's.

    Args:
        norm: a norm that normalizes each sample over its channels.

    Shapes: (N, C, ...) in, the same out.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Move the channels to the last dimension, normalize, and move them back."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


def is_over_channels(norm: nn.Module) -> bool:
    """Whether a norm normalizes each sample over its channels, or each value by itself.

    These are layer norms, RMS norms, group norms with fewer groups than channels, and norms whose class says so by
    ``over_channels = True``.
    """
    if isinstance(norm, nn.GroupNorm):
        return norm.num_groups < norm.num_channels
    return isinstance(norm, nn.LayerNorm | nn.RMSNorm) or getattr(norm, "over_channels", False) is True


def attribute_of(wrapper: nn.Module, inner: str, name: str) -> Any:
    """An attribute of a module that holds another as ``inner``: its own, else the other's.

    Special names such as ``__deepcopy__`` are not taken from the other module: they would make copies of it alone.
    """
    try:
        return nn.Module.__getattr__(wrapper, name)
    except AttributeError:
        other = wrapper.__dict__.get("_modules", {}).get(inner)
        if other is None or name.startswith("__"):
            raise
        return getattr(other, name)
