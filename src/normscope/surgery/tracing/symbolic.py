"""The graph of a model by symbolic tracing, without an input."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from normscope.generators import generators_kept
from normscope.nn.module_kinds import Layer, is_norm
from normscope.surgery.tracing.graph import Call, Graph
from normscope.surgery.tracing.inputs import guessed_input

# Operations whose output is their input.
_SAME = {"contiguous", "clone", "detach"}


class _Tracer(fx.Tracer):
    """A tracer that does not look inside layers and norms, whoever wrote them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_one_call(m) or super().is_leaf_module(m, module_qualified_name)


def symbolic_graph(model: nn.Module) -> Graph | None:
    """The graph of a model in its current mode; None if symbolic tracing fails, or would skip a hook.

    The numbers of dimensions come from a run on a guessed input; without a guess they are unknown.
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return None
    try:
        with generators_kept(model):
            graph = _Tracer().trace(model)
    except Exception:  # a user's forward may fail on symbols in any way
        return None
    return _graph(model, graph, _dims(model, graph))


class _Dims(fx.Interpreter):
    """Runs the graph and records the number of dimensions of every tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.dims: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.dims[n] = value.ndim
        return value


def _dims(model: nn.Module, graph: fx.Graph) -> dict[fx.Node, int]:
    """The numbers of dimensions in a run on a guessed input; only linear layers leave them in doubt."""
    if not any(isinstance(module, nn.Linear) for module in model.modules()):
        return {}
    run = _Dims(fx.GraphModule(model, graph))
    try:
        x = guessed_input(model)
        with generators_kept(model), torch.no_grad():
            run.run(x)
    except Exception:  # the guess was wrong: the numbers stay unknown
        return {}
    return run.dims


def _graph(model: nn.Module, graph: fx.Graph, dims: dict[fx.Node, int]) -> Graph:
    number = {node: place for place, node in enumerate(graph.nodes)}
    calls = []
    outputs: tuple[int, ...] = ()
    read_outside = set()
    for node in graph.nodes:
        inputs = tuple(number[source] for source in node.all_input_nodes)
        if node.op == "output":
            outputs = inputs
        elif node.op == "get_attr":
            read_outside.add(str(node.target).rpartition(".")[0])
        elif node.op == "call_module":
            module = model.get_submodule(str(node.target))
            layer = str(node.target) if _is_one_call(module) else None
            calls.append(Call(repr(str(node.target)), layer, inputs, (number[node],), _passes(module)))
        elif node.op != "placeholder":
            label = (
                node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
            )
            calls.append(Call(str(label), None, inputs, (number[node],), _is_same(node, str(label))))
    return Graph(
        tuple(calls), outputs, frozenset(read_outside), {number[node]: count for node, count in dims.items()}
    )


def _is_one_call(module: nn.Module) -> bool:
    """Whether the graph shows a module as a layer or a norm."""
    return isinstance(module, Layer) or is_norm(module)


def _passes(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return not module.training or module.p == 0
    return isinstance(module, nn.Identity)


def _is_same(node: fx.Node, label: str) -> bool:
    if label.startswith("dropout"):
        return _argument(node, 2, "training") is False
    return label in _SAME


def _argument(node: fx.Node, place: int, name: str) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)
