"""Protects the global random generators from code that draws random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def generators_kept(model: nn.Module) -> Iterator[None]:
    """Restore the states of Python's, NumPy's and torch's global generators when the context ends.

    Args:
        model: torch's generators are restored on the CPU and on the GPUs that hold tensors of this model.
    """
    tensors = (*model.parameters(), *model.buffers())
    devices = sorted({tensor.get_device() for tensor in tensors if tensor.is_cuda})
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (a user's model may draw from it)
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
