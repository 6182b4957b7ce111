"""Histograms of the values of every channel of every layer's output, as a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.probes._moments import _Output, _Outputs, _Sum
from normscope.probes.capture import alone, call, checked_names, unreadable
from normscope.probes.table import Table

COLUMNS = (
    "layer", "kind", "channel", "left", "right", "count", "values", "below", "above", "positive", "negative", "mean",
    "std", "nonfinite", "note",
)  # fmt: skip

_BLOCK = 2**18
"""How many values are binned at a time, if a channel has fewer."""


def histograms(
    model: nn.Module, x: Any, layers: Iterable[str] | None = None, bins: int | Iterable[float] = 50
) -> pd.DataFrame:
    """A histogram of each channel of each layer's output, over batch and positions (Bjorck et al. 2018, Figs. 13, 14).

    The bins of given edges ``e_0 < e_1 < … < e_n`` are ``e_i ≤ v < e_{i+1}``, of which the last includes ``e_n``. If
    the number of bins is given, each layer has bins of equal width from its smallest to its largest finite value, all
    channels alike; the model then runs twice, first for these two values. Outputs are never kept: the memory needed
    beyond the pass is a few times one channel's values. The model runs in the mode it is in; the model, its buffers and
    all random generators are afterwards as before. Compiled code runs as it is written.

    Args:
        model: any module; layers and channels are found as by :func:`normscope.probes.moments`.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of the layers to measure, as in ``model.named_modules()``; a module of any kind may be named. By
            default every convolution, linear layer and norm.
        bins: the edges of the bins, ascending, for all layers; or the number of bins.

    Returns:
        One row per layer, channel and bin, in the order in which the layers first ran, or in that of ``layers``:
        ``layer``, ``kind`` (the class in lower case), ``channel``; ``left`` and ``right``, the bin's edges; ``count``,
        the number of values in it; and of the channel, the same in each of its rows: ``values`` (their number, over
        all calls of a layer that runs more than once), ``below`` and ``above`` (the number of finite values outside all
        bins), ``positive`` and ``negative`` (the shares of values above and below 0), ``mean`` and ``std`` (divided by
        the number of values, in float64), ``nonfinite`` (the number of values that are NaN or infinite; they are in no
        bin, and mean and std are not finite then), and ``note``. A layer that did not run, or whose output is not a
        tensor of real numbers, has one row without numbers, whose note says so.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: ``bins`` is neither a positive whole number nor two or more ascending finite edges; a layer's output
            has fewer dimensions than its channels need; its number of channels changes between calls; or the model
            fails on this input.
    """
    edges = _checked(bins)
    names = None if layers is None else checked_names(layers)

    def read(output: Callable[[str], _Output]) -> _Outputs:
        outputs = _Outputs(model, names, output)
        with alone(model), outputs.watching():
            call(model, x)
        return outputs

    if isinstance(edges, int):
        ranges = {name: one for name, one in read(_Range).found.items() if isinstance(one, _Range)}
        by_layer = {name: one.edges(edges) for name, one in ranges.items()}
        table = read(lambda kind: _Histogram(kind, edges_of=by_layer.__getitem__)).table()
    else:
        table = read(lambda kind: _Histogram(kind, edges_of=lambda name: edges)).table()
    return Table(table, columns=list(COLUMNS))


def _checked(bins: int | Iterable[float]) -> int | Tensor:
    """The number of bins, or their edges (n + 1,)."""
    refusal = InputError(
        f"bins must be a positive whole number or two or more ascending finite edges, not {bins!r}."
    )
    if isinstance(bins, int) and not isinstance(bins, bool):
        if bins < 1:
            raise refusal
        return bins
    try:
        edges = torch.as_tensor(np.asarray(bins, dtype=np.float64))
    except (TypeError, ValueError):
        raise refusal from None
    if edges.ndim != 1 or len(edges) < 2 or not edges.isfinite().all() or not (edges.diff() > 0).all():
        raise refusal
    return edges


@dataclasses.dataclass
class _Range(_Output):
    """The smallest and the largest finite value of a layer's output."""

    low: float = math.inf
    high: float = -math.inf

    def add(self, name: str, values: Tensor, part: tuple[int, ...] = ()) -> None:
        """Take the values (C, count) of one call."""
        for block in _blocks(values) if not unreadable(values) else ():
            if len(finite := block[block.isfinite()]):
                self.low, self.high = min(self.low, finite.min().item()), max(self.high, finite.max().item())

    def edges(self, count: int) -> Tensor:
        """Edges of so many bins of equal width; around a single value they are 1 wide in all."""
        low, high = (self.low, self.high) if self.low <= self.high else (0.0, 1.0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        return torch.from_numpy(np.linspace(low, high, count + 1))


@dataclasses.dataclass
class _Histogram(_Output):
    """The histograms of one layer, in parts if parts of its weight are used by themselves."""

    edges_of: Callable[[str], Tensor] = dataclasses.field(kw_only=True)
    binned: dict[tuple[int, ...], _Binned] = dataclasses.field(default_factory=dict)

    def add(self, name: str, values: Tensor, part: tuple[int, ...] = ()) -> None:
        """Add the values (C, count) of one call."""
        if why := unreadable(values):
            self.why = f"the output is {why}"
            return
        found = _Binned.of(values, self.edges_of(name))
        self.binned[part] = self.binned[part].merged(name, found) if part in self.binned else found

    def table(self, name: str) -> pd.DataFrame:
        """One row per channel and bin, or one without numbers that says why."""
        about = {"layer": name, "kind": self.kind}
        if not self.binned:
            return pd.DataFrame(
                [{**about, "channel": pd.NA, "count": 0, "values": 0, "nonfinite": 0, "note": self.why}]
            )
        tables = [found.table(self.edges_of(name)) for _, found in sorted(self.binned.items())]
        channels = np.cumsum([0, *(int(table["channel"].max()) + 1 for table in tables)])
        shifted = (
            table.assign(channel=table["channel"] + shift)
            for table, shift in zip(tables, channels, strict=False)
        )
        return pd.concat(shifted).assign(**about, note="").astype({"channel": "Int64"})


@dataclasses.dataclass(frozen=True)
class _Binned:
    """For each channel: its sums, the numbers of positive and of negative values, (C,), and of values by bin.

    ``counts`` (C, n + 2) begins with the values below all bins and ends with those above.
    """

    sums: _Sum
    positive: Tensor
    negative: Tensor
    counts: Tensor

    @classmethod
    def of(cls, values: Tensor, edges: Tensor) -> _Binned:
        """The histograms of values (C, count)."""
        found = [cls._of_block(block, edges.to(values.device)) for block in _blocks(values)]
        sums = [one.sums for one in found]
        joined = _Sum(
            values.shape[1],
            *(
                torch.cat([getattr(one, field) for one in sums])
                for field in ("mean", "spread", "squares", "nonfinite")
            ),
        )
        return cls(joined, *(torch.cat([getattr(one, field) for one in found]) for field in _COUNTED))

    @classmethod
    def _of_block(cls, block: Tensor, edges: Tensor) -> _Binned:
        places = torch.bucketize(block, edges, right=True)
        places[block == edges[-1]] = len(edges) - 1
        places += torch.arange(len(block), device=block.device)[:, None] * (len(edges) + 1)
        total = len(block) * (len(edges) + 1)
        counts = torch.bincount(places[block.isfinite()], minlength=total).view(len(block), -1)
        return cls(_Sum.of(block), (block > 0).sum(1), (block < 0).sum(1), counts)

    def merged(self, name: str, other: _Binned) -> _Binned:
        """The histograms of both sets of values."""
        sums = self.sums.merged(name, other.sums)
        return _Binned(sums, *(getattr(self, field) + getattr(other, field) for field in _COUNTED))

    def table(self, edges: Tensor) -> pd.DataFrame:
        """One row per channel and bin."""
        counts, ends = self.counts.numpy(force=True), edges.numpy()
        channels, bins = len(counts), len(ends) - 1
        total = self.sums.count
        by_channel = {
            "channel": np.arange(channels),
            "values": np.full(channels, total),
            "below": counts[:, 0],
            "above": counts[:, -1],
            "positive": (self.positive.double() / total).numpy(force=True),
            "negative": (self.negative.double() / total).numpy(force=True),
            "mean": self.sums.mean.numpy(force=True),
            "std": (self.sums.spread / total).sqrt().numpy(force=True),
            "nonfinite": self.sums.nonfinite.numpy(force=True),
        }
        return pd.DataFrame(
            {
                "left": np.tile(ends[:-1], channels),
                "right": np.tile(ends[1:], channels),
                "count": counts[:, 1:-1].flatten(),
                **{column: np.repeat(values, bins) for column, values in by_channel.items()},
            }
        )


_COUNTED = ("positive", "negative", "counts")


def _blocks(values: Tensor) -> Iterator[Tensor]:
    """Values (C, count) as float64, a few channels at a time."""
    channels = max(1, _BLOCK // max(1, values.shape[1]))
    for start in range(0, len(values), channels):
        yield values[start : start + channels].double().contiguous()
