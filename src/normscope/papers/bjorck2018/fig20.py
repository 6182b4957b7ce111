"""Fig. 20: the gradients of all weights of one kernel, by the class at the output that they come from.

Without norms one class, which the network almost always guesses, is responsible for most of the gradients.
"""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.outputs import CLASSES
from normscope.papers.bjorck2018.readings.classes import LAYER, compare_favourite, curves, list_cells
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, App. L, Fig. 20")
_TIMES_THE_OTHERS = 5


@claim(
    "one-class",
    "One class, which the network almost always guesses, is responsible for the majority of a kernel's gradients.",
    f"unnormalized, layer {LAYER}: median over all weights of |gradient| through the class that most images are put "
    f"into, at least {_TIMES_THE_OTHERS}× the median of the other classes'",
)
def one_class(table: pd.DataFrame) -> Judgement:
    return compare_favourite(table, "median_abs", "median |gradient|", _TIMES_THE_OTHERS).judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """A panel a network: of each class the sizes of all weights' gradients, sorted."""
    figure, panels = plots.new_figure(2, columns=2)
    for letter, axes, norm in zip("ab", panels, NETWORKS, strict=True):
        plots.log_y(axes, "|gradient| of a weight")
        found, favourite = curves(table, norm)
        labels = iter(["the other classes"] if letter == "a" else [])
        for number, sizes in found.items():
            if number != favourite:
                _draw_sizes(axes, sizes, "0.55", 1.0, next(labels, ""))
        _draw_sizes(axes, found[favourite], LOOKS[norm].color, 2.6, f"favourite class, {NETWORKS[norm]}")
        axes.set(title=f"({letter}) {NETWORKS[norm]}, layer {LAYER}", xlabel="weights, by |gradient|  [%]")
    plots.legend_below(figure, panels)
    return figure


def _draw_sizes(axes: plots.Panel, sizes: np.ndarray, color: str, width: float, label: str) -> None:
    """Sorted sizes against the share of weights that have none larger; 0 cannot be shown on a logarithmic axis."""
    shown, percent = np.where(sizes > 0, sizes, np.nan), np.linspace(0, 100, len(sizes))
    axes.plot(percent, shown, color=color, linewidth=width, label=label or None)


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig20",
    question="Does one class at the output make most of the gradients of all weights of a kernel?",
    method=(
        "The loss's gradient at the logits is set to 0 but for one class, and propagated down to the kernel; so for "
        "each class in turn. The gradients of the ten classes add up to the kernel's gradient."
    ),
    caption=(
        f"|Gradient| of all weights of the kernel of layer {LAYER} at initialisation, sorted, through one class at a "
        "time: (a) without norms, (b) with batch normalization, the first seed. Thick: the class that the network puts "
        "most images into. The vertical scales differ."
    ),
    profiles=CLASSES,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
