"""Which modules are layers and which are norms, and which dimension holds their channels: the rules, once.

Surgery exchanges what :func:`norms` finds, and names what :func:`norm_like` finds. Probes measure the output of what
:func:`is_measured` accepts, along the dimension that :func:`channel_dim` returns.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeGuard, cast

from torch import nn

from normscope.errors import InputError
from normscope.nn.channels_last import ChannelsLast, EachPosition
from normscope.nn.plain_attributes import held
from normscope.nn.trials import is_foreign, takes_last

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
Layer = Convolution | Transposed | nn.Linear

_NORMS = nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm
_ATTENDING = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.Transformer,
)
_NAMED = re.compile(r"norm(?!al(?!i[sz])|ous)", re.IGNORECASE)  # nothing normal, abnormal or enormous
_NORM_NAME = re.compile(r"norm(alization)?(\dd)?(act)?(\dd)?$", re.IGNORECASE)
_IMAGE_NAME = re.compile(r"normalizer?$", re.IGNORECASE)  # (x − mean) / std of images, in front of a network
_PARAMETRIZATIONS = "parametrizations"  # where torch.nn.utils.parametrize keeps what computes a tensor
_COMPILED = "_orig_mod"  # where torch.compile keeps the module that it compiles
_WRAPPERS = ("OptimizedModule", "DataParallel", "DistributedDataParallel")


def modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module of a model with its name, each once: the registered ones, then those in plain attributes.

    A plain attribute is a list, tuple, dictionary or set, an object, a bound method or a partial call. The modules in
    it get names such as ``"steps.0"``; their parameters are not among the model's. The wrappers of ``torch.compile``
    and the modules that compute a parametrized tensor are left out; a name is that of the model that is not compiled.
    """
    seen: set[nn.Module] = set()
    looked_at: set[int] = set()
    waiting = [("", model)]
    while waiting:
        prefix, root = waiting.pop(0)
        every = root.named_modules(seen, prefix)
        found = [(plain_name(name), one) for name, one in every if _PARAMETRIZATIONS not in name.split(".")]
        yield from ((name, one) for name, one in found if not is_compiled(one))
        for name, one in found:
            waiting += [(f"{name}.{path}".lstrip("."), inner) for path, inner in held(one, looked_at)]


def plain_name(name: str) -> str:
    """A module's name without the marks of ``torch.compile``: its name in the model that is not compiled."""
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def is_compiled(module: nn.Module) -> bool:
    """Whether the module is what ``torch.compile`` returned for another module."""
    return type(module).__name__ == "OptimizedModule" and _COMPILED in module._modules


def uncompiled(module: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` was given, or the module itself if it is not compiled."""
    inner = module._modules.get(_COMPILED) if is_compiled(module) else None
    return module if inner is None else inner


def sequence_first(model: nn.Module) -> frozenset[nn.Module]:
    """The modules inside the framework's attention and transformer layers that take (sequence, batch, features).

    That is the framework's default (``batch_first=False``).
    """
    found: set[nn.Module] = set()
    for _, module in modules(model):
        if isinstance(module, _ATTENDING):
            inner = (one for one in module.modules() if isinstance(one, nn.MultiheadAttention))
            if (attention := next(inner, None)) is not None and not attention.batch_first:
                found.update(module.modules())
    return frozenset(found)


def layers(model: nn.Module) -> Iterator[tuple[str, Layer]]:
    """Every convolution, transposed convolution and linear layer, with its name; a shared one once."""
    for name, module in modules(model):
        if is_layer(module):
            yield name, module


def norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every norm, with its name; a shared one once, and a :class:`ChannelsLast` as one norm.

    A norm is a batch, group, instance, layer or RMS norm of the framework, a norm of this package, or a look-alike: a
    module without children whose class has "norm" (not "normal") in its name, whose own tensors are vectors, and whose
    attributes or tensors give its number of channels. An image ``Normalize`` module, which has constants only, is not a
    norm. :func:`norm_like` lists the modules that look like norms and are none by this rule.
    """
    seen: set[nn.Module] = set()
    fused = set(_fused(model))
    for name, module in modules(model):
        if module not in seen and module not in fused and is_norm(module):
            seen.update(module.modules())
            yield name, module


def norm_like(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Every module that looks like a norm but is none by the rule of :func:`norms`: its name, itself and the reason."""
    fused = _fused(model)
    for name, module in modules(model):
        if module in fused and (is_norm(module) or _reason(module)):
            yield name, module, f"it is a part of a {type(fused[module]).__name__}, which reads it"
        elif not is_norm(module) and (reason := _reason(module)):
            yield name, module, reason


def _reason(module: nn.Module) -> str:
    """Why a module that looks like a norm is none by the rule of :func:`norms`; empty if it does not look like one."""
    if isinstance(module, Layer | ChannelsLast):
        return ""
    name = type(module).__name__
    if _has_children(module):
        inner = any(is_norm(child) for child in module.modules() if child is not module)
        if isinstance(module, _NORMS) or (_NORM_NAME.search(name) and not inner):
            return "it has modules of its own, which another norm would not have"
        return ""
    if _is_named_norm(module) and _has_more_inputs(cast(Hashable, type(module))):
        return "it takes more than one input"
    return "its number of channels is unknown" if _NORM_NAME.search(name) and not is_norm(module) else ""


def is_norm(module: nn.Module) -> bool:
    """Whether the module is a norm, by the rule of :func:`norms`."""
    return isinstance(module, ChannelsLast) or _channels(module) is not None


def is_layer(module: nn.Module) -> TypeGuard[Layer]:
    """Whether the module is a convolution, a transposed convolution, or linear by :func:`is_linear`."""
    return isinstance(module, Layer) or is_transposed_linear(module)


def is_linear(module: nn.Module) -> bool:
    """Whether the module is a linear layer: the framework's, or a look-alike by :func:`is_transposed_linear`."""
    return isinstance(module, nn.Linear) or is_transposed_linear(module)


def is_transposed_linear(module: nn.Module) -> bool:
    """Whether the module is a linear layer whose weight is (in, out): the ``Conv1D`` of GPT-2 in transformers."""
    # The weight last: of a parametrized layer it is computed, and its computation may draw or count.
    is_named = type(module).__name__ == "Conv1D" and hasattr(module, "nf")
    return is_named and getattr(getattr(module, "weight", None), "ndim", 0) == 2


def is_measured(module: nn.Module) -> bool:
    """Whether the module's output has channels to measure: a layer or a norm.

    This includes every module without children whose class has "norm" in its name. :func:`is_norm` refuses it if its
    number of channels is unknown, but its output shows that number.
    """
    return is_layer(module) or _is_named_norm(module)


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

    A norm over features is a layer or RMS norm of one dimension, unless it says ``data_format="channels_first"``, its
    name marks it as a norm for images (``LayerNorm2d``), or it is one of this package, whose channels are in
    dimension 1. A norm that somebody else has written is tried: it may accept its channels in one dimension only.
    """
    if is_linear(module) or isinstance(module, ChannelsLast):
        return not isinstance(module, EachPosition)
    count = _channels(module) if is_foreign(module) else None
    if count and (last := takes_last(module, count)) is not None:
        return last
    name = type(module).__name__
    over_features = isinstance(module, nn.LayerNorm | nn.RMSNorm) or "LayerNorm" in name or "RMSNorm" in name
    own = type(module).__module__.startswith("normscope.")
    for_images = getattr(module, "data_format", None) == "channels_first" or name.endswith("2d") or own
    return over_features and not for_images and len(getattr(module, "normalized_shape", (1,))) == 1


def spatial_dims(layer: Layer) -> int:
    """The number of spatial dimensions of a layer's input: 0 for a linear layer."""
    return len(layer.kernel_size) if isinstance(layer, Convolution | Transposed) else 0


def sizes(layer: Layer) -> tuple[int, int]:
    """A layer's numbers of input and output channels or features."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if is_transposed_linear(layer):
        return layer.weight.shape[0], layer.weight.shape[1]
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


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside the wrappers of ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``."""
    while type(model).__name__ in _WRAPPERS:
        inner = model._modules.get(_COMPILED) or model._modules.get("module")
        if inner is None:
            break
        model = inner
    return model


def _is_named_norm(module: nn.Module) -> bool:
    named = _NAMED.search(type(module).__name__) is not None and not isinstance(module, Layer)
    return (
        (named or isinstance(module, _NORMS))
        and not _has_children(module)
        and not _is_parametrization(module)
    )


def _has_children(module: nn.Module) -> bool:
    """Whether a module holds others, apart from those that compute its parametrized tensors."""
    return any(child is not None for name, child in module._modules.items() if name != _PARAMETRIZATIONS)


@functools.cache
def _has_more_inputs(kind: Any) -> bool:
    """Whether the forward of a user's norm has more parameters than its input, such as a gate."""
    if kind.__module__.startswith(("torch.", "normscope.")):
        return False
    parameters = list(inspect.signature(kind.forward).parameters.values())[1:]
    return sum(one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters) > 1


def _is_parametrization(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.utils.parametrizations"


def _fused(model: nn.Module) -> Mapping[nn.Module, nn.Module]:
    """The modules inside quantization's fused layers (a convolution that computes its batch norm itself)."""
    outer = [one for _, one in modules(model) if isinstance(one, Layer) and ".ao." in type(one).__module__]
    return {inner: layer for layer in outer for inner in layer.modules() if inner is not layer}


def _channels(module: nn.Module) -> int | None:
    """The number of channels of a norm; None if the module is not a norm."""
    if not _is_named_norm(module) or _has_more_inputs(cast(Hashable, type(module))):
        return None
    shape = getattr(module, "normalized_shape", None)
    if isinstance(shape, tuple) and shape:
        return int(shape[0])
    tensors = _tensors(module)
    if any(tensor.ndim > 1 for tensor in tensors.values()):
        return None
    for attribute in ("num_features", "num_channels"):
        if isinstance(count := getattr(module, attribute, None), int):
            return count
    if _IMAGE_NAME.search(type(module).__name__) or not (
        any(value is not None for value in module._parameters.values())
        or "running_mean" in module._buffers
        or _PARAMETRIZATIONS in module._modules
    ):
        return None
    return next((len(tensor) for tensor in tensors.values() if tensor.ndim == 1), None)


def _tensors(module: nn.Module) -> dict[str, Any]:
    """A module's own parameters and buffers, with the values of its parametrized ones."""
    parametrized = module._modules.get(_PARAMETRIZATIONS)
    names = () if parametrized is None else tuple(parametrized._modules)
    own = {**module._parameters, **module._buffers, **{name: getattr(module, name) for name in names}}
    return {name: tensor for name, tensor in own.items() if tensor is not None}
