"""What Figs. 15 and 16 compare: no norm, one norm at the top, norms everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from normscope.papers.bjorck2018.cells.configuration import Place
from normscope.papers.bjorck2018.cells.gradients import layer_gradients
from normscope.papers.bjorck2018.layers import layer_number
from normscope.papers.bjorck2018.readings.training import at_end, by_epoch
from normscope.papers.shared import Samples
from normscope.protocol import NotJudgedError, select

NETWORKS: Mapping[str, tuple[str, Place]] = {
    "none": ("none", "after"),
    "top": ("batch", "top"),
    "batch": ("batch", "after"),
}
"""The three networks: the norm's spec and its place."""

NAMES = {"none": "unnormalized", "top": "BN at the top", "batch": "BN"}


def with_network(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column ``network``: one of :data:`NETWORKS`, from norm and place."""
    return rows.assign(network=rows["norm"].where(rows["place"] == "after", rows["place"]))


def gradients_by_layer(table: pd.DataFrame) -> pd.DataFrame:
    """Mean |gradient| of every convolution's weight at initialisation: a row a seed and layer, a column a network.

    Raises:
        NotJudgedError: when a network has not been measured.
    """
    rows = with_network(select(layer_gradients.rows(table), measure="weight_gradient"))
    if missing := [NAMES[one] for one in NETWORKS if one not in set(rows["network"])]:
        raise NotJudgedError(f"no gradients of {', '.join(missing)}")
    found = rows.assign(number=rows["layer"].map(layer_number))
    return found.pivot(index=["seed", "number"], columns="network", values="value")


def best_errors(table: pd.DataFrame) -> Samples:
    """Each network's final test error at the rate whose median error is lowest.

    Raises:
        NotJudgedError: when a network has no finished run.
    """
    ends = at_end(table, "validation_error")
    chosen = [
        ends[ends["variant"] == best].assign(network=name) for name, best in _best_variants(table).items()
    ]
    return Samples.of("error", pd.concat(chosen), NAMES, "network")


def best_curves(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure by epoch of each network at that rate: columns network, seed, epoch, value."""
    curves = by_epoch(table, measure)
    chosen = [
        curves[curves["variant"] == best].assign(network=one) for one, best in _best_variants(table).items()
    ]
    return pd.concat(chosen)


def _best_variants(table: pd.DataFrame) -> dict[str, str]:
    medians = at_end(table, "validation_error").groupby("variant")["value"].median()
    best = {}
    for name in NETWORKS:
        finished = medians[medians.index.str.startswith(f"{name} ")]
        if not finished.empty:
            best[name] = str(finished.idxmin())
    return best
