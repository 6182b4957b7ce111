"""Which modules are layers and which are norms, and which dimension holds their channels: the rules, once.

Surgery replaces what :func:`norms` finds. Probes measure the output of what :func:`is_measured` accepts, along the
dimension that :func:`channel_dim` returns.
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
    """Every convolution, transposed convolution and linear layer, with its name; a shared one once."""
    for name, module in model.named_modules():
        if isinstance(module, Layer):
            yield name, module


def norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every norm, with its name; a shared one once, and a :class:`ChannelsLast` as one norm.

    A norm is a batch, group, instance, layer or RMS norm of the framework, a norm of this package, or a look-alike: a
    module without children whose class has "norm" in its name, whose own tensors are vectors, and whose attributes or
    tensors give its number of channels.
    """
    seen: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module not in seen and is_norm(module):
            seen.update(module.modules())
            yield name, module


def is_norm(module: nn.Module) -> bool:
    """Whether the module is a norm, by the rule of :func:`norms`."""
    return isinstance(module, ChannelsLast) or _channels(module) is not None


def is_measured(module: nn.Module) -> bool:
    """Whether the module's output has channels to measure: a layer or a norm.

    This includes every module without children whose class has "norm" in its name. :func:`is_norm` refuses it if its
    number of channels is unknown, but its output shows that number.
    """
    return isinstance(module, Layer) or _is_named_norm(module)


def channel_dim(module: nn.Module, ndim: int) -> int:
    """The dimension that holds the channels of a module's output, which has ``ndim`` dimensions.

    For a convolution, it is the one before the spatial dimensions, with or without a batch. For other modules, it is
    the last if they have :func:`channels_last`, else dimension 1.
    """
    if isinstance(module, Convolution | Transposed):
        return ndim - 1 - spatial_dims(module)
    return ndim - 1 if channels_last(module) else 1


def channels_last(module: nn.Module) -> bool:
    """Whether a module has its channels in the last dimension: linear layers, and norms over features.

    A norm over features is a layer or RMS norm of one dimension, unless it says ``data_format="channels_first"`` or its
    name marks it as a norm for images (``LayerNorm2d``).
    """
    if isinstance(module, nn.Linear | ChannelsLast):
        return True
    name = type(module).__name__
    over_features = isinstance(module, nn.LayerNorm | nn.RMSNorm) or "LayerNorm" in name or "RMSNorm" in name
    for_images = getattr(module, "data_format", None) == "channels_first" or name.endswith("2d")
    return over_features and not for_images and len(getattr(module, "normalized_shape", (1,))) == 1


def spatial_dims(layer: Layer) -> int:
    """The number of spatial dimensions of a layer's input: 0 for a linear layer."""
    return 0 if isinstance(layer, nn.Linear) else len(layer.kernel_size)


def sizes(layer: Layer) -> tuple[int, int]:
    """A layer's numbers of input and output channels or features."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def core(norm: nn.Module) -> nn.Module:
    """The norm inside a :class:`ChannelsLast`, else the norm itself."""
    return norm.norm if isinstance(norm, ChannelsLast) else norm


def channels(name: str, norm: nn.Module) -> int:
    """The number of channels of a norm; of a layer norm over (C, H, W) it is C.

    Raises:
        InputError: naming the norm, if its number of channels is unknown.
    """
    count = _channels(core(norm))
    if count is None:
        raise InputError(f"norm {name!r} has no known number of channels.")
    return count


def _is_named_norm(module: nn.Module) -> bool:
    named = "norm" in type(module).__name__.lower() and not isinstance(module, Layer)
    return named and next(module.children(), None) is None


def _channels(module: nn.Module) -> int | None:
    """The number of channels of a norm; None if the module is not a norm."""
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
