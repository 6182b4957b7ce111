"""The calls of a model as a graph: which call made a value, and which calls use it.

:func:`graph_of` chooses the method. :func:`symbolic_graph` needs no input, but fails on control flow that depends on
values or shapes, as in transformers' models. :func:`observed_graph` records one run on an input, given or guessed. Both
return a :class:`Graph`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from normscope.surgery.copies import copied
from normscope.surgery.tracing.graph import Call, Graph, Place
from normscope.surgery.tracing.guessing import guessed_input, leaves_dims_open
from normscope.surgery.tracing.observed import observed_graph
from normscope.surgery.tracing.symbolic import symbolic_graph

__all__ = [
    "Call",
    "Graph",
    "Place",
    "graph_of",
    "guessed_input",
    "leaves_dims_open",
    "observed_graph",
    "symbolic_graph",
]


def graph_of(model: nn.Module, x: Any = None) -> Graph:
    """The graph of a model in its current mode: of a run on ``x`` if given, else symbolic, else on a guessed input.

    The model is not changed; its hooks run.

    Raises:
        InputError: if symbolic tracing fails and no guessed input runs through the model.
    """
    if x is not None:
        return observed_graph(copied(model), x)
    graph = symbolic_graph(model) or observed_graph(copied(model), guessed_input(model))
    return dataclasses.replace(graph, assumed=bool(graph.dims) and leaves_dims_open(model))
