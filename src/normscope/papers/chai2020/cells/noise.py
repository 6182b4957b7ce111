"""The cells of Fig. 10: an arrangement trained with noise, and how far noise moves an arrangement that trains quietly.

Set-up and arrangements: :mod:`normscope.papers.chai2020.cells.arrangements`.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

from normscope.data.facts import guess_error
from normscope.papers.chai2020.cells.arrangements import ARRANGEMENTS, FIXED_RATE, NOISE_SEED, start
from normscope.papers.chai2020.cells.lenet import training_seconds
from normscope.protocol import EVERY_DEVICE, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

    from normscope.networks import LeNet
    from normscope.papers.shared.training_run import TrainingRun

_ROUNDING = 1e-12
"""Logits that differ by less from image to image, in units of themselves, are those of a dead network."""

_DRAW_STRIDE = 10_000_000
"""Between the noise seeds of two draws, so that no two of any run and draw are the same."""


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
    fixed_rate: float = FIXED_RATE


@dataclasses.dataclass(frozen=True)
class NoiseAmplification:
    """A quiet training run, and runs of a few steps with noise from some of its states.

    ``states`` are numbers of steps after which noise is tried; the end of the run is always one more. From each state
    ``draws`` draws of the noise are tried at each of the levels ``noises``, over ``span`` steps.
    """

    arrangement: str
    rate: float
    seed: int
    data: str
    images: int
    epochs: int
    states: tuple[int, ...]
    noises: tuple[float, ...]
    draws: int
    span: int = 40
    batch: int = 64
    fixed_rate: float = FIXED_RATE

    def measured_states(self) -> list[int]:
        """The states that the run reaches, in steps; the last is its end."""
        last = self.epochs * (self.images // self.batch)
        return [*(state for state in self.states if state < last), last]


def displacement(noise: float) -> str:
    """The name of the measure D at a noise."""
    return f"displacement at noise {noise:g}"


def rise(noise: float) -> str:
    """The name of the measure R at a noise."""
    return f"rise at noise {noise:g}"


def _per_image(arrangement: str, noise: bool) -> float:
    """Seconds of training for an image."""
    nlms = ARRANGEMENTS[arrangement].normalizer is not None
    return 2.1e-4 if nlms else 1.6e-4 if noise else 1.4e-4


def _training_cost(config: NoiseTraining) -> float:
    per_image = _per_image(config.arrangement, config.noise > 0)
    return training_seconds(config.data, config.images, config.epochs, per_image)


def _amplification_cost(config: NoiseAmplification) -> float:
    images = config.span * config.batch
    branch = training_seconds(config.data, images, 1, _per_image(config.arrangement, noise=True)) - 0.3
    branches = len(config.measured_states()) * (1 + len(config.noises) * config.draws)
    per_image = _per_image(config.arrangement, noise=False)
    return training_seconds(config.data, config.images, config.epochs, per_image) + branches * branch


@cell(
    name="normscope.papers.chai2020.noise:train_arrangement",
    version=1,
    cost=_training_cost,
    devices=lambda run: EVERY_DEVICE,
)
def train_arrangement(config: NoiseTraining) -> pa.Table:
    """Train and validate after every epoch.

    Rows: those of :func:`normscope.training.record`. Validation is on every test image.
    """
    rows = Rows()
    start(config, config.noise).record(rows, config.epochs, validate=True)
    return rows.table()


@cell(name="chai2020.noise_amplification", version=1, cost=_amplification_cost)
def noise_amplification(config: NoiseAmplification) -> pa.Table:
    """Train quietly; from some states go on for a few steps with and without noise, on the same batches.

    With ``z`` the logits of the test images in evaluation mode after the steps without noise, and ``z'`` after the
    same steps with noise,

        D = rms(z' − z) / rms(z − z̄),    R = error' − error,

    where ``z̄`` is the mean of each logit over the images. Either is per draw of the noise. A disturbed run that
    diverges has an infinite D and the error of a guess; so has every run from a state whose quiet steps diverge, or of
    a dead network, whose logits are the same for all images.

    Rows: those of :func:`normscope.training.record` for the quiet run, validated after every epoch on every test image;
    by state (``step``) and draw (``index``) ``displacement at noise …``, D, and ``rise at noise …``, R, a share of all
    images; by state ``quiet_error``, after the steps without noise. States that a diverged run did not reach have none.
    """
    run = start(config)
    rows = Rows()
    states = config.measured_states()

    def disturb(step: int, loss: float) -> None:
        if step in states:
            _measure_amplification(rows, run, config, step)

    run.record(rows, config.epochs, validate=True, after_step=disturb)
    return rows.table()


def _measure_amplification(
    rows: Rows, run: TrainingRun[LeNet], config: NoiseAmplification, step: int
) -> None:
    """Add D and R of every noise and draw from the run's present state; the run is left as it is."""
    batches = run.upcoming_batches(step, config.span)
    labels = run.test_labels()
    quiet = _logits_after(run, batches, config)
    guess = guess_error(run.classes)
    quiet_error, spread = guess, 0.0
    if quiet is not None:
        spread = (quiet - quiet.mean(0)).square().mean().sqrt().item()
        quiet_error = _error(quiet, labels)
    rows.add("quiet_error", quiet_error, step=step)
    for noise, draw in itertools.product(config.noises, range(config.draws)):
        moved, error = math.inf, guess
        if quiet is not None and spread > _ROUNDING * quiet.abs().max().item():
            seed = NOISE_SEED + config.seed + _DRAW_STRIDE * (draw + 1)
            noisy = _logits_after(run, batches, config, noise, seed)
            if noisy is not None:
                moved, error = (noisy - quiet).square().mean().sqrt().item() / spread, _error(noisy, labels)
        rows.add(displacement(noise), moved, step=step, index=draw)
        rows.add(rise(noise), error - quiet_error, step=step, index=draw)


def _logits_after(
    run: TrainingRun[LeNet],
    batches: list[tuple[Tensor, Tensor]],
    config: NoiseAmplification,
    noise: float = 0.0,
    seed: int = 0,
) -> Tensor | None:
    """The test images' logits after a copy of the run's model has trained on the batches; ``None`` if it diverged."""
    import torch

    from normscope import training
    from normscope.nn import AdaptiveConv2d
    from normscope.papers.chai2020.cells import recipe

    model = copy.deepcopy(run.model)
    assert isinstance(model.conv2, AdaptiveConv2d)
    model.conv2.error_noise, model.conv2.generator = noise, torch.Generator().manual_seed(seed)
    first_rate = ARRANGEMENTS[config.arrangement].first_rate
    optimizer = recipe.optimizer(model, config, train_output=False, first_rate=first_rate)
    if training.train(model, optimizer, [batches]) is not None:
        return None
    logits = run.test_logits(model).double()
    return logits if logits.isfinite().all() else None


def _error(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) != labels).double().mean().item()
