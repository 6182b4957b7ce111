"""The graph of a model, however it can be had."""

from __future__ import annotations

from typing import Any

from torch import nn

from normscope.surgery.copies import copied
from normscope.surgery.graph import Graph
from normscope.surgery.running import example
from normscope.surgery.symbolic import symbolic
from normscope.surgery.traced import traced


def follow(model: nn.Module, x: Any = None) -> Graph:
    """The graph of a model in its own mode: of a run on ``x``, or else symbolic, or else of a guessed input.

    The model is not changed; its hooks run.

    Raises:
        InputError: where neither symbolic tracing nor a guessed input leads through the model.
    """
    if x is None and (graph := symbolic(copied(model))) is not None:
        return graph
    return traced(copied(model), example(model) if x is None else x)
