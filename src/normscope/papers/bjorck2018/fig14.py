"""Fig. 14: histograms of the activations of some layers with BN, at initialisation.

The distributions stay unimodal, with means close to 0 in units of their spread, even deep in the network.
"""

import pandas as pd

from normscope.papers.bjorck2018.activation_drawing import CAPTION, draw_histograms
from normscope.papers.bjorck2018.cells.activations import activation_histograms
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.profiles.outputs import OUTPUTS
from normscope.papers.bjorck2018.readings.activations import JUDGED, shifts
from normscope.papers.shared import Findings, combinations
from normscope.protocol import Claims, FixedExperiment, Judgement

claim = Claims("Bjorck et al. 2018, App. F, Fig. 14")
_LAYERS = ", ".join(map(str, JUDGED[:-1])) + f" and {JUDGED[-1]}"
_TIMES_LARGER = 1.3


@claim(
    "means-close-to-zero",
    "With BN the activations have means close to zero, even deep into the network.",
    f"|mean|/std before the ReLU, median over channels: unnormalized at least {_TIMES_LARGER}× BN's, at layers "
    f"{_LAYERS}",
)
def means_close_to_zero(table: pd.DataFrame) -> Judgement:
    found = Findings()
    for layer in JUDGED:
        ratios = shifts(table, layer)
        found.measure(ratios.named())
        found.compare(ratios.ratio("none", "batch", least=_TIMES_LARGER))
    return found.judgement()


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig14",
    question="How are the activations of a network with batch normalization distributed, even deep in the network?",
    method=(
        "One batch is put through networks that start from the same weights. The values of each channel are counted "
        "over images and positions: of a layer's own output after its norm, and of its sum with the shortcut, which "
        "the ReLU receives."
    ),
    caption=f"Activations of four layers of the network with BN at initialisation, the first seed. {CAPTION}",
    profiles=OUTPUTS,
    list_cells=lambda profile: combinations(activation_histograms, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=lambda table: draw_histograms(table, "batch"),
)
