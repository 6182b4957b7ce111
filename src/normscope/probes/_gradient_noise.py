"""The noise of stochastic gradients: sampled, and as the spread of single examples' gradients predicts it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from normscope.errors import InputError
from normscope.forward_pass import arguments, module_by_module
from normscope.nn import module_kinds
from normscope.nn.channel_norm import ChannelNorm
from normscope.probes.backward import (
    LossFunction,
    batch_loss,
    differentiable,
    differentiable_pass,
)
from normscope.probes.capture import alone, named, output_of, readable
from normscope.probes.parameter_gradients import gradients_of, watch_none
from normscope.probes.snapshot import untouched
from normscope.probes.table import Table

_BLOCK = 2**24
"""About how many numbers the gradients of a block of examples have; two blocks are held at once, in float64."""

_TOGETHER = 32
"""How many examples are differentiated at once."""

_DRAWN = 2**20
"""How many examples are drawn at once."""

_COMPARED, _TOLERANCE = 8, 1e-3
"""On so many examples, the batch's loss must be the mean of the single losses, to this share of it."""

_Gradients = Callable[[slice], Tensor]
"""From a range of examples to their gradients (examples, parameters), float64."""


def gradient_noise(
    model: nn.Module,
    x: Any,
    y: Any,
    batch_sizes: Iterable[int],
    rates: Iterable[float] = (1.0,),
    draws: int = 1_000,
    *,
    generator: torch.Generator | None = None,
    loss: LossFunction = nn.functional.cross_entropy,
) -> pd.DataFrame:
    """How far a step on a random batch is from the step on all examples, by batch size and learning rate.

    The given examples are the whole data set. With ``∇f_i`` the gradient of example i and ``∇f`` their mean, a batch
    ``B`` is drawn with replacement and (Bjorck et al. 2018, eq. 2)

        ∇_SGD = 1/|B| Σ_{i∈B} ∇f_i,    E‖α∇f − α∇_SGD‖² = α²M/|B|,    M = E‖∇f_i − ∇f‖².

    The left side is the mean over the draws, the right side is computed from the gradients of all examples. Each
    example is differentiated by itself, in the mode that the model is in. The model, its modes and buffers, the
    gradients that its parameters hold and all random generators but ``generator`` are afterwards as before.

    Only products of two examples' gradients are kept, one number for each pair. Where the gradients of all examples do
    not fit into two blocks of 128 MB, they are computed again for each pair of blocks.

    Args:
        model: any module for which an example has a loss of its own: without a norm that uses the moments of its batch,
            and without dropout in training mode.
        x: the inputs; a tuple is passed as the model's arguments and a mapping as its keyword arguments. The first
            dimension of every tensor in it counts the examples.
        y: the targets, whose first dimension counts the examples.
        batch_sizes: the ``|B|``; they may exceed the number of examples.
        rates: the learning rates α.
        draws: how many batches are drawn for each batch size. All rates share them.
        generator: draws the batches, on the CPU; by default a new one with the seed 0.
        loss: the mean over the examples of their losses: one number, from the model's output and ``y``.

    Returns:
        One row per rate and batch size: ``rate``, ``batch_size``, ``noise`` (the mean of the squared distance over the
        draws), ``standard_error`` (of that mean), and ``law`` (α²M/|B|).

    Raises:
        InputError: an example's loss is undefined, since the loss of a batch is not the mean over its examples; the
            tensors of ``x`` and ``y`` do not have the same number of examples; no parameter requires a gradient; a
            batch size or the number of draws is not positive; or the model or the loss fails on an example.
    """
    sizes, alphas = _checked(batch_sizes, rates, draws)
    named(model)
    x = dict(x) if isinstance(x, Mapping) else x
    examples = _Examples(x, y)
    _check_losses(model, examples, loss)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    with differentiable(), module_by_module(), untouched(model):
        products = _products(_differentiator(model, examples, loss), examples.count, _parameter_count(model))
    spread = products.trace().item() / examples.count
    rows = []
    for size in sizes:
        squares = _distances(products, size, draws, generator)
        error = squares.std().item() / math.sqrt(draws) if draws > 1 else math.nan
        rows += [
            (rate, size, rate**2 * squares.mean().item(), rate**2 * error, rate**2 * spread / size)
            for rate in alphas
        ]
    columns = ["rate", "batch_size", "noise", "standard_error", "law"]
    return Table(rows, columns=columns).sort_values("rate", kind="stable", ignore_index=True)


def _checked(
    batch_sizes: Iterable[int], rates: Iterable[float], draws: int
) -> tuple[Sequence[int], Sequence[float]]:
    sizes, alphas = list(batch_sizes), list(rates)
    if not sizes or not all(isinstance(size, int) and size > 0 for size in [*sizes, draws]):
        raise InputError("batch_sizes and draws must be positive whole numbers.")
    if not alphas or not all(isinstance(rate, int | float) and math.isfinite(rate) for rate in alphas):
        raise InputError("rates must be one or more finite numbers.")
    return sizes, alphas


class _Examples:
    """Inputs and targets, of which a range of examples can be taken."""

    def __init__(self, x: Any, y: Any) -> None:
        self.leaves, self.structure = pytree.tree_flatten((x, y))
        shapes = [leaf.shape for leaf in self.leaves if isinstance(leaf, Tensor)]
        if any(isinstance(leaf, Tensor) and leaf.layout != torch.strided for leaf in self.leaves):
            raise InputError(
                "x and y must be dense tensors: of a sparse or nested one no range can be taken."
            )
        counts = {shape[0] if shape else 0 for shape in shapes}
        if len(counts) != 1 or 0 in counts:
            raise InputError(
                "the first dimension of every tensor in x and y must be the number of examples, not the shapes "
                f"{', '.join(str(tuple(shape)) for shape in shapes)}."
            )
        (self.count,) = counts

    def tensors(self, which: slice) -> list[Tensor]:
        """The tensors of a range of examples."""
        return [leaf[which].clone() for leaf in self.leaves if isinstance(leaf, Tensor)]

    def rebuilt(self, tensors: Iterable[Tensor]) -> tuple[Any, Any]:
        """Inputs and targets from their tensors."""
        given = iter(tensors)
        leaves = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in self.leaves]
        x, y = pytree.tree_unflatten(leaves, self.structure)
        return x, y

    def batch(self, which: slice) -> tuple[Any, Any]:
        """Inputs and targets of a range of examples."""
        return self.rebuilt(self.tensors(which))


def _check_losses(model: nn.Module, examples: _Examples, loss: LossFunction) -> None:
    """Refuse a model for which the loss of a batch is not the mean of the losses of its examples."""
    mixing = [name for name, norm in module_kinds.modules(model) if _uses_the_batch(norm)]
    if mixing:
        raise InputError(
            f"{mixing[0]!r} normalizes by the moments of its batch, so that an example has no loss of its own: call "
            "model.eval(), or remove the norms."
        )

    def loss_of(which: slice) -> float:
        x, y = examples.batch(which)
        with alone(model):
            return batch_loss(loss, output_of(model, x), y).item()

    count = min(examples.count, _COMPARED)
    singles = [loss_of(slice(place, place + 1)) for place in range(count)]
    mean, together = math.fsum(singles) / count, loss_of(slice(count))
    size = math.fsum(map(abs, singles)) / count
    if math.isfinite(mean) and not abs(together - mean) <= _TOLERANCE * size:
        raise InputError(
            f"the loss of {count} examples together is {together:.4g} and the mean of their losses is {mean:.4g}: "
            "gradient noise is defined only where the two are equal, with a loss that is a mean, and without dropout "
            "or norms over the batch."
        )


def _uses_the_batch(module: nn.Module) -> bool:
    """Whether a module is a norm that mixes the examples of a batch, in the mode that it is in."""
    is_instance = isinstance(module, nn.modules.instancenorm._InstanceNorm)
    if is_instance or not isinstance(module, nn.modules.batchnorm._NormBase | ChannelNorm):
        return False
    return module.training or module.running_mean is None


def _parameter_count(model: nn.Module) -> int:
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if not count:
        raise InputError("the model has no parameter that requires a gradient.")
    return count


def _differentiator(model: nn.Module, examples: _Examples, loss: LossFunction) -> _Gradients:
    """The function that differentiates examples: many at once where the model can be vectorized, else one by one."""
    together, single = _vectorized(model, examples, loss), _one_by_one(model, examples, loss)
    try:
        together(slice(1))
    except Exception:  # a user's model may branch on values, draw or write in place: it runs by itself then
        return single
    return together


def _vectorized(model: nn.Module, examples: _Examples, loss: LossFunction) -> _Gradients:
    inner = module_kinds.unwrapped(model)
    parameters = {name: one.detach() for name, one in inner.named_parameters() if one.requires_grad}

    def loss_of(parameters: dict[str, Tensor], tensors: list[Tensor]) -> Tensor:
        x, y = examples.rebuilt(tensor[None] for tensor in tensors)
        args, kwargs = arguments(x)
        return batch_loss(loss, torch.func.functional_call(inner, parameters, args, kwargs), y)

    differentiate = torch.func.vmap(torch.func.grad(loss_of), (None, 0))

    def gradients(which: slice) -> Tensor:
        found = differentiate(parameters, examples.tensors(which))
        return torch.cat([found[name].detach().double().flatten(1) for name in parameters], 1)

    return gradients


def _one_by_one(model: nn.Module, examples: _Examples, loss: LossFunction) -> _Gradients:
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradient(place: int) -> Tensor:
        x, y = examples.batch(slice(place, place + 1))
        with differentiable_pass(model, x, y, loss, {}, watch_none) as (_, value):
            found = zip(moving, gradients_of(value, moving), strict=True)
            dense = [
                torch.zeros_like(one) if gradient is None else readable(gradient) for one, gradient in found
            ]
        return torch.cat([one.detach().double().flatten() for one in dense])

    return lambda which: torch.stack([gradient(place) for place in range(which.start or 0, which.stop)])


def _products(gradients: _Gradients, count: int, parameters: int) -> Tensor:
    """The products ``(∇f_i − ∇f)·(∇f_j − ∇f)`` of all examples, (N, N) float64 on the CPU."""
    together = slice(0, count)
    blocks = list(_ranges(together, max(1, _BLOCK // parameters)))

    def block(which: slice) -> Tensor:
        return torch.cat([gradients(part) for part in _ranges(which, _TOGETHER)])

    if len(blocks) == 1:
        every = block(together)
        every -= every.mean(0)
        return (every @ every.T).cpu()
    mean = sum((block(which).sum(0) for which in blocks), start=torch.zeros(())) / count
    products = torch.empty(count, count, dtype=torch.float64)
    for number, rows in enumerate(blocks):
        left = block(rows) - mean
        for columns in blocks[number:]:
            right = left if columns is rows else block(columns) - mean
            found = (left @ right.T).cpu()
            products[rows, columns], products[columns, rows] = found, found.T
    return products


def _ranges(which: slice, size: int) -> Iterator[slice]:
    """A range in pieces of at most ``size``."""
    for start in range(which.start, which.stop, size):
        yield slice(start, min(start + size, which.stop))


def _distances(products: Tensor, size: int, draws: int, generator: torch.Generator) -> Tensor:
    """``‖∇f − ∇_SGD‖²`` of each of ``draws`` batches, from the products of all examples' distances from the mean."""
    found = []
    for which in _ranges(slice(0, draws), max(1, _DRAWN // size)):
        drawn = torch.randint(
            len(products), (which.stop - which.start, size), generator=generator, device="cpu"
        )
        ones = torch.ones(drawn.shape, dtype=torch.float64)
        shares = (
            torch.zeros(len(drawn), len(products), dtype=torch.float64).scatter_add_(1, drawn, ones) / size
        )
        found.append(((shares @ products) * shares).sum(1))
    return torch.cat(found)
