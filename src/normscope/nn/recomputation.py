"""Which forward pass a checkpoint recomputes, for a layer that must do again what it did.

``torch.utils.checkpoint`` calls a module a second time, during the backward pass, and expects the same output. It tells
the module neither that this is a second call nor which first call it belongs to, and many forward passes may lie
between the two. A layer whose output depends on more than its input and torch's global generators therefore keeps what
the output depended on, and finds it again by the input:

- A call during a backward pass is a recomputation (:func:`is_recomputation`).
- A checkpoint's first call runs without gradients (``use_reentrant=True``) or under hooks on saved tensors
  (``use_reentrant=False``). Only these calls are kept, so ordinary training pays nothing.
- The recomputed input agrees with the first one up to rounding: a few of its values tell the passes apart.

Limits: the latest 64 passes of a layer are kept. Of passes with the same input, the latest that has not been recomputed
yet is chosen. A module that runs in training mode inside a backward pass for another purpose, on a new input, is
refused. Compiled code keeps nothing: :func:`first_pass_only` refuses a recomputation of it.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from normscope.errors import InputError

T = TypeVar("T")

_PASSES = 64
_NEAR = 0.05  # two inputs within this share of the largest value may be the same one, computed twice


def is_recomputation() -> bool:
    """Whether a backward pass is running in this thread; only for eager code."""
    running: int = torch._C._current_graph_task_id()
    return running != -1


@dataclasses.dataclass
class _Pass(Generic[T]):
    shape: torch.Size
    values: Tensor
    what: T
    recalled: int = 0


class LatestPasses(Generic[T]):
    """What a layer did in its latest forward passes that may be recomputed; a copy starts without any.

    Args:
        layer: the layer's name in messages.
    """

    def __init__(self, layer: str) -> None:
        self._layer = layer
        self._kept: collections.deque[_Pass[T]] = collections.deque(maxlen=_PASSES)

    def keep(self, x: Tensor, what: T) -> None:
        """Remember ``what`` the layer did for the input ``x``, if this pass may be recomputed."""
        if not torch.is_grad_enabled() or _saved_tensors_have_hooks():
            self._kept.append(_Pass(x.shape, _some_values(x), what))

    def recall(self, x: Tensor) -> T:
        """What the layer did in the forward pass that had the input ``x``.

        Raises:
            InputError: if none of the passes kept had this input.
        """
        values = _some_values(x)
        found: _Pass[T] | None = None
        nearest = (_NEAR, 0)
        for one in reversed(self._kept):  # of equals, the latest is found first
            if one.shape == x.shape:
                distance = float((one.values - values).abs().max() / values.abs().max().clamp(min=1e-30))
                if (distance, one.recalled) < nearest:
                    found, nearest = one, (distance, one.recalled)
        if found is None:
            raise InputError(
                f"{self._layer} ran in training mode during a backward pass, on an input of shape {tuple(x.shape)} "
                f"that none of its latest {_PASSES} checkpointed forward passes had: only a checkpoint's recomputation "
                "of one of these is allowed."
            )
        found.recalled += 1
        return found.what

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._layer,)


@torch.library.custom_op("normscope::first_pass_only", mutates_args=(), schema="(Tensor value) -> Tensor")
def first_pass_only(value: Tensor) -> Tensor:
    """A copy of a value of a schedule, for compiled code; it looks at run time, for the compiler cannot know.

    Raises:
        InputError: if the code is being recomputed.
    """
    if is_recomputation():
        raise InputError(
            "a compiled AlternatingNorm cannot repeat its schedule when a checkpoint recomputes it: compile the layer "
            "or checkpoint it, not both."
        )
    return value.clone()


@first_pass_only.register_fake
def _(value: Tensor) -> Tensor:
    return torch.empty_like(value)


def _some_values(x: Tensor) -> Tensor:
    """At most seven values along each dimension, without NaN and infinity; a copy."""
    few = x.detach()[tuple(slice(None, None, max(1, size // 4)) for size in x.shape)]
    return few.to(torch.float32, copy=True).nan_to_num_(0.0, 1.0, -1.0)


def _saved_tensors_have_hooks() -> bool:
    """Whether hooks on saved tensors are in effect; torch before 2.8 does not say, so they may be."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return top is None or top(True) is not None
