"""The cells that Figs. 6, 7 and 8 share: training the LeNet, and its input spectra during the first five steps.

Set-up (the paper's Table 1 and §3.3): MNIST digits zero-padded to 32×32, plain SGD on cross-entropy. Only the
convolution weights take the swept learning rate; norm parameters, convolution biases and the fully connected layer
stay at 0.1. For a seed, every variant starts from the same weights and sees the same batches. What the paper leaves
open is fixed here: batches of 64, the last partial one dropped, the framework's default initialisation, black padding
before standardisation.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.papers.chai2020.profiles import ChaiProfile, validation_seconds
from normscope.protocol import Cell, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    import torch
    from torch import nn

VARIANTS = {"none": "Baseline", "batch": "BatchNorm", "amplify": "BN_Amplify", "suppress": "BN_Suppress"}
"""Norm specs and the paper's names for them."""

STEPS = 5
"""After how many steps Figs. 6 and 8 read the spectrum."""

SPECTRUM_LAYER = "conv2"
"""Whose input the paper's eigenvalues are of."""

_SECONDS_PER_IMAGE = 1.4e-4


@dataclasses.dataclass(frozen=True)
class LeNetTraining:
    """A training run: the variant and rate, the seed of weights and batches, the data, the length."""

    norm: str
    rate: float
    seed: int
    data: str
    images: int
    epochs: int
    batch: int = 64
    fixed_rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class EarlySpectrum:
    """The first steps of the same run, for the spectra of the convolutions' inputs."""

    norm: str
    rate: float
    seed: int
    data: str
    images: int
    steps: int = STEPS
    batch: int = 64
    fixed_rate: float = 0.1


def _datasets(config: LeNetTraining | EarlySpectrum) -> tuple[str, ...]:
    return (config.data,)


def _training_cost(config: LeNetTraining) -> float:
    return 0.3 + config.epochs * (config.images * _SECONDS_PER_IMAGE + validation_seconds(config.data))


def _spectrum_cost(config: EarlySpectrum) -> float:
    return 0.1 * config.steps


@cell(name="normscope.papers.chai2020.lenet:train_lenet", version=1, cost=_training_cost, data=_datasets)
def train_lenet(config: LeNetTraining) -> pa.Table:
    """Train and validate after every epoch.

    Rows: ``train_loss`` and ``validation_error`` by epoch; ``diverged`` at the step whose batch loss exceeded 1,000 or
    was not finite, with that loss. Validation is on every test image, in evaluation mode.
    """
    from normscope import training
    from normscope.papers.chai2020 import recipe

    train_split, test_split = recipe.splits(config.data, config.images)
    model, optimizer = _start(config)
    rows = Rows()

    def validate(epoch: int, loss: float) -> None:
        rows.add("train_loss", loss, epoch=epoch)
        rows.add("validation_error", recipe.validation_error(model, test_split), epoch=epoch)

    epochs = recipe.epochs(train_split, config.epochs, config.batch, config.seed)
    divergence = training.train(model, optimizer, epochs, after_epoch=validate)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


@cell(name="normscope.papers.chai2020.lenet:early_spectrum", version=1, cost=_spectrum_cost, data=_datasets)
def early_spectrum(config: EarlySpectrum) -> pa.Table:
    """Extreme eigenvalues and power of both convolutions' input autocorrelation, before and after each early step.

    Rows: ``lambda_min``, ``lambda_max`` and ``power`` by step and layer; ``diverged`` as in :func:`train_lenet`. The
    spectra are of the first training batch in the file's order, in training mode and float64; they leave no trace on
    the run. A run that diverges keeps the spectra until then.
    """
    import copy

    import torch

    from normscope import probes, training
    from normscope.papers.chai2020 import recipe

    train_split, _ = recipe.splits(config.data, config.images)
    model, optimizer = _start(config)
    fixed_batch, _ = train_split.batch(torch.arange(config.batch))
    rows = Rows()

    def read_spectrum(step: int, loss: float = 0.0) -> None:
        double = copy.deepcopy(model).double().train()
        spectra = probes.spectrum(double, fixed_batch.double(), layers=["conv1", "conv2"]).set_index("layer")
        for layer, spectrum in spectra[["lambda_min", "lambda_max", "power"]].to_dict("index").items():
            for measure, value in spectrum.items():
                rows.add(str(measure), value, step=step, layer=str(layer))

    read_spectrum(0)
    epochs = recipe.epochs(train_split, config.steps, config.batch, config.seed)
    divergence = training.train(model, optimizer, epochs, max_steps=config.steps, after_step=read_spectrum)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


def training_cells(profile: ChaiProfile, rates: tuple[float, ...]) -> list[Cell]:
    """The training runs of every variant and seed at ``rates``."""
    return [
        train_lenet.cell(LeNetTraining(norm, rate, seed, profile.data, profile.images, profile.epochs))
        for norm in VARIANTS
        for rate in rates
        for seed in range(profile.seeds)
    ]


def spectrum_cells(profile: ChaiProfile) -> list[Cell]:
    """The early spectra of every variant, rate and seed."""
    return [
        early_spectrum.cell(EarlySpectrum(norm, rate, seed, profile.data, profile.images))
        for norm in VARIANTS
        for rate in profile.rates
        for seed in range(profile.seeds)
    ]


def _start(config: LeNetTraining | EarlySpectrum) -> tuple[nn.Module, torch.optim.SGD]:
    """The network with its seed's weights, and its optimiser."""
    from normscope import networks, training
    from normscope.papers.chai2020 import recipe

    with training.seeded(config.seed):
        model = networks.lenet(norm=config.norm, place="after", image=recipe.IMAGE)
    return model, recipe.sgd(model, config.rate, config.fixed_rate)
