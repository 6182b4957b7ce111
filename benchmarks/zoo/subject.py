"""A model ready to be checked: inputs, outputs, and whether an operation left it untouched."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from benchmarks.zoo.architecture import VOCABULARY, Architecture
from normscope.forward_pass import tensors

Inputs = dict[str, Tensor]


class Wrong(Exception):
    """A check failed; the message is the cell's sentence."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """An architecture's model, with parameters and statistics as if trained."""

    architecture: Architecture
    model: nn.Module
    dtype: torch.dtype

    @classmethod
    def of(cls, architecture: Architecture, dtype: torch.dtype = torch.float64) -> Subject:
        """The architecture's model, the same in every run."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = architecture.build()
            for module in model.modules():
                _train(module)
        subject = cls(architecture, model.to(dtype).train(architecture.training), dtype)
        with torch.no_grad():  # transformers' models add hooks of their own in the first run
            outputs(model.eval(), subject.inputs())
        model.train(architecture.training)
        return subject

    def inputs(self, count: int = 4, seed: int = 0) -> Inputs:
        """Keyword arguments for ``count`` examples."""
        generator = torch.Generator().manual_seed(seed)
        made = {}
        for name, shape in self.architecture.shapes.items():
            if name.endswith("ids"):
                made[name] = torch.randint(3, VOCABULARY, (count, *shape), generator=generator)
            else:
                made[name] = torch.randn(count, *shape, generator=generator, dtype=torch.float64).to(
                    self.dtype
                )
        return made


def _train(module: nn.Module) -> None:
    """Weights that keep the power of their inputs; gains, biases and statistics other than 1 and 0."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight)
    elif is_layer(module) and not hasattr(module, "parametrizations"):
        fan_in = module.weight.shape[0] if _is_transposed(module) else module.weight[0].numel()
        nn.init.normal_(module.weight, std=fan_in**-0.5)
    elif is_norm(module):
        centre = (
            0.0 if type(module).__name__.startswith(("Gemma", "Nemotron")) else 1.0
        )  # their gain is 1 + weight
        for name, low, high in (
            ("weight", centre - 0.5, centre + 0.5),
            ("bias", -0.5, 0.5),
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 1.5),
        ):
            if isinstance(tensor := getattr(module, name, None), Tensor):
                nn.init.uniform_(tensor, low, high)


def is_norm(module: nn.Module) -> bool:
    """Whether it is a norm: it has "norm" in its class name, tensors or a shape of its own, and no children."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    sized = bool(own) or hasattr(module, "normalized_shape")
    return "norm" in type(module).__name__.lower() and sized and not list(module.children())


def is_layer(module: nn.Module) -> bool:
    """Whether it is a convolution, a linear layer, or GPT-2's linear layer with a transposed weight."""
    return isinstance(module, nn.Linear | _ConvNd) or _is_transposed(module)


def _is_transposed(module: nn.Module) -> bool:
    return type(module).__name__ == "Conv1D"


def norms(model: nn.Module) -> dict[str, nn.Module]:
    """The norms by name."""
    return {name: module for name, module in model.named_modules() if is_norm(module)}


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers by name."""
    return {name: module for name, module in model.named_modules() if is_layer(module)}


def outputs(model: nn.Module, x: Any) -> list[Tensor]:
    """Every floating-point tensor that the model returns, the logits first; a tuple is the arguments of the call."""
    y = model(**x) if isinstance(x, Mapping) else model(*x) if isinstance(x, tuple) else model(x)
    return [tensor for tensor in tensors(y) if tensor.is_floating_point()]


def silent(model: nn.Module, x: Any, training: bool = False) -> list[Tensor]:
    """The outputs of a copy of the model in the given mode, without gradients."""
    with torch.no_grad():
        return outputs(copy.deepcopy(model).train(training), x)


def distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest relative distance between two lists of tensors; shapes must agree and values be finite."""
    if [y.shape for y in found] != [y.shape for y in wanted]:
        raise Wrong(f"shapes {[tuple(y.shape) for y in found]} instead of {[tuple(y.shape) for y in wanted]}")
    finite(found)
    return max(float((y - z).norm() / z.norm()) for y, z in zip(found, wanted, strict=True))


def close(found: list[Tensor], wanted: list[Tensor], tolerance: float, what: str) -> float:
    """The distance, which must be within the tolerance."""
    off = distance(found, wanted)
    if not off <= tolerance:
        raise Wrong(f"{what}: off by {off:.1e}")
    return off


def finite(values: list[Tensor]) -> None:
    """Refuse values that are not finite."""
    if not all(bool(value.isfinite().all()) for value in values):
        raise Wrong("the output is not finite")


class Untouched:
    """A context that refuses an operation that changed the model: tensors, modes, hooks, modules or outputs."""

    def __init__(self, model: nn.Module, x: Any) -> None:
        self.model, self.x = model, x

    def __enter__(self) -> Untouched:
        self.before = self._print()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            for what, value in self._print().items():
                if not _same(value, self.before[what]):
                    raise Wrong(f"the original's {what} changed")

    def _print(self) -> dict[str, Any]:
        modules = list(self.model.named_modules(remove_duplicate=False))
        return {
            "tensors": {name: tensor.clone() for name, tensor in self.model.state_dict().items()},
            "modules": [(name, id(module)) for name, module in modules],
            "modes": [module.training for _, module in modules],
            "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for _, module in modules],
            "attributes": [set(vars(module)) for _, module in modules],
            "outputs": dict(enumerate(silent(self.model, self.x))),
        }


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(torch.equal(value[key], other[key]) for key in value)
    return bool(value == other)
