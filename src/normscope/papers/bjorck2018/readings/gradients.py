"""What Figs. 2, 7, 18 and 19 read from the table: gradients at initialisation by kernel, by channel and by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.gradients import (
    channel_contributions,
    kernel_gradients,
    layer_gradients,
)
from normscope.papers.bjorck2018.layers import NETWORKS, layer_name, layer_number
from normscope.papers.bjorck2018.profiles.initial import DEPTH
from normscope.papers.shared import Samples, side_by_side
from normscope.protocol import CellFunction, NotJudgedError, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

Statistic: TypeAlias = "Callable[[NDArray[Any]], float]"
"""From a matrix of mean |gradients| (output channels, input channels) to one number."""

_RUN = ["norm", "seed"]


def at_papers_depth(function: CellFunction[Any], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a cell function on the two networks of the paper's depth: a layer's number means nothing at another.

    Raises:
        NotJudgedError: when there are none.
    """
    rows = function.rows(table)
    if (rows["depth"] != DEPTH).all():
        depths = ", ".join(str(depth) for depth in sorted(rows["depth"].unique()))
        raise NotJudgedError(
            f"the paper's layers are those of a network of {DEPTH} layers, and this one has {depths}"
        )
    rows = select(rows, depth=DEPTH, place="after")
    return rows[rows["norm"].isin(NETWORKS)]


def kernel_statistic(table: pd.DataFrame, unit: str, measure: str, layer: int) -> Samples:
    """A statistic of the gradients of one convolution's weights, of each network and seed; ``unit`` is its name."""
    rows = at_papers_depth(kernel_gradients, table)
    return Samples.of(unit, select(rows, measure=measure, layer=layer_name(layer)), NETWORKS)


def histogram(table: pd.DataFrame, norm: str, layer: int) -> tuple[NDArray[Any], NDArray[Any], pd.Series]:
    """The edges and counts of a convolution's gradients in the run of the first seed, and the run's statistics."""
    rows = select(at_papers_depth(kernel_gradients, table), norm=norm, layer=layer_name(layer))
    run = select(rows, seed=rows["seed"].min())
    edges, counts = (
        select(run, measure=measure).sort_values("index")["value"].to_numpy()
        for measure in ("bin_edge", "bin_count")
    )
    return edges, counts, run[run["index"].isna()].set_index("measure")["value"]


def pair_gradients(table: pd.DataFrame, norm: str, layer: int) -> dict[int, NDArray[Any]]:
    """By seed: the mean |gradient| of each kernel of a convolution, (output channels, input channels)."""
    rows = at_papers_depth(kernel_gradients, table)
    rows = select(rows, measure="pair_gradient", layer=layer_name(layer), norm=norm)
    return {
        seed: select(rows, seed=seed).pivot(index="channel", columns="index", values="value").to_numpy()
        for seed in rows["seed"].unique()
    }


def of_pairs(table: pd.DataFrame, unit: str, layer: int, statistic: Statistic) -> Samples:
    """A statistic of each network's and seed's matrix of :func:`pair_gradients`; ``unit`` is its name."""
    runs = [
        {"norm": norm, "seed": seed, "value": statistic(matrix)}
        for norm in NETWORKS
        for seed, matrix in pair_gradients(table, norm, layer).items()
    ]
    return Samples.of(unit, pd.DataFrame(runs), NETWORKS)


def variation(numbers: NDArray[Any]) -> float:
    """The coefficient of variation: the standard deviation over the mean; NaN where all numbers are 0."""
    with np.errstate(invalid="ignore"):
        return float(np.std(numbers) / np.mean(numbers))


def variation_of_inputs(matrix: NDArray[Any]) -> float:
    """The coefficient of variation of the means by input channel."""
    return variation(matrix.mean(axis=0))


def variation_of_outputs(matrix: NDArray[Any]) -> float:
    """The coefficient of variation of the means by output channel."""
    return variation(matrix.mean(axis=1))


def singular_shares(matrix: NDArray[Any]) -> NDArray[Any]:
    """Each singular value's share in the sum of all, the nuclear norm, from the largest; NaN where they have none."""
    if not np.isfinite(matrix).all() or not matrix.any():
        return np.full(min(matrix.shape), np.nan)
    values = np.linalg.svd(matrix, compute_uv=False)
    shares: NDArray[Any] = values / values.sum()
    return shares


def first_share(matrix: NDArray[Any]) -> float:
    """The share of the largest singular value in the sum of all."""
    return float(singular_shares(matrix)[0])


def input_channels(table: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Each input channel of a convolution: norm, seed, channel, channel_mean, contribution, gradient.

    ``channel_mean`` is before the ReLU, ``gradient`` the mean |gradient| of the channel's outgoing weights.
    """
    keys = [*_RUN, "channel"]
    gradients = select(
        at_papers_depth(kernel_gradients, table), measure="pair_gradient", layer=layer_name(layer)
    )
    means = gradients.groupby([*_RUN, "index"])["value"].agg(_mean).rename("gradient").reset_index()
    means = means.rename(columns={"index": "channel"})
    rows = select(at_papers_depth(channel_contributions, table), layer=layer_name(layer))
    return side_by_side(rows, ("channel_mean", "contribution"), keys).merge(means, on=keys)


def _mean(numbers: pd.Series) -> float:
    """The mean, NaN where one number is NaN."""
    return float(np.mean(numbers.to_numpy()))


def rank_correlations(channels: pd.DataFrame, norm: str, one: str, other: str) -> dict[int, float]:
    """By seed: Spearman's rank correlation of two columns over the channels of a network; NaN if one is constant."""
    runs = select(channels, norm=norm)[["seed", one, other]]
    found = {}
    for seed in runs["seed"].unique():
        run = select(runs, seed=seed)
        known = bool(run.notna().all(axis=None))
        found[seed] = float(run[one].rank().corr(run[other].rank())) if known else math.nan
    return found


def sizes_by_layer(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """``weight_gradient`` or ``bias_gradient`` of every convolution: norm, seed, number (of the layer), value."""
    rows = select(at_papers_depth(layer_gradients, table), measure=measure)
    return rows[[*_RUN, "value"]].assign(number=rows["layer"].map(layer_number))


def thirds(sizes: pd.DataFrame) -> tuple[Samples, Samples]:
    """The medians over the lower and over the upper third of the convolutions, of each network and seed."""
    last = sizes["number"].max()
    places = {"lower third": sizes["number"] <= last / 3, "upper third": sizes["number"] > 2 * last / 3}
    lower, upper = (
        Samples.of(name, sizes[chosen].groupby(_RUN)["value"].median().reset_index(), NETWORKS)
        for name, chosen in places.items()
    )
    return lower, upper
