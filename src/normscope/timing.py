"""Interleaved timing: the cost of a computation as a ratio to another's, in one run on one machine.

Absolute times on a shared machine mean little. Here each round times every contender once, in random order, so that a
slow moment of the machine affects all of them. A contender's time is the median over rounds.
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
"""The inputs (N, C, H, W) on which norms are timed, from LeNet's to a ResNet's."""

_FEWEST_ROUNDS = 15


def median_seconds(
    contenders: Mapping[str, Callable[[], object]],
    budget: float,
    at_least: int = _FEWEST_ROUNDS,
    warm_ups: int = 3,
) -> dict[str, float]:
    """Median seconds of each contender, interleaved.

    Args:
        contenders: functions to time, by name.
        budget: seconds to spend.
        at_least: minimum number of rounds, however long they take.
        warm_ups: calls of each contender before the timed ones.
    """
    for work in contenders.values():
        for _ in range(warm_ups):
            work()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    order = random.Random(0)  # each contender finds the caches as every other leaves them
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
    """The time of norms over that of ``torch.nn.BatchNorm2d``: forward and backward, in training mode and float32.

    The first half of the input's channels has power below 1 and the second half above 1, so AmplifyNorm and
    SuppressNorm of threshold 1 each normalize half of them.

    Args:
        norms: callables from a number of channels to a norm, by name.
        shape: shape of the input, (N, C, H, W).
        budget: seconds to spend.

    Returns:
        the ratios by name, and the median seconds of the framework's norm.

    Raises:
        InputError: if a norm does not accept the input or does not keep its shape.
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
    """Let torch use ``count`` threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_memory() -> None:
    """Make glibc keep freed memory, as the workers do: otherwise page faults dominate the timing."""
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
        raise InputError(f"{name} does not accept an input of shape {tuple(x.shape)}: {error}") from error
    if not isinstance(y, Tensor) or y.shape != x.shape:
        raise InputError(f"{name} does not keep the input's shape {tuple(x.shape)}.")
