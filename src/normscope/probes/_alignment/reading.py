"""One backward pass in which every layer's input and output gradient are measured as soon as they are there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar, cast

from torch import Tensor, nn

from normscope.nn import module_kinds
from normscope.probes._alignment.call import Call, why_unread
from normscope.probes.backward import LossFunction, differentiable_pass, gradients_at
from normscope.probes.capture import first_tensor

R = TypeVar("R")


@dataclasses.dataclass
class Found(Generic[R]):
    """What a pass found in a layer.

    Attributes:
        runs: how often the layer ran.
        calls: its calls that wait to be measured together.
        result: what was measured; None if nothing was.
        why: why a call or the layer was not measured.
    """

    runs: int = 0
    calls: list[Call] = dataclasses.field(default_factory=list)
    result: R | None = None
    why: str = "the layer did not run"


def read_layers(
    model: nn.Module,
    x: Any,
    y: Any,
    loss: LossFunction,
    layers: Mapping[str, nn.Module],
    measure: Callable[[list[Call]], R],
) -> dict[str, Found[R]]:
    """What ``measure`` finds in each layer's calls in one forward and backward pass.

    A layer that ran once is measured when the gradient reaches it, so that nothing is kept. The calls of a layer that
    ran more than once wait for the end of the pass.

    Returns:
        By name: the layers that ran, in the order in which they first ran, and then the others.
    """
    pass_ = _Pass(layers, module_kinds.sequence_first(model), measure)
    with pass_.counting(), differentiable_pass(model, x, y, loss, layers, pass_.seen) as (_, value):
        pass_.is_forward = False
        gradients_at(value, _leaves(model, layers))
    for found in pass_.found.values():
        if found.calls:
            pass_.finish(found)
    return pass_.found | {name: Found() for name in layers if name not in pass_.found}


class _Pass(Generic[R]):
    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        sequence_first: frozenset[nn.Module],
        measure: Callable[[list[Call]], R],
    ) -> None:
        self.layers, self.sequence_first, self.measure = layers, sequence_first, measure
        self.found: dict[str, Found[R]] = {}
        self.is_forward = True  # later runs are those of checkpoints, whose outputs are not new

    @contextmanager
    def counting(self) -> Iterator[None]:
        """A context in which the runs of each layer are counted."""
        with ExitStack() as hooks:
            for name, layer in self.layers.items():

                def count(_: Any, args: Any, kwargs: Any, name: str = name) -> None:
                    if not self.is_forward:
                        return
                    is_seen = first_tensor(args, kwargs) is not None
                    why = "no gradient reaches its output" if is_seen else "its input is not a tensor"
                    self.found.setdefault(name, Found(why=why)).runs += 1

                hooks.callback(layer.register_forward_pre_hook(count, with_kwargs=True).remove)
            yield

    def seen(self, name: str, layer: nn.Module, x: Tensor | None, gradient: Tensor) -> None:
        """Measure one call, or keep it if the layer ran more than once."""
        found, known = self.found[name], cast(module_kinds.Layer, layer)
        if x is None:
            found.why = "the model wrote into its input after it ran"
            return
        if why := why_unread(known, x, gradient):
            found.why = why
            return
        found.calls.append(Call.of(known, x, gradient, layer in self.sequence_first))
        if found.runs == 1:
            self.finish(found)

    def finish(self, found: Found[R]) -> None:
        """Measure the calls of a layer, which came from the last to the first."""
        calls, found.calls = found.calls[::-1], []
        if len({call.examples for call in calls}) > 1:
            found.why = "its calls have different numbers of examples"
            return
        missing = found.runs - len(calls)
        are = "is" if missing == 1 else "are"
        found.why = f"{missing} of its {found.runs} calls {are} left out: {found.why}" if missing else ""
        found.result = self.measure(calls)


def _leaves(model: nn.Module, layers: Mapping[str, nn.Module]) -> list[Tensor]:
    """Parameters whose gradients make a backward pass reach the output of every layer."""
    own = [[one for one in layer.parameters() if one.requires_grad] for layer in layers.values()]
    every = own if all(own) else [[one for one in model.parameters() if one.requires_grad]]
    return list(dict.fromkeys(one for some in every for one in some))
