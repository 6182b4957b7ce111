"""The cells of §4: Fig. 9's arrangements trained with and without noise, and their steps compared with NLMS's.

Set-up (§4.3): the fully connected layer stays as it was drawn; norm, NLMS and noise are on the second convolution
only. Everything else is the recipe of Figs. 6 to 8: both convolutions' weights take the swept rate, their biases and
the norm 0.1. For a seed every arrangement starts from the same weights and sees the same batches and, where there is
noise, the same draws of it. The power that NLMS divides by is the mean over a channel's block of the patch, which puts
it on batch normalization's scale (eq. 10), or the sum, as eqs. 7 to 9 write it: both are run.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Literal

from normscope.papers.chai2020.cells.lenet import training_seconds
from normscope.papers.shared.steps import ever_rarer
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

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
    """

    label: str
    norm: str = "none"
    place: Literal["after", "prior"] = "after"
    normalizer: Literal["l1", "l2"] | None = None
    power: Literal["mean", "sum"] = "mean"


ARRANGEMENTS = {
    "baseline": Arrangement("Baseline"),
    "batch": Arrangement("BatchNorm", norm="batch"),
    "prior": Arrangement("BN_Prior", norm="batch", place="prior"),
    "nlms_l1": Arrangement("NLMS_L1", normalizer="l1"),
    "nlms_l2": Arrangement("NLMS_L2", normalizer="l2"),
    "nlms_l1_sum": Arrangement("NLMS_L1 sum", normalizer="l1", power="sum"),
    "nlms_l2_sum": Arrangement("NLMS_L2 sum", normalizer="l2", power="sum"),
}
"""Fig. 9's arrangements, NLMS in both readings of its power."""

LABELS = {name: arrangement.label for name, arrangement in ARRANGEMENTS.items()}

PLAIN = ("baseline", "batch", "prior")
"""The arrangements that take plain steps, which §4 compares with NLMS's."""

_NOISE_SEED = 1_000_000


@dataclasses.dataclass(frozen=True)
class NoiseTraining:
    """A training run: the arrangement, the rate, the noise in units of the local error's deviation, the seed."""

    arrangement: str
    rate: float
    noise: float
    seed: int
    data: str
    images: int
    epochs: int
    batch: int = 64
    fixed_rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class StepComparison:
    """The first epoch of such a run without noise, each step compared with NLMS's."""

    arrangement: str
    rate: float
    seed: int
    data: str
    images: int
    batch: int = 64
    fixed_rate: float = 0.1


def _training_cost(config: NoiseTraining) -> float:
    nlms = ARRANGEMENTS[config.arrangement].normalizer is not None
    per_image = 2.1e-4 if nlms else 1.6e-4 if config.noise else 1.4e-4
    return training_seconds(config.data, config.images, config.epochs, per_image)


@cell(name="normscope.papers.chai2020.noise:train_arrangement", version=1, cost=_training_cost)
def train_arrangement(config: NoiseTraining) -> pa.Table:
    """Train and validate after every epoch.

    Rows: those of :func:`normscope.training.record`. Validation is on every test image.
    """
    rows = Rows()
    _run(config, config.noise).record(rows, config.epochs, validate=True)
    return rows.table()


@cell(
    name="normscope.papers.chai2020.noise:compare_steps",
    version=1,
    cost=lambda run: 0.3 + 1.4e-4 * run.images + 0.03 * len(compared_steps(run.images // run.batch)),
)
def compare_steps(config: StepComparison) -> pa.Table:
    """How close each plain step of the second convolution is to NLMS's from the same input and local error.

    Rows, by the number of steps taken before: ``cosine_mean`` and ``cosine_sum``, the cosine similarity between the
    plain weight step ``Σ e·x`` and NLMS_L2's ``Σ e·x/(ε + ‖x‖²)`` in both readings of the power, x the convolution's
    own input; ``length``, the plain step's length over NLMS's (``mean``); ``cosine_raw`` for BN_Prior, where NLMS's x
    is what enters the norm instead; with a norm ``gain_distance`` and ``bias_distance``, the root mean squares over
    channels of γ − 1 and of β. Also ``diverged`` as in :func:`train_arrangement`.
    """
    from normscope.papers.chai2020.cells.step_watch import StepWatch

    run = _run(config)
    watch = StepWatch(run.model)
    wanted = set(compared_steps(len(run.images) // config.batch))
    rows = Rows()

    def compare(step: int, loss: float) -> None:
        if step - 1 in wanted:
            for measure, value in watch.compare().items():
                rows.add(measure, value, step=step - 1)

    run.record(rows, 1, after_step=compare)
    return rows.table()


def compared_steps(count: int) -> tuple[int, ...]:
    """Which of an epoch's ``count`` steps are compared, from 0: the first fifty, then ten a doubling, and the last."""
    return ever_rarer(count, dense=50, per_doubling=10)


def _run(config: NoiseTraining | StepComparison, noise: float = 0.0) -> TrainingRun[LeNet]:
    """The arrangement's run with its seed's weights, and its seed's noise where there is any."""
    import torch

    from normscope.nn import AdaptiveConv2d
    from normscope.papers.chai2020.cells import recipe

    arrangement = ARRANGEMENTS[config.arrangement]
    second = functools.partial(
        AdaptiveConv2d,
        normalizer=arrangement.normalizer,
        power=arrangement.power,
        error_noise=noise,
        generator=torch.Generator().manual_seed(_NOISE_SEED + config.seed),
    )
    where = {"norm": arrangement.norm, "place": arrangement.place, "layers": [2], "conv": {2: second}}
    return recipe.start(config, train_output=False, **where)
