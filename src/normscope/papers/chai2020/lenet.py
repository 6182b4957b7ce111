"""The cells that Figs. 6, 7 and 8 share: training the LeNet, and its input spectra during the first five steps.

Set-up (the paper's Table 1 and §3.3): MNIST digits zero-padded to 32×32, plain SGD on cross-entropy. Only the
convolution weights take the swept learning rate; norm parameters, convolution biases and the fully connected layer
stay at 0.1. For a seed, every variant starts from the same weights and sees the same batches. What the paper leaves
open is fixed here: batches of 64, the last partial one dropped, the framework's default initialisation, black padding
before standardisation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from normscope.papers.chai2020.profiles import ChaiProfile
from normscope.protocol import Cell, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    import torch
    from torch import Tensor, nn

    from normscope.data.batches import Split

VARIANTS = {"none": "Baseline", "batch": "BatchNorm", "amplify": "BN_Amplify", "suppress": "BN_Suppress"}
"""Norm specs and the paper's names for them."""

STEPS = 5
"""After how many steps Figs. 6 and 8 read the spectrum."""

SPECTRUM_LAYER = "conv2"
"""Whose input the paper's eigenvalues are of."""

_IMAGE = 32
_VALIDATION_BATCH = 500
_SECONDS_PER_IMAGE = 1.3e-4


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
    return 0.3 + config.images * config.epochs * _SECONDS_PER_IMAGE


def _spectrum_cost(config: EarlySpectrum) -> float:
    return 0.1 * config.steps


@cell(version=1, cost=_training_cost, data=_datasets)
def train_lenet(config: LeNetTraining) -> pa.Table:
    """Train and validate after every epoch.

    Rows: ``train_loss`` and ``validation_error`` by epoch; ``diverged`` at the step whose batch loss exceeded 1,000 or
    was not finite, with that loss. Validation is on every test image, in evaluation mode.
    """
    import torch

    from normscope import training

    train_split, test_split = _splits(config.data, config.images)
    model, optimizer = _model_and_optimizer(config)
    in_order = torch.split(torch.arange(len(test_split)), _VALIDATION_BATCH)
    rows = Rows()

    def validate(epoch: int, loss: float) -> None:
        rows.add("train_loss", loss, epoch=epoch)
        error = training.error_rate(model, map(test_split.batch, in_order))
        rows.add("validation_error", error, epoch=epoch)

    divergence = training.train(
        model, optimizer, _epochs(train_split, config, config.epochs), after_epoch=validate
    )
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


@cell(version=1, cost=_spectrum_cost, data=_datasets)
def early_spectrum(config: EarlySpectrum) -> pa.Table:
    """Extreme eigenvalues and power of both convolutions' input autocorrelation, before and after each early step.

    Rows: ``lambda_min``, ``lambda_max`` and ``power`` by step and layer; ``diverged`` as in :func:`train_lenet`. The
    spectra are of the first training batch in the file's order, in training mode and float64; they leave no trace on
    the run. A run that diverges keeps the spectra until then.
    """
    import copy

    import torch

    from normscope import probes, training

    train_split, _ = _splits(config.data, config.images)
    model, optimizer = _model_and_optimizer(config)
    fixed_batch, _ = train_split.batch(torch.arange(config.batch))
    rows = Rows()

    def read_spectrum(step: int, loss: float = 0.0) -> None:
        double = copy.deepcopy(model).double().train()
        spectra = probes.spectrum(double, fixed_batch.double(), layers=["conv1", "conv2"]).set_index("layer")
        for layer, spectrum in spectra[["lambda_min", "lambda_max", "power"]].to_dict("index").items():
            for measure, value in spectrum.items():
                rows.add(str(measure), value, step=step, layer=str(layer))

    read_spectrum(0)
    divergence = training.train(
        model,
        optimizer,
        _epochs(train_split, config, config.steps),
        max_steps=config.steps,
        after_step=read_spectrum,
    )
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


def _splits(name: str, images: int) -> tuple[Split, Split]:
    """The first ``images`` training images, and all test images, padded to 32×32."""
    from normscope import data
    from normscope.data.batches import Split

    dataset = data.load(name)
    return Split.of(dataset, "train", _IMAGE).first(images), Split.of(dataset, "test", _IMAGE)


def _model_and_optimizer(config: LeNetTraining | EarlySpectrum) -> tuple[nn.Module, torch.optim.SGD]:
    import torch

    from normscope import networks, training

    with training.seeded(config.seed):
        model = networks.lenet(norm=config.norm, place="after", image=_IMAGE)
    swept = [model.conv1.weight, model.conv2.weight]
    rest = [parameter for parameter in model.parameters() if all(parameter is not weight for weight in swept)]
    groups = [{"params": swept, "lr": config.rate}, {"params": rest, "lr": config.fixed_rate}]
    return model, torch.optim.SGD(groups, lr=config.rate, foreach=True)


def _epochs(
    split: Split, config: LeNetTraining | EarlySpectrum, count: int
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """Epochs of batches in an order that only the seed decides."""
    import torch

    from normscope.data.batches import shuffled_batches

    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(count):
        yield (split.batch(indices) for indices in shuffled_batches(len(split), config.batch, generator))
