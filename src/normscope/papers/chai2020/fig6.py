"""Fig. 6: the smallest eigenvalue of the second convolution's input autocorrelation after five steps.

At low learning rates batch normalization raises it, and so does Amplify, which can only raise a channel's power; the
baseline's, and Suppress's, stay small. The smallest eigenvalue bounds the slowest natural mode of the weight update,
``τ = −1/ln|1 − ηMλ_min|``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.chai2020.drawing import draw_by_rate, legend_below, new_figure
from normscope.papers.chai2020.lenet import spectrum_cells
from normscope.papers.chai2020.profiles import PROFILES, ChaiProfile
from normscope.papers.chai2020.readings import by_name, early_eigenvalues, seed_count, variant_medians
from normscope.protocol import Cell, FixedExperiment, Judgement, claim

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SOURCE = "Chai et al. 2020, §3.3, Fig. 6"
_RATE = 0.01


def _smallest(table: pd.DataFrame) -> tuple[dict[str, float], int]:
    runs = early_eigenvalues(table, "lambda_min")
    return variant_medians(runs, rate=_RATE), seed_count(runs, rate=_RATE)


@claim(
    "amplify-equals-batchnorm",
    "At low learning rates BN_Amplify amplifies the smallest eigenvalue as BatchNorm does.",
    _SOURCE,
    "at rate 0.01: λ_min of BN_Amplify within 20 % of BatchNorm's",
)
def amplify_equals_batchnorm(table: pd.DataFrame) -> Judgement:
    """Amplify's smallest eigenvalue against BatchNorm's."""
    smallest, seeds = _smallest(table)
    ratio = smallest["amplify"] / smallest["batch"]
    return Judgement(
        {**by_name(smallest, "λ_min"), "BN_Amplify / BatchNorm": ratio}, abs(ratio - 1) <= 0.2, seeds
    )


@claim(
    "amplified",
    "BatchNorm and BN_Amplify amplify the smallest eigenvalue over Baseline's.",
    _SOURCE,
    "at rate 0.01: λ_min of BatchNorm and of BN_Amplify at least 2× Baseline's",
)
def amplified(table: pd.DataFrame) -> Judgement:
    """BatchNorm's and Amplify's smallest eigenvalue against Baseline's."""
    smallest, seeds = _smallest(table)
    ratios = {norm: smallest[norm] / smallest["none"] for norm in ("batch", "amplify")}
    measured = {"BatchNorm / Baseline": ratios["batch"], "BN_Amplify / Baseline": ratios["amplify"]}
    return Judgement(measured, all(ratio >= 2 for ratio in ratios.values()), seeds)


@claim(
    "suppress-stays",
    "BN_Suppress leaves the smallest eigenvalue where Baseline has it.",
    _SOURCE,
    "at rate 0.01: λ_min of BN_Suppress within 20 % of Baseline's",
)
def suppress_stays(table: pd.DataFrame) -> Judgement:
    """Suppress's smallest eigenvalue against Baseline's."""
    smallest, seeds = _smallest(table)
    ratio = smallest["suppress"] / smallest["none"]
    return Judgement({"BN_Suppress / Baseline": ratio}, abs(ratio - 1) <= 0.2, seeds)


CLAIMS = (amplify_equals_batchnorm, amplified, suppress_stays)


def list_cells(profile: ChaiProfile) -> list[Cell]:
    """The early spectra of every variant, rate and seed."""
    return spectrum_cells(profile)


def draw(table: pd.DataFrame) -> Figure:
    """The smallest eigenvalue by learning rate, a line a variant."""
    figure, (axes,) = new_figure(1)
    draw_by_rate(axes, early_eigenvalues(table, "lambda_min"))
    axes.set(yscale="log", ylabel=r"$\lambda_{\min}(R)$ after 5 steps  [input power]")
    legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="chai2020.fig6",
    question=(
        "Does normalizing a convolution's input channels raise the smallest eigenvalue of that input's "
        "autocorrelation, and with it the slowest mode of learning?"
    ),
    method=(
        "LeNets that differ only in what stands after each convolution take five steps of SGD from the "
        "same weights on the same batches. After each step the exact autocorrelation of the second "
        "convolution's input is taken from one fixed training batch, in float64."
    ),
    caption=(
        "Smallest eigenvalue of the autocorrelation R of the second convolution's input after 5 training steps: "
        "median over seeds, with the band from the first to the third quartile. A diverged run counts as an infinite "
        "eigenvalue; a median that is infinite is a hollow marker at the upper edge, and the line stops."
    ),
    profiles=PROFILES,
    list_cells=list_cells,
    rules=CLAIMS,
    draw=draw,
)
