"""The graph of a model from one observed run, for models that symbolic tracing cannot follow."""

from __future__ import annotations

from typing import Any

from torch import nn

from normscope.errors import InputError
from normscope.forward_pass import run, tensors
from normscope.generators import generators_kept
from normscope.surgery.tracing.graph import Graph
from normscope.surgery.tracing.recording import Recorder, Seen


def observed_graph(model: nn.Module, x: Any, seen: Seen | None = None) -> Graph:
    """The graph of one run of the model on ``x``, in its current mode.

    The run may change the model's buffers, and hooks are added to the model: pass a copy.

    Args:
        model: any module.
        x: its input; a tuple is its arguments, a mapping its keyword arguments.
        seen: called before each call of a norm, with the norm's name, the norm and its input.

    Raises:
        InputError: if the model returns no tensor.
    """
    record = Recorder(model, seen)
    record.add_inputs(tensors(x))
    with generators_kept(model), record.functions, record:
        output = run(model, x)
    outputs = tuple(record.value(tensor) for tensor in tensors(output))
    if not outputs:
        raise InputError(f"{type(model).__name__} returned no tensor, but a {type(output).__name__}.")
    return Graph(
        tuple(record.calls),
        outputs,
        frozenset(record.read_outside),
        record.dims,
        tuple(record.functional_norms),
        record.looks,
        example=x,
    )
