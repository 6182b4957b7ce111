"""Fig. 9's arrangements: what is done to the second convolution, and how a run of one starts (§4.3).

The fully connected layer stays as it was drawn; norm, NLMS and noise are on the second convolution only. Everything
else is the recipe of Figs. 6 to 8: both convolutions' weights take the swept rate, their biases and the norm 0.1. For
a seed every arrangement starts from the same weights and sees the same batches and, where there is noise, the same
draws of it.

The paper leaves three things open, and each is run in more than one reading: the power that NLMS divides by is the mean
over a channel's block of the patch, which puts it on batch normalization's scale (eq. 10), or the sum, as eqs. 7 to 9
write it; the ε beside that power; and whether the first convolution takes the swept rate or stays at 0.1.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from normscope.networks import LeNet
    from normscope.papers.shared.training_run import TrainingRun


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """What is done to the second convolution.

    Attributes:
        label: its name in figures and on the scorecard, the paper's where it has one.
        norm: the norm's spec.
        place: where the norm goes.
        normalizer: NLMS's norm, or None for the plain weight gradient.
        power: NLMS's power over a channel's block of the patch.
        eps: NLMS's ε, which is added to that power.
        first_rate: the learning rate of the first convolution's weights; None for the swept rate.
    """

    label: str
    norm: str = "none"
    place: Literal["after", "prior"] = "after"
    normalizer: Literal["l1", "l2"] | None = None
    power: Literal["mean", "sum"] = "mean"
    eps: float = 1e-2
    first_rate: float | None = None


FIXED_RATE = 0.1
"""The rate of everything that does not take the swept rate."""

_PAPERS = {
    "baseline": Arrangement("Baseline"),
    "batch": Arrangement("BatchNorm", norm="batch"),
    "prior": Arrangement("BN_Prior", norm="batch", place="prior"),
    "nlms_l1": Arrangement("NLMS_L1", normalizer="l1"),
    "nlms_l2": Arrangement("NLMS_L2", normalizer="l2"),
}


def _read_as(suffix: str, words: str, names: tuple[str, ...], **changes: Any) -> dict[str, Arrangement]:
    """Arrangements of the paper in another reading: by name, with the reading in name and label."""
    return {
        f"{name}_{suffix}": dataclasses.replace(
            _PAPERS[name], label=f"{_PAPERS[name].label}, {words}", **changes
        )
        for name in names
    }


PAPERS_FIVE = tuple(_PAPERS)
"""Fig. 9's arrangements in the reading that the other claims use: power as mean, ε = 0.01, both at the swept rate."""

NLMS = ("nlms_l1", "nlms_l2")

SUM = _read_as("sum", "sum", NLMS, power="sum")
LARGE_EPS = _read_as("eps", "ε = 1", NLMS, eps=1.0)
FIRST_FIXED = _read_as("first", "conv1 at 0.1", PAPERS_FIVE, first_rate=FIXED_RATE)

ARRANGEMENTS = {**_PAPERS, **SUM, **LARGE_EPS, **FIRST_FIXED}
"""Every arrangement in every reading that is run."""

LABELS = {name: arrangement.label for name, arrangement in ARRANGEMENTS.items()}

PLAIN = ("baseline", "batch", "prior")
"""The arrangements that take plain steps, which §4 compares with NLMS's."""

NOISE_SEED = 1_000_000
"""Added to a run's seed for the seed of its noise."""


def start(config: Any, noise: float = 0.0) -> TrainingRun[LeNet]:
    """An arrangement's run with its seed's weights, and its seed's noise where there is any.

    Args:
        config: a cell's configuration with the fields ``arrangement``, ``rate``, ``fixed_rate``, ``seed``, ``data``,
            ``images`` and ``batch``.
        noise: the noise's standard deviation in units of the local error's.
    """
    import torch

    from normscope.nn import AdaptiveConv2d
    from normscope.papers.chai2020.cells import recipe

    arrangement = ARRANGEMENTS[config.arrangement]
    second = functools.partial(
        AdaptiveConv2d,
        normalizer=arrangement.normalizer,
        power=arrangement.power,
        eps=arrangement.eps,
        error_noise=noise,
        generator=torch.Generator().manual_seed(NOISE_SEED + config.seed) if noise else None,
    )
    where = {"norm": arrangement.norm, "place": arrangement.place, "layers": [2], "conv": {2: second}}
    return recipe.start(config, train_output=False, first_rate=arrangement.first_rate, **where)
