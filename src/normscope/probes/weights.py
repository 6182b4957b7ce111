"""The parameters of a model under the names that they have as layers, and the tensors that are made of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from normscope.forward_pass import tensors
from normscope.nn import module_kinds

_PARAMETRIZED = re.compile(r"parametrizations\.(\w+)\.original\d*$")


@dataclasses.dataclass(frozen=True, eq=False)
class Weight:
    """A parameter that a model may use as the weight of a layer without calling one.

    Attributes:
        name: the layer's name: that of the parameter without "weight" at its end. ``in_proj_weight`` of the module
            ``attention`` is the layer ``attention.in_proj``, and the weight of a linear layer ``out`` is ``out``.
        parameter: the parameter.
        owner: the name of the module that holds it.
        kind: that module's class, in lower case.
    """

    name: str
    parameter: Tensor
    owner: str
    kind: str


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a tensor that no data entered was computed from.

    Attributes:
        weight: the parameter; None for a constant.
        offset: where the tensor begins in the parameter, in bytes.
        distinct: the number of its entries that are not repetitions.
    """

    weight: Weight | None = None
    offset: int = 0
    distinct: int = 0

    def of(self, tensor: Tensor) -> Mark:
        """The mark of a tensor that was computed from this one."""
        if self.weight is None:
            return self
        parameter = self.weight.parameter
        offset = tensor.data_ptr() - parameter.data_ptr()
        within = 0 <= offset < parameter.numel() * parameter.element_size()
        return Mark(self.weight, offset if within else self.offset, min(self.distinct, tensor.numel()))


CONSTANT = Mark()


class Marks:
    """The marks of all tensors that are weights or constants; every other tensor is data.

    Args:
        model: the model, whose parameters are weights and whose buffers are constants.
    """

    def __init__(self, model: nn.Module) -> None:
        self._of: MutableMapping[Tensor, Mark] = WeakTensorKeyDictionary()
        for weight in weights_of(model):
            self._of[weight.parameter] = Mark(weight, 0, weight.parameter.numel())
        for buffer in model.buffers():
            self._of[buffer] = CONSTANT

    def get(self, tensor: object) -> Mark | None:
        """The mark of a tensor; None for data."""
        return self._of.get(tensor) if isinstance(tensor, Tensor) else None

    def weight(self, tensor: object) -> Weight | None:
        """The parameter from which a tensor was computed; None for data and constants."""
        mark = self.get(tensor)
        return mark.weight if mark else None

    def follow(self, given: Any, made: Any, layer: bool) -> None:
        """Mark what an operation made of the tensors that it was given.

        Of weights and constants alone, it makes a weight; of constants alone, or of nothing, a constant. The output of
        a layer is data, even if its input is a parameter.
        """
        marks = [self._of.get(tensor) for tensor in tensors(given)]
        found: Mark | None = None
        if not layer and None not in marks:
            found = next((mark for mark in marks if mark is not None and mark.weight is not None), CONSTANT)
        for tensor in tensors(made):
            if found is not None:
                self._of[tensor] = found.of(tensor)
            else:
                self._of.pop(tensor, None)


def weights_of(model: nn.Module) -> Iterator[Weight]:
    """Every parameter of a model, once."""
    registered = {module_kinds.plain_name(name): module for name, module in model.named_modules()}
    modules = registered | dict(module_kinds.modules(model))
    seen: set[Tensor] = set()
    for owner, module in modules.items():
        for key, parameter in module.named_parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                name = _layer_name(f"{owner}.{key}".lstrip("."), owner, modules)
                yield Weight(name, parameter, owner, type(module).__name__.lower())


def weight_names(model: nn.Module) -> Iterator[str]:
    """The names of the layers that a model may have without calling one: of its parameters that are no vectors."""
    for weight in weights_of(model):
        if weight.parameter.ndim > 1:
            yield weight.name


def _layer_name(path: str, owner: str, modules: Mapping[str, nn.Module]) -> str:
    """The name of the layer whose weight is the parameter at ``path``, held by the module ``owner``."""
    path = _PARAMETRIZED.sub(r"\1", path)
    short = path.removesuffix("weight").rstrip("._")
    return short if path.endswith("weight") and (short not in modules or short == owner) else path
