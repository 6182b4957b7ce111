"""Fig. 21: the mean gradient of one kernel by the class at the output that it comes from.

Without norms the gradients through the class that the network almost always guesses are an order of magnitude larger
than those through any other class.
"""

import pandas as pd

from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.outputs import CLASSES
from normscope.papers.bjorck2018.readings.classes import (
    LAYER,
    by_class,
    compare_favourite,
    favourites,
    list_cells,
)
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, App. L, Fig. 21")
_TIMES_THE_OTHERS = 5


@claim(
    "order-of-magnitude",
    "The dominant class gives gradients that are about one order of magnitude larger than those of the other classes.",
    f"unnormalized, layer {LAYER}: mean |gradient| through the class that most images are put into, at least "
    f"{_TIMES_THE_OTHERS}× the median of the other classes'",
)
def order_of_magnitude(table: pd.DataFrame) -> Judgement:
    return compare_favourite(table, "mean_abs", "mean |gradient|", _TIMES_THE_OTHERS).judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """A panel a network with a bar a class, the first seed."""
    figure, panels = plots.new_figure(2, columns=2)
    for letter, axes, norm in zip("ab", panels, NETWORKS, strict=True):
        sizes = by_class(table, "mean_abs", norm).sort_index().iloc[0]
        favourite = int(favourites(table, norm).sort_index().iloc[0])
        axes.set_ylabel("mean |gradient| of the kernel")
        for number, size in enumerate(sizes):
            own = number == favourite
            color, hatch = (LOOKS[norm].color, "//") if own else ("0.72", "")
            axes.bar(number, size, color=color, hatch=hatch, edgecolor="white")
        axes.set(title=f"({letter}) {NETWORKS[norm]}, layer {LAYER}", xlabel="class at the output")
        axes.set_xticks(range(len(sizes)))
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig21",
    question="How much larger are a kernel's gradients through the class that the network favours?",
    method=(
        "The loss's gradient at the logits is set to 0 but for one class, and propagated down to the kernel; so for "
        "each class in turn. |Gradient| is averaged over the kernel's weights."
    ),
    caption=(
        f"Mean |gradient| over the weights of the kernel of layer {LAYER} at initialisation, through one class at a "
        "time: (a) without norms, (b) with batch normalization, the first seed. Hatched: the class that the network "
        "puts most images into. The vertical scales differ."
    ),
    profiles=CLASSES,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
