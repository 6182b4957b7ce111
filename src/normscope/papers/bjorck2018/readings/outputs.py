"""What Fig. 4 reads from the table: gradients at the logits, and how much of their variance is between images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.outputs import logit_gradients
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.readings.gradients import at_papers_depth
from normscope.papers.shared import Samples
from normscope.protocol import NotJudgedError, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRADIENT, LOGIT = "gradient", "logit"


def matrices(table: pd.DataFrame, measure: str) -> dict[tuple[str, int], tuple[NDArray[Any], NDArray[Any]]]:
    """By norm and seed: the gradients or the logits (images, classes), and the labels (images,)."""
    rows = at_papers_depth(logit_gradients, table)
    found = {}
    for (norm, seed), run in rows.groupby(["norm", "seed"]):
        values = select(run, measure=measure).pivot(index="index", columns="channel", values="value")
        labels = select(run, measure="label").sort_values("index")["value"]
        found[str(norm), int(str(seed))] = values.to_numpy(), labels.to_numpy(dtype=int)
    return found


def between_images(values: NDArray[Any], labels: NDArray[Any]) -> float:
    """The share of the variance that is between images, over every image's classes other than its label.

    It is the mean square about the class's mean over images, divided by the mean square about the mean of all. NaN
    where all numbers are equal, or one is not finite.
    """
    others = np.arange(values.shape[1]) != labels[:, None]
    if not np.isfinite(values[others]).all():
        return float("nan")
    kept = np.where(others, values, np.nan)
    present = others.any(axis=0)
    within = kept[:, present] - np.nanmean(kept[:, present], axis=0)
    total = np.nanmean(np.square(kept - np.nanmean(kept)))
    return float(np.nanmean(np.square(within)) / total) if total > 0 else float("nan")


def shares(table: pd.DataFrame, unit: str, measure: str) -> Samples:
    """The share of the variance between images, of each network and seed; ``unit`` is its name."""
    return _of_runs(unit, {run: between_images(*found) for run, found in matrices(table, measure).items()})


def favoured_shares(table: pd.DataFrame, unit: str) -> Samples:
    """The share of images that a network puts into its favourite class, of each network and seed."""
    found = {}
    for run, (logits, _) in matrices(table, LOGIT).items():
        known = np.isfinite(logits).all(axis=1)
        guesses = np.bincount(logits[known].argmax(axis=1), minlength=logits.shape[1])
        found[run] = float(guesses.max() / len(logits))
    return _of_runs(unit, found)


def _of_runs(unit: str, found: dict[tuple[str, int], float]) -> Samples:
    runs = pd.DataFrame(
        [{"norm": norm, "seed": seed, "value": value} for (norm, seed), value in found.items()]
    )
    return Samples.of(unit, runs, NETWORKS)


def first_picture(table: pd.DataFrame, norm: str) -> NDArray[Any]:
    """The gradients (images, classes) of the first seed, images sorted by label."""
    found = matrices(table, GRADIENT)
    seeds = [seed for one, seed in found if one == norm]
    if not seeds:
        raise NotJudgedError(f"no finished run of {NETWORKS[norm]}")
    values, labels = found[norm, min(seeds)]
    return values[np.argsort(labels, kind="stable")]
