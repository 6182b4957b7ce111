"""The cells of Tables 1 and 4 and Figs. 22 and 23: how far the terms of a weight's gradient agree in sign.

A term of a weight is ``d_{b,m} = ∂L/∂OUT(b, m) · INPUT(b, m)``, for the image b of the batch and the position m.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SUMS = ("abs_terms", "abs_by_example", "abs_by_position", "abs_gradient")
"""``Σ|d|``, ``Σ_b|Σ_m d|``, ``Σ_m|Σ_b d|`` and ``|Σ d|``, divided by the number of terms."""

PICKS = ("largest", "median")
"""Which weight of a layer is looked at: that of the largest ``|Σ d|``, and that of the median one."""

BINS = 61
"""Of a histogram of terms."""


@dataclasses.dataclass(frozen=True)
class LayerAlignment(AtInitialisation):
    """A network at its initialisation, and the paper's numbers of the convolutions to look at."""

    layers: tuple[int, ...] = (17, 18, 19, 53, 54, 55, 89, 90, 91)


@cell(
    name="bjorck2018.layer_alignment",
    version=1,
    cost=lambda run: 0.3 + 0.8 * step_seconds(run.depth, run.batch) + 0.05 * len(run.layers),
)
def layer_alignment(config: LayerAlignment) -> pa.Table:
    """The four sums of absolute values of some convolutions, averaged over their weights.

    Rows, by the name of the convolution: the measures :data:`SUMS`, and ``nonfinite``, the number of its inputs and
    output gradients that are NaN or infinite.
    """
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.papers.bjorck2018.layers import layer_name
    from normscope.probes import gradient_alignment

    start, rows = recipe.start(config), Rows()
    names = [layer_name(number) for number in config.layers]
    for row in gradient_alignment(start.model, start.x, start.y, layers=names).to_dict("records"):
        for measure in (*SUMS, "nonfinite"):
            rows.add(measure, row[measure], layer=row["layer"])
    return rows.table()


@dataclasses.dataclass(frozen=True)
class WeightAlignment(AtInitialisation):
    """A network at its initialisation, and the paper's number of the convolution whose weights are looked at."""

    layer_number: int = 54


def _seconds(run: WeightAlignment) -> float:
    """A forward pass, and a backward pass down to the layer."""
    above = max(0, run.depth - run.layer_number)
    return 0.2 + step_seconds(run.depth, run.batch) / 3 + step_seconds(above, run.batch) * 2 / 3


@cell(name="bjorck2018.weight_alignment", version=1, cost=_seconds)
def weight_alignment(config: WeightAlignment) -> pa.Table:
    """``Σ|d|`` and ``|Σ d|`` of every weight of one convolution.

    Rows, by the name of the convolution and the weight's place in its flattened kernel (``index``): ``abs_terms`` and
    ``abs_gradient``, divided by the number of terms.
    """
    from normscope.papers.bjorck2018.cells import recipe

    rows = Rows()
    by_weight = _by_weight(config, recipe.start(config))
    for measure in ("abs_terms", "abs_gradient"):
        rows.add_each(measure, by_weight[measure], layer=by_weight["layer"].iloc[0])
    return rows.table()


@cell(name="bjorck2018.weight_terms", version=1, cost=lambda run: 2 * _seconds(run))
def weight_terms(config: WeightAlignment) -> pa.Table:
    """The terms of two weights of one convolution, chosen by the size of their gradients among those with any term.

    Rows, by the name of the convolution, each measure preceded by the name of the weight in :data:`PICKS` and "_":
    ``weight``, its place in the flattened kernel; ``alignment``, ``|Σ d| / Σ|d|``; ``mean`` and ``std`` of the terms;
    ``zeros``, the share of the terms that are 0; and their histogram, from minus to plus the largest size of a term:
    ``bin_edge`` and ``bin_count`` by ``index``.
    """
    import numpy as np
    import torch

    from normscope.papers.bjorck2018.cells import recipe
    from normscope.papers.bjorck2018.layers import layer_name
    from normscope.probes import gradient_terms
    from normscope.probes.symmetric_bins import Histogram

    start, rows, layer = recipe.start(config), Rows(), layer_name(config.layer_number)
    picked = _picked(_by_weight(config, start))
    every = gradient_terms(start.model, start.x, start.y, layer, list(picked.values()))
    for place, (pick, weight) in enumerate(picked.items()):
        terms = np.split(every["term"].to_numpy(np.float64), len(picked))[place]
        with np.errstate(invalid="ignore"):
            alignment = abs(terms.sum()) / np.abs(terms).sum()
        numbers = {
            "weight": weight,
            "alignment": alignment,
            "mean": terms.mean(),
            "std": terms.std(),
            "zeros": np.mean(terms == 0),
        }
        for measure, value in numbers.items():
            rows.add(f"{pick}_{measure}", value, layer=layer)
        histogram = Histogram.of(torch.from_numpy(terms), BINS)
        rows.add_each(f"{pick}_bin_edge", histogram.edges.tolist(), layer=layer)
        rows.add_each(f"{pick}_bin_count", histogram.counts.tolist(), layer=layer)
    return rows.table()


def _by_weight(config: WeightAlignment, start: Any) -> pd.DataFrame:
    from normscope.papers.bjorck2018.layers import layer_name
    from normscope.probes import gradient_alignment

    layer = layer_name(config.layer_number)
    return gradient_alignment(start.model, start.x, start.y, layers=layer, weights=True)


def _picked(by_weight: pd.DataFrame) -> dict[str, int]:
    """The weight of each of :data:`PICKS`; the first one of the layer if no weight has a term that is not 0."""
    with_terms = by_weight[by_weight["abs_terms"] != 0]
    order = with_terms.sort_values("abs_gradient", kind="stable")["weight"].tolist() or [0]
    return {"largest": int(order[-1]), "median": int(order[(len(order) - 1) // 2])}
