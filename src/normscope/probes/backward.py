"""One forward and backward pass that leaves no trace, and hooks that read what each layer gets on the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from normscope.errors import InputError, NormscopeError, UnknownNameError
from normscope.forward_pass import module_by_module
from normscope.nn import module_kinds
from normscope.probes.capture import checked_names, copied, first_tensor, named, output_of
from normscope.probes.snapshot import untouched

LossFunction: TypeAlias = Callable[[Any, Any], Tensor]
"""From a model's output and the targets to a number, the loss of the batch."""

Seen: TypeAlias = Callable[[str, nn.Module, Tensor | None, Tensor], None]
"""Called with a layer's name, the layer, its input and the loss's gradient with respect to its output.

The input is ``None`` if the model has written into it since the layer ran.
"""


def weighted_layers(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    """The layers to measure by name: those that are named, in that order, or every convolution and linear layer.

    Raises:
        UnknownNameError: for a name that no module of the model has.
        InputError: when a named module is no convolution and not linear, or ``model`` is no module.
    """
    modules = named(model)
    every: dict[str, nn.Module] = dict(module_kinds.layers(model))
    if layers is None:
        return every
    chosen: dict[str, nn.Module] = {}
    for name in checked_names(layers):
        if name not in modules:
            raise UnknownNameError("layer", name, every)
        if not module_kinds.is_layer(modules[name]):
            raise InputError(
                f"layer {name!r} is a {type(modules[name]).__name__}, which is no convolution and no linear layer."
            )
        chosen[name] = modules[name]
    return chosen


@contextmanager
def differentiable_pass(
    model: nn.Module, x: Any, y: Any, loss: LossFunction, layers: Mapping[str, nn.Module], seen: Seen
) -> Iterator[tuple[Any, Tensor]]:
    """The output of one pass in the mode that the model is in, and its loss, ready for ``torch.autograd.grad``.

    Whenever a gradient is computed inside the context, ``seen`` is called for each call of each layer that it reaches,
    from the last layer to the first; the layer's input is then still in memory. Afterwards the model, its modes and
    buffers, the gradients that its parameters hold and all random generators are as before.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        loss: the loss of the batch.
        layers: the layers to watch, by name; an empty mapping watches none.
        seen: receives each layer's input and the gradient at its output, both detached.

    Raises:
        InputError: the model or the loss fails on this batch, or the loss is no single number.
    """
    with differentiable(), module_by_module(), untouched(model), ExitStack() as hooks:
        for name, layer in layers.items():
            handle = layer.register_forward_hook(_watcher(name, seen), with_kwargs=True)
            hooks.callback(handle.remove)
        output = output_of(model, x)
        yield output, batch_loss(loss, output, copied(y))


@contextmanager
def differentiable() -> Iterator[None]:
    """A context in which gradients can be computed, also inside ``torch.no_grad`` and ``torch.inference_mode``."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def gradients_at(
    value: Tensor, inputs: Sequence[Tensor], slope: Tensor | None = None, *, keep: bool = False
) -> list[Tensor | None]:
    """The gradient of a value with respect to each input; ``None`` where the value does not depend on it.

    Args:
        value: a number; or a tensor, with a ``slope`` of its shape that it is multiplied with.
        inputs: tensors that require a gradient.
        slope: the gradient at the value.
        keep: whether another backward pass follows.

    Raises:
        InputError: the backward pass fails.
    """
    if not inputs or not value.requires_grad:
        return [None] * len(inputs)
    try:
        return list(torch.autograd.grad(value, inputs, slope, retain_graph=keep, allow_unused=True))
    except NormscopeError:
        raise
    except Exception as error:  # a user's own function may raise anything on the way back
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"the gradient of the loss cannot be computed: {reason}") from error


def batch_loss(loss: LossFunction, output: Any, y: Any) -> Tensor:
    """The loss of a batch.

    Raises:
        InputError: the loss fails on this output, or is no single number that can be differentiated.
    """
    try:
        value = loss(output, y)
    except Exception as error:  # a user's loss may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"the loss cannot be computed from the model's output: {reason}") from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InputError(f"the loss must be a tensor of one number, the mean over the batch, not {what}.")
    if value.is_complex() or value.layout != torch.strided:
        what = "complex" if value.is_complex() else "a sparse tensor"
        raise InputError(f"the loss must be a real number in a dense tensor, and is {what}.")
    return value.reshape(())


def _watcher(name: str, seen: Seen) -> Callable[..., None]:
    def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        x = first_tensor(args, kwargs)
        if x is None or not isinstance(output, Tensor) or not output.requires_grad:
            return
        value = x.detach()
        version = _version(value)

        def on_the_way_back(gradient: Tensor | None) -> None:
            if gradient is None:  # behind a function without a derivative, such as a quantized layer
                return
            with torch.no_grad():
                seen(name, layer, value if _version(value) == version else None, gradient.detach())

        output.register_hook(on_the_way_back)  # type: ignore[no-untyped-call]

    return hook


def _version(value: Tensor) -> int:
    """How often a tensor's memory was written into."""
    return 0 if value.is_inference() else value._version
