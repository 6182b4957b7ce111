"""Fig. 4: the gradient of each image's loss with respect to each logit, at initialisation.

Without norms the logits are so far apart that the softmax saturates on one class, whatever the image: the gradients are
the same for all images but at their labels. With BN they differ from image to image.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.outputs import logit_gradients
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.outputs import OUTPUTS
from normscope.papers.bjorck2018.readings.outputs import (
    GRADIENT,
    LOGIT,
    favoured_shares,
    first_picture,
    shares,
)
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, §3.2, Fig. 4")
_MOST_BETWEEN, _LEAST_FAVOURED, _TIMES_AS_MUCH, _FEWEST_SEEDS = 0.1, 0.9, 5, 5
_SHARE = "share of the gradients' variance between images,"


def _enough(found: Findings) -> Judgement:
    """The judgement, if there are as many seeds as it needs.

    Raises:
        NotJudgedError: when there are fewer.
    """
    if found.seeds < _FEWEST_SEEDS:
        why = f"{found.seeds} seeds are too few: the share varies so much that {_FEWEST_SEEDS} are needed"
        raise NotJudgedError(why, found.measured, found.seeds)
    return found.judgement()


@claim(
    "independent-of-the-image",
    "Without norms the gradients are almost the same for all images, and one class is favoured whatever the image.",
    "unnormalized: share of the variance that is between images (about the class's mean over images, over the classes "
    f"other than the label, divided by the total) at most {_MOST_BETWEEN}; one class favoured for at least "
    f"{_LEAST_FAVOURED:.0%} of the images",
)
def independent_of_the_image(table: pd.DataFrame) -> Judgement:
    between, favoured = (
        shares(table, _SHARE, GRADIENT),
        favoured_shares(table, "share of images of one class,"),
    )
    found = Findings({**between.named(), **favoured.named()})
    found.compare(
        contrasts.level(f"{_SHARE} unnormalized, mean", between["none"], most=_MOST_BETWEEN),
        contrasts.level(
            "share of images of one class, unnormalized, mean", favoured["none"], least=_LEAST_FAVOURED
        ),
    )
    return _enough(found)


@claim(
    "depends-with-bn",
    "With BN the dependence of the gradients on the image is much larger.",
    f"share of the variance that is between images: BN at least {_TIMES_AS_MUCH}× unnormalized",
)
def depends_with_bn(table: pd.DataFrame) -> Judgement:
    between, logits = shares(table, _SHARE, GRADIENT), shares(table, "the same share of the logits,", LOGIT)
    favoured = favoured_shares(table, "share of images of one class,")
    found = Findings({**between.named(), **logits.named(), **favoured.named()})
    # As a difference, since the share is 0 where the softmax saturates to the last digit.
    name = f"{_SHARE} BN − {_TIMES_AS_MUCH} × unnormalized"
    found.compare(contrasts.difference(name, between["batch"], _TIMES_AS_MUCH * between["none"], least=0.0))
    often = int((favoured["batch"] >= _LEAST_FAVOURED).sum())
    of_all = f"{often} of {len(favoured['batch'])} seeds"
    found.remark(f"BN favours one class for at least {_LEAST_FAVOURED:.0%} of the images in {of_all}")
    return _enough(found)


def draw(table: pd.DataFrame) -> plots.Figure:
    """The gradients of the first seed as pictures, and the shares of all seeds."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    for letter, axes, norm in (("a", left, "none"), ("b", middle, "batch")):
        image = axes.imshow(
            first_picture(table, norm), cmap="cividis", vmin=-1, vmax=1, aspect="auto", interpolation="nearest",
            rasterized=True,
        )  # fmt: skip
        axes.grid(visible=False)
        axes.set(
            title=f"({letter}) {NETWORKS[norm]}", xlabel="class of the logit", ylabel="image, sorted by class"
        )
        plots.whole_numbers(axes.xaxis)
        figure.colorbar(image, ax=axes, shrink=0.9, label="gradient of the image's loss")
    kinds = {"gradients": shares(table, "", GRADIENT), "logits": shares(table, "", LOGIT)}
    for place, (kind, samples) in enumerate(kinds.items()):
        for shift, norm in ((-0.15, "none"), (0.15, "batch")):
            values = samples[norm]
            label = NETWORKS[norm] if kind == "gradients" else ""
            plots.markers(right, [place + shift] * len(values), values, LOOKS[norm], label)
    right.set_xticks(range(len(kinds)), list(kinds))
    right.set(title="(c) variance between images", ylabel="share of the total", xlim=(-0.5, 1.5))
    right.set_ylim(bottom=-0.01)
    plots.legend_below(figure, [right])
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig4",
    question="Do the gradients at the output layer depend on the image, or does one class have them all?",
    method=(
        "One forward pass of one batch through networks that start from the same weights. The cross-entropy of each "
        "image is differentiated by its ten logits, which gives softmax less 1 at the label."
    ),
    caption=(
        "Gradient of each image's loss with respect to each logit at initialisation: (a) without norms, (b) with batch "
        "normalization, the first seed, images sorted by class. (c) The share of the variance that is between images, "
        "over the classes other than the label, of the gradients and of the logits: a marker a seed."
    ),
    profiles=OUTPUTS,
    list_cells=lambda profile: combinations(logit_gradients, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
