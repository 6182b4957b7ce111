"""Fig. 13: histograms of the activations of some layers without norms, at initialisation.

The deeper the layer, the further the channels' means are from 0: some channels have nearly always the same sign before
the ReLU, so that they are always on or always off.
"""

import pandas as pd

from normscope.papers.bjorck2018.activation_drawing import CAPTION, draw_histograms
from normscope.papers.bjorck2018.cells.activations import activation_histograms
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.profiles.outputs import OUTPUTS
from normscope.papers.bjorck2018.readings.activations import JUDGED, ONE_SIGN, of_one_sign
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement

claim = Claims("Bjorck et al. 2018, App. F and I.1, Fig. 13")
_LAYERS = ", ".join(map(str, JUDGED[:-1])) + f" and {JUDGED[-1]}"


@claim(
    "one-sign",
    "Without norms some channels are essentially always on or always off: before the ReLU they have nearly always the "
    "same sign.",
    f"channels that have one sign, before the ReLU, for at least {ONE_SIGN:.0%} of all positions of the batch: more "
    f"unnormalized than with BN, at layers {_LAYERS}",
)
def one_sign(table: pd.DataFrame) -> Judgement:
    found = Findings()
    for layer in JUDGED:
        shares = of_one_sign(table, layer)
        found.measure(shares.named())
        name = f"channels of one sign, layer {layer}, unnormalized − BN"
        found.compare(contrasts.difference(name, shares["none"], shares["batch"], least=0.0, strict=True))
    return found.judgement()


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig13",
    question="How are the activations of an unnormalized network distributed, and are channels always on or off?",
    method=(
        "One batch is put through networks that start from the same weights. The values of each channel are counted "
        "over images and positions: of a layer's own output, and of its sum with the shortcut, which the ReLU receives."
    ),
    caption=f"Activations of four layers of the network without norms at initialisation, the first seed. {CAPTION}",
    profiles=OUTPUTS,
    list_cells=lambda profile: combinations(activation_histograms, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=lambda table: draw_histograms(table, "none"),
)
