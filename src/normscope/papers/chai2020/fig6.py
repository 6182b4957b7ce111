"""Fig. 6: the smallest eigenvalue of the second convolution's input autocorrelation after five steps.

At low learning rates batch normalization raises it, and so does Amplify, which can only raise a channel's power; the
baseline's, and Suppress's, stay small. The smallest eigenvalue bounds the slowest natural mode of the weight update,
``τ = −1/ln|1 − ηMλ_min|``.
"""

import pandas as pd

from normscope.papers.chai2020.cells.lenet import STEPS, VARIANTS, early_spectrum
from normscope.papers.chai2020.profiles import FIG6
from normscope.papers.chai2020.readings import gates
from normscope.papers.chai2020.readings.gates import GATED, report_gate
from normscope.papers.chai2020.readings.lenet import by_variant, early_eigenvalues
from normscope.papers.shared import Findings, Profile, Samples, combinations, draw_lines
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §3.3, Fig. 6")


_LOW = 0.01


def _smallest(table: pd.DataFrame) -> Samples:
    return by_variant("λ_min", early_eigenvalues(table, "lambda_min"), rate=_LOW)


def _equals(table: pd.DataFrame, norm: str) -> Judgement:
    """Whether a gated variant has the smallest eigenvalue of the one that it is while its gate does not act."""
    smallest, other = _smallest(table), GATED[norm]
    found = Findings(smallest.named(other, norm))
    found.compare(smallest.ratio(norm, other, least=0.8, most=1.2))
    report_gate(found, table, norm, _LOW, STEPS)
    return found.judgement()


@claim(
    "amplify-equals-batchnorm",
    "BN_Amplify amplifies the smallest eigenvalue as BatchNorm does, at low learning rates.",
    "at rate 0.01: λ_min of BN_Amplify within 20 % of BatchNorm's",
)
def amplify_equals_batchnorm(table: pd.DataFrame) -> Judgement:
    return _equals(table, "amplify")


@claim(
    "amplified",
    "BatchNorm and BN_Amplify amplify the smallest eigenvalue over Baseline's.",
    "at rate 0.01: λ_min of BatchNorm and of BN_Amplify at least 2× Baseline's",
)
def amplified(table: pd.DataFrame) -> Judgement:
    smallest = _smallest(table)
    found = Findings(smallest.named("none", "batch", "amplify"))
    found.compare(*(smallest.ratio(norm, "none", least=2) for norm in ("batch", "amplify")))
    return found.judgement()


@claim(
    "suppress-stays",
    "BN_Suppress leaves the smallest eigenvalue where Baseline has it.",
    "at rate 0.01: λ_min of BN_Suppress within 20 % of Baseline's",
)
def suppress_stays(table: pd.DataFrame) -> Judgement:
    return _equals(table, "suppress")


def list_cells(profile: Profile) -> list[Cell]:
    """Early spectra of every variant, rate and seed, and the gates at the low rate."""
    spectra = combinations(early_spectrum, profile, norm=VARIANTS, rate=profile.rates)
    return [*spectra, *gates.list_cells(profile, _LOW)]


def draw(table: pd.DataFrame) -> plots.Figure:
    """The smallest eigenvalue by learning rate, a line a variant."""
    figure, (axes,) = plots.new_figure(1)
    plots.log_y(axes, r"$\lambda_{\min}(R)$ after 5 steps  [input power]")
    draw_lines(axes, early_eigenvalues(table, "lambda_min"), "rate", VARIANTS)
    plots.rate_axis(axes, "learning rate η of the convolution weights")
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="chai2020.fig6",
    question=(
        "Does normalizing a convolution's input channels raise the smallest eigenvalue of that input's "
        "autocorrelation, and with it the slowest mode of learning?"
    ),
    method=(
        "LeNets that differ only in what follows each convolution take five steps of SGD from the same weights on the "
        "same batches. After each step the exact autocorrelation of the second convolution's input is taken from one "
        "fixed training batch, in float64."
    ),
    caption=(
        "Smallest eigenvalue of the autocorrelation R of the second convolution's input after 5 training steps: "
        f"{MEDIAN_BAND}. A diverged run counts as an infinite eigenvalue; a median that is infinite is a hollow marker "
        "at the upper edge, and the line stops."
    ),
    profiles=FIG6,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
