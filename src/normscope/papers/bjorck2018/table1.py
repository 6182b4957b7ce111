"""Tables 1 and 4: do the terms of a weight's gradient agree in sign, over images and over positions?

Without norms ``|Σ d|`` is about half of ``Σ|d|``; with batch normalization nearly everything cancels.
"""

import itertools

import pandas as pd

from normscope.papers.bjorck2018.cells.alignment import SUMS, layer_alignment
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.profiles.alignment import TABLE1
from normscope.papers.bjorck2018.readings.alignment import (
    LAYERS,
    WORDS,
    column_ratio,
    four_sums,
    medians,
    one_column,
    published,
)
from normscope.papers.bjorck2018.table1_drawing import draw
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement

claim = Claims("Bjorck et al. 2018, §3.3, Table 1")
_TIMES = {18: 5, 54: 5, 90: 3}
"""How many times larger Σ|d| / |Σ d| is with BN, by layer."""

_AGREE = 10


def _published_ratio(norm: str, number: int) -> float:
    row = published(norm, number)
    return row["abs_terms"] / row["abs_gradient"]


@claim(
    "cancellation",
    "With BN the terms of a gradient cancel: the sum of their absolute values exceeds the absolute value of their sum "
    "far more than without norms.",
    "Σ|d| / |Σ d|, BN over unnormalized: at least 5 at layers 18 and 54, at least 3 at layer 90",
)
def cancellation(table: pd.DataFrame) -> Judgement:
    sums, found = four_sums(table), Findings()
    for number, least in _TIMES.items():
        ratios = column_ratio(sums, number)
        contrast = ratios.ratio("batch", "none", least=least)
        found.compare(contrast)
        found.measure(ratios.named())
        printed = {norm: _published_ratio(norm, number) for norm in NETWORKS}
        found.publish({contrast.name: printed["batch"] / printed["none"]})
        found.publish({f"{ratios.unit} {NETWORKS[norm]}": value for norm, value in printed.items()})
    for number in sorted({*sums["number"]} - {*LAYERS}):
        found.measure(column_ratio(sums, int(number)).named())
    _show_table(sums, found)
    return found.judgement()


def _show_table(sums: pd.DataFrame, found: Findings) -> None:
    """Report the medians over seeds in millionths, and the paper's numbers."""
    ours = medians(sums)
    for norm, number, column in itertools.product(("batch", "none"), LAYERS, SUMS):
        name = f"{WORDS[column]} ×1e6, layer {number}, {NETWORKS[norm]}"
        found.measure({name: ours[column].to_dict()[norm, number]})
        found.publish({name: published(norm, number)[column]})


@claim(
    "agreement",
    "Without norms the terms hardly cancel: the absolute value of the sum and the sum of the absolute values are of "
    "the same size.",
    f"unnormalized, layers 18, 54 and 90: Σ|d| / |Σ d| at most {_AGREE}",
)
def agreement(table: pd.DataFrame) -> Judgement:
    sums, found = four_sums(table), Findings()
    for number in LAYERS:
        ratios = column_ratio(sums, number)
        name = f"{ratios.unit} unnormalized"
        found.compare(contrasts.level(name, ratios["none"], most=_AGREE))
        found.publish({name: _published_ratio("none", number)})
    return found.judgement()


@claim(
    "growth",
    "Without norms the gradients become larger deeper into the network.",
    "unnormalized: |Σ d|, with its factor 1/(B·H·W), at layer 18 < at layer 54 < at layer 90",
)
def growth(table: pd.DataFrame) -> Judgement:
    sums, found = four_sums(table), Findings()
    for low, high in itertools.pairwise(LAYERS):
        name = f"|Σ d| unnormalized, layer {high} / layer {low}"
        values = {number: one_column(sums, number, "none", "abs_gradient") for number in (low, high)}
        found.compare(contrasts.ratio(name, values[high], values[low], least=1.0, strict=True))
        printed = {number: published("none", number)["abs_gradient"] for number in (low, high)}
        found.publish({name: printed[high] / printed[low]})
    return found.judgement()


EXPERIMENT = FixedExperiment(
    id="bjorck2018.table1",
    question="Does the gradient of a weight add up over images and positions, or do its terms cancel?",
    method=(
        "The gradient of a weight is the sum of d = ∂L/∂OUTPUT · INPUT over the images of a batch and the positions of "
        "the kernel, where L is the loss of the whole batch. Absolute values are taken of every term, of each image's "
        "sum, of each position's sum and of the whole sum, are averaged over a convolution's weights and divided by "
        "the number of terms."
    ),
    caption=(
        "Σ|d|, Σ_b|Σ_xy d|, Σ_xy|Σ_b d| and |Σ d| (b: images, xy: positions) at initialisation, averaged over the "
        "weights of a layer and divided by the number of terms: (a) without norms, (b) with batch normalization. Full: "
        "median and quartiles over seeds; hollow: the paper's Table 1. Below, the same numbers in millionths, and the "
        "paper's in brackets, also of the layers before and after. The paper's extended Table 4 is incomplete in the "
        "text that we have."
    ),
    profiles=TABLE1,
    list_cells=lambda profile: combinations(layer_alignment, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
