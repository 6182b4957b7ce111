"""The cells of §4: Fig. 9's arrangements trained with and without noise, and their steps held against NLMS's.

Set-up (§4.3): the fully connected layer stays as it was drawn; norm, NLMS and noise are on the second convolution
only. All else is the recipe of Figs. 6 to 8: both convolutions' weights take the swept rate, their biases and the norm
0.1. For a seed every arrangement starts from the same weights and sees the same batches and, where there is noise, the
same draws of it. The power that NLMS divides by is the mean over a channel's block of the patch, which puts it on
batch normalization's scale (eq. 10), or the sum, eqs. 7 to 9 as they stand: both are run.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Literal

from normscope.papers.chai2020.noise_profiles import PAPER_NOISE, NoiseProfile, StepProfile
from normscope.papers.chai2020.profiles import validation_seconds
from normscope.protocol import Cell, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

    from normscope.networks import LeNet


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """What is done to the second convolution.

    Attributes:
        label: its name in figures and on the scorecard, the paper's where it has one.
        norm: spec of the norm.
        place: where the norm stands.
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

PLAIN = ("baseline", "batch", "prior")
"""The arrangements that take plain steps, which §4 compares with NLMS's."""

_NOISE_SEED = 1_000_000
_SECONDS_PER_IMAGE = {"plain": 1.4e-4, "noise": 1.6e-4, "nlms": 2.1e-4}
_SECONDS_PER_COMPARISON = 0.03


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
    """The first epoch of such a run without noise, each step held against NLMS's."""

    arrangement: str
    rate: float
    seed: int
    data: str
    images: int
    batch: int = 64
    fixed_rate: float = 0.1


def _datasets(config: NoiseTraining | StepComparison) -> tuple[str, ...]:
    return (config.data,)


def _training_cost(config: NoiseTraining) -> float:
    nlms = ARRANGEMENTS[config.arrangement].normalizer is not None
    per_image = _SECONDS_PER_IMAGE["nlms" if nlms else "noise" if config.noise else "plain"]
    return 0.3 + config.epochs * (config.images * per_image + validation_seconds(config.data))


def _comparison_cost(config: StepComparison) -> float:
    comparisons = len(compared_steps(config.images // config.batch))
    return 0.3 + config.images * _SECONDS_PER_IMAGE["plain"] + comparisons * _SECONDS_PER_COMPARISON


@cell(
    name="normscope.papers.chai2020.noise:train_arrangement", version=1, cost=_training_cost, data=_datasets
)
def train_arrangement(config: NoiseTraining) -> pa.Table:
    """Train and validate after every epoch.

    Rows: ``train_loss`` and ``validation_error`` by epoch; ``diverged`` at the step whose batch loss exceeded 1,000 or
    was not finite, with that loss. Validation is on every test image, in evaluation mode.
    """
    from normscope import training
    from normscope.papers.chai2020 import recipe

    train_split, test_split = recipe.splits(config.data, config.images)
    model = _network(config.arrangement, config.seed, config.noise)
    optimizer = recipe.sgd(model, config.rate, config.fixed_rate, untrained=[model.fc])
    rows = Rows()

    def validate(epoch: int, loss: float) -> None:
        rows.add("train_loss", loss, epoch=epoch)
        rows.add("validation_error", recipe.validation_error(model, test_split), epoch=epoch)

    epochs = recipe.epochs(train_split, config.epochs, config.batch, config.seed)
    divergence = training.train(model, optimizer, epochs, after_epoch=validate)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


@cell(name="normscope.papers.chai2020.noise:compare_steps", version=1, cost=_comparison_cost, data=_datasets)
def compare_steps(config: StepComparison) -> pa.Table:
    """How close each plain step of the second convolution is to NLMS's from the same input and local error.

    Rows, by the number of steps taken before: ``cosine_mean`` and ``cosine_sum``, the cosine similarity between the
    plain weight step ``Σ e·x`` and NLMS_L2's ``Σ e·x/(ε + ‖x‖²)`` in both readings of the power, x the convolution's
    own input; ``length``, the plain step's length over NLMS's (``mean``); ``cosine_raw`` for BN_Prior, where NLMS's x
    is what enters the norm instead; with a norm ``gain_distance`` and ``bias_distance``, the root mean squares over
    channels of γ − 1 and of β. Also ``diverged`` as in :func:`train_arrangement`.
    """
    from normscope import training
    from normscope.papers.chai2020 import recipe
    from normscope.papers.chai2020.steps import StepWatch

    train_split, _ = recipe.splits(config.data, config.images)
    model = _network(config.arrangement, config.seed)
    optimizer = recipe.sgd(model, config.rate, config.fixed_rate, untrained=[model.fc])
    watch = StepWatch(model)
    wanted = set(compared_steps(len(train_split) // config.batch))
    rows = Rows()

    def compare(step: int, loss: float) -> None:
        if step - 1 in wanted:
            for measure, value in watch.compare().items():
                rows.add(measure, value, step=step - 1)

    epochs = recipe.epochs(train_split, 1, config.batch, config.seed)
    divergence = training.train(model, optimizer, epochs, after_step=compare)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


def compared_steps(count: int) -> tuple[int, ...]:
    """Which of an epoch's ``count`` steps are compared, from 0: the first fifty, then ten a doubling, and the last."""
    later = (
        round(50 * 2 ** (tenth / 10)) for tenth in range(10 * math.ceil(math.log2(max(count, 51) / 50)) + 1)
    )
    return tuple(sorted({step for step in (*range(50), *later, count - 1) if 0 <= step < count}))


def noise_cells(profile: NoiseProfile) -> list[Cell]:
    """The training runs of every arrangement, rate, noise and seed; the literal power with no more than noise 1."""
    data, images, epochs = profile.data, profile.images, profile.epochs
    return [
        train_arrangement.cell(NoiseTraining(arrangement, rate, noise, seed, data, images, epochs))
        for arrangement in ARRANGEMENTS
        for rate in profile.rates
        for noise in profile.noises
        for seed in range(profile.seeds)
        if noise <= PAPER_NOISE or ARRANGEMENTS[arrangement].power == "mean"
    ]


def step_cells(profile: StepProfile) -> list[Cell]:
    """The compared steps of every plain arrangement, rate and seed."""
    return [
        compare_steps.cell(StepComparison(arrangement, rate, seed, profile.data, profile.images))
        for arrangement in PLAIN
        for rate in profile.rates
        for seed in range(profile.seeds)
    ]


def _network(name: str, seed: int, noise: float = 0.0) -> LeNet:
    """The arrangement's network with its seed's weights, and its seed's noise where there is any."""
    import torch

    from normscope import networks, training
    from normscope.nn import AdaptiveConv2d
    from normscope.papers.chai2020 import recipe

    arrangement = ARRANGEMENTS[name]
    second = functools.partial(
        AdaptiveConv2d,
        normalizer=arrangement.normalizer,
        power=arrangement.power,
        error_noise=noise,
        generator=torch.Generator().manual_seed(_NOISE_SEED + seed),
    )
    with training.seeded(seed):
        return networks.lenet(
            norm=arrangement.norm, place=arrangement.place, layers=[2], conv={2: second}, image=recipe.IMAGE
        )
