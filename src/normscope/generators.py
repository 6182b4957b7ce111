"""Protects the global random generators from code that draws random numbers, and seeds them for such code."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give Python's, NumPy's and torch's global generators a seed, and their old states back afterwards.

    For building a network, for training one that draws from them (dropout), and for a user's loader of data.
    """
    with generators_kept(nn.Identity()):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (a user's code may draw from it)
        torch.manual_seed(seed)
        yield


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
