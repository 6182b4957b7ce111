"""What Figs. 13 and 14 read from the table: the activations of some layers, channel by channel."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.activations import activation_histograms, branch_name, sum_name
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.readings.gradients import at_papers_depth
from normscope.papers.shared import Samples, side_by_side
from normscope.protocol import select

if TYPE_CHECKING:
    from numpy.typing import NDArray

JUDGED = (45, 81, 83)
"""The layers that the claims are on."""

ONE_SIGN = 0.99
"""A channel is of one sign if so large a share of its values is positive, or negative."""

_CHANNEL = ["norm", "seed", "channel"]


def channels(table: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Each channel of the sums before the ReLU after a layer: norm, seed, channel, positive, negative, mean, std."""
    rows = select(at_papers_depth(activation_histograms, table), layer=sum_name(layer))
    return side_by_side(rows, ("positive", "negative", "mean", "std"), _CHANNEL)


def of_one_sign(table: pd.DataFrame, layer: int) -> Samples:
    """The share of channels of one sign before the ReLU, of each network and seed."""
    found = channels(table, layer)
    found["value"] = (found[["positive", "negative"]].max(axis=1) >= ONE_SIGN).astype(float)
    shares = found.groupby(["norm", "seed"])["value"].mean().reset_index()
    return Samples.of(f"channels of one sign, layer {layer},", shares, NETWORKS)


def shifts(table: pd.DataFrame, layer: int) -> Samples:
    """The median over channels of |mean|/std before the ReLU, of each network and seed; NaN where one is NaN."""
    found = channels(table, layer)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["value"] = found["mean"].abs() / found["std"]
    runs = (
        found.groupby(["norm", "seed"])["value"].agg(lambda values: values.median(skipna=False)).reset_index()
    )
    return Samples.of(f"|mean|/std, layer {layer},", runs, NETWORKS)


@dataclasses.dataclass(frozen=True)
class Histogram:
    """One module's output in one run: edges of bins (n + 1,), each channel's shares (C, n), and its mean (C,)."""

    edges: NDArray[Any]
    shares: NDArray[Any]
    means: NDArray[Any]


def first_histograms(table: pd.DataFrame, norm: str, layer: int) -> tuple[Histogram, Histogram]:
    """The histograms of the sums before the ReLU and of the layer's own output, in the run of the first seed."""
    rows = select(at_papers_depth(activation_histograms, table), norm=norm)
    rows = select(rows, seed=rows["seed"].min())
    return _histogram(select(rows, layer=sum_name(layer))), _histogram(select(rows, layer=branch_name(layer)))


def _histogram(rows: pd.DataFrame) -> Histogram:
    edges = select(rows, measure="edge").sort_values("index")["value"].to_numpy()
    counts = select(rows, measure="count").pivot(index="channel", columns="index", values="value").to_numpy()
    means = select(rows, measure="mean").sort_values("channel")["value"].to_numpy()
    return Histogram(edges, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), means)
