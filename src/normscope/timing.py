"""Timing side by side: what a thing costs as a ratio to another, in one run, on whatever machine this is.

Absolute times on a shared machine mean little. Here each round times every contender once, in a random order, so that
a slow moment of the machine falls on all; a contender's time is the median over rounds.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from normscope.errors import InputError

SHAPES = ((64, 6, 28, 28), (128, 16, 32, 32), (128, 64, 8, 8), (32, 64, 56, 56))
"""Inputs (N, C, H, W) from LeNet's to a ResNet's, on which norms are timed."""

_FEWEST_ROUNDS = 15


def median_seconds(
    contenders: Mapping[str, Callable[[], object]],
    budget: float,
    at_least: int = _FEWEST_ROUNDS,
    warm_ups: int = 3,
) -> dict[str, float]:
    """Median seconds of each contender, interleaved.

    Args:
        contenders: by name, a function that does the work once.
        budget: seconds to spend.
        at_least: rounds that are made however long they take.
        warm_ups: how often each does its work before, uncounted.
    """
    for work in contenders.values():
        for _ in range(warm_ups):
            work()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    order = random.Random(0)  # what one leaves in the caches falls on every other in turn
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < at_least or time.perf_counter() < end:
        for name in order.sample(list(contenders), len(contenders)):
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
        rounds += 1
    return {name: statistics.median(series) for name, series in seconds.items()}


def norm_ratios(
    norms: Mapping[str, Callable[[int], nn.Module]], shape: Sequence[int], budget: float = 4.0
) -> tuple[dict[str, float], float]:
    """Forward and backward of norms over ``torch.nn.BatchNorm2d``'s, in training mode and float32.

    The input's channels have power below 1 in their first half and above 1 in their second, so that Amplify and
    Suppress of threshold 1 gate half of them.

    Args:
        norms: by name, what makes a norm from its number of channels.
        shape: of the input, (N, C, H, W).
        budget: seconds to spend.

    Returns:
        The ratios by name, and the framework's own median seconds.

    Raises:
        InputError: when a norm does not take the input or gives another shape.
    """
    x, gradient = _inputs(shape)
    layers = {name: make(shape[1]).train() for name, make in norms.items()}
    for name, layer in layers.items():
        _check_fits(name, layer, x)
    layers["nn.BatchNorm2d"] = nn.BatchNorm2d(shape[1])
    seconds = median_seconds(
        {name: _training_pass(layer, x, gradient) for name, layer in layers.items()}, budget
    )
    native = seconds.pop("nn.BatchNorm2d")
    return {name: taken / native for name, taken in seconds.items()}, native


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Give torch so many threads, and the old number back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_memory() -> None:
    """Have glibc keep freed memory, as the sweep's workers do: else page faults decide who is slow."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_mmap_threshold, 2**30)


def _inputs(shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    deviation = torch.full((shape[1], 1, 1), 0.5)
    deviation[shape[1] // 2 :] = 2.0
    x = torch.randn(tuple(shape), generator=generator) * deviation + 0.1
    return x.requires_grad_(), torch.randn(tuple(shape), generator=generator)


def _training_pass(layer: nn.Module, x: Tensor, gradient: Tensor) -> Callable[[], None]:
    def work() -> None:
        x.grad = None
        layer.zero_grad()
        layer(x).backward(gradient)

    return work


def _check_fits(name: str, layer: nn.Module, x: Tensor) -> None:
    try:
        y = layer(x)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{name} does not take an input of shape {tuple(x.shape)}: {error}") from error
    if not isinstance(y, Tensor) or y.shape != x.shape:
        raise InputError(f"{name} does not keep the input's shape {tuple(x.shape)}.")
