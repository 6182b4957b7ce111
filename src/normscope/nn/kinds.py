"""What a norm is, what a layer is, and which dimension holds their channels: the one home of these rules.

Surgery exchanges what :func:`norms` finds; probes measure the output of what :func:`is_measured` accepts, by the
channels of :func:`channel_dim`.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from normscope.errors import InputError
from normscope.nn.channels_last import ChannelsLast

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
Layer = Convolution | Transposed | nn.Linear


def layers(model: nn.Module) -> Iterator[tuple[str, Layer]]:
    """Every convolution, transposed convolution and linear layer, a shared one once, by its first name."""
    for name, module in model.named_modules():
        if isinstance(module, Layer):
            yield name, module


def norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every norm, a shared one once, by its first name; a :class:`ChannelsLast` is one norm.

    A norm is a batch, group, instance, layer or RMS norm of the framework, one of ours, or a look-alike: a
    module without children whose class has "norm" in its name, whose own tensors are vectors, and which tells
    its number of channels.
    """
    seen: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module not in seen and is_norm(module):
            seen.update(module.modules())
            yield name, module


def is_norm(module: nn.Module) -> bool:
    """Whether :func:`norms` counts the module among the norms."""
    return isinstance(module, ChannelsLast) or _channels(module) is not None


def is_measured(module: nn.Module) -> bool:
    """Whether the output of a module has channels worth measuring: a layer's, or a norm's.

    A module without children whose class has "norm" in its name counts, also where it does not tell its number of
    channels and :func:`is_norm` refuses it: its output does.
    """
    return isinstance(module, Layer) or _is_named_norm(module)


def channel_dim(module: nn.Module, ndim: int) -> int:
    """The dimension of a module's output that holds its channels, for an output of ``ndim`` dimensions.

    Convolutions: the one before the spatial dimensions, with or without a batch. Linear layers and norms over the last
    dimension (:func:`channels_last`): the last. Everything else: dimension 1.
    """
    if isinstance(module, Convolution | Transposed):
        return ndim - 1 - len(module.kernel_size)
    return ndim - 1 if isinstance(module, nn.Linear) or channels_last(module) else 1


def core(norm: nn.Module) -> nn.Module:
    """The norm itself: what a :class:`ChannelsLast` holds, or the module."""
    return norm.norm if isinstance(norm, ChannelsLast) else norm


def channels(name: str, norm: nn.Module) -> int:
    """The number of channels of a norm.

    For a layer norm over several dimensions, such as (C, H, W), it is the first of them.
    """
    count = _channels(core(norm))
    if count is None:
        raise InputError(f"norm {name!r} does not tell its number of channels.")
    return count


def channels_last(norm: nn.Module) -> bool:
    """Whether a norm finds its channels in the last dimension, else in dimension 1.

    Layer and RMS norms of one dimension do, unless they say ``data_format="channels_first"`` or are named
    for images (``LayerNorm2d``).
    """
    if isinstance(norm, ChannelsLast):
        return True
    name = type(norm).__name__
    by_kind = isinstance(norm, nn.LayerNorm | nn.RMSNorm) or "LayerNorm" in name or "RMSNorm" in name
    for_images = getattr(norm, "data_format", None) == "channels_first" or name.endswith("2d")
    return by_kind and not for_images and len(getattr(norm, "normalized_shape", (1,))) == 1


def sizes(layer: Layer) -> tuple[int, int]:
    """A layer's numbers of input and output channels or features."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def _is_named_norm(module: nn.Module) -> bool:
    named = "norm" in type(module).__name__.lower() and not isinstance(module, Layer)
    return named and next(module.children(), None) is None


def _channels(module: nn.Module) -> int | None:
    if not _is_named_norm(module):
        return None
    shape = getattr(module, "normalized_shape", None)
    if isinstance(shape, tuple) and shape:
        return int(shape[0])
    tensors = [t for slots in (module._parameters, module._buffers) for t in slots.values() if t is not None]
    if any(tensor.ndim > 1 for tensor in tensors):
        return None
    for attribute in ("num_features", "num_channels"):
        if isinstance(count := getattr(module, attribute, None), int):
            return count
    return next((len(tensor) for tensor in tensors if tensor.ndim == 1), None)
