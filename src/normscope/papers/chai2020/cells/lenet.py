"""The cells of Figs. 6, 7 and 8: the LeNet trained, and its input spectra during the first five steps.

The set-up is that of :mod:`normscope.papers.chai2020.cells.recipe`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.papers.shared.images import facts_of
from normscope.protocol import EVERY_DEVICE, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

VARIANTS = {"none": "Baseline", "batch": "BatchNorm", "amplify": "BN_Amplify", "suppress": "BN_Suppress"}
"""Norm specs and the paper's names for them."""

STEPS = 5
"""After how many steps Figs. 6 and 8 read the spectrum."""


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


def training_seconds(data: str, images: int, epochs: int, per_image: float = 1.4e-4) -> float:
    """Roughly how long a training run takes on one core, validation on every test image included."""
    return 0.3 + epochs * (images * per_image + facts_of(data).test * 4.5e-5)


@cell(
    name="normscope.papers.chai2020.lenet:train_lenet",
    version=1,
    cost=lambda run: training_seconds(run.data, run.images, run.epochs),
    devices=lambda run: EVERY_DEVICE,
)
def train_lenet(config: LeNetTraining) -> pa.Table:
    """Train and validate after every epoch.

    Rows: those of :func:`normscope.training.record`. Validation is on every test image.
    """
    from normscope.papers.chai2020.cells import recipe

    rows = Rows()
    recipe.start(config, norm=config.norm).record(rows, config.epochs, validate=True)
    return rows.table()


@cell(name="normscope.papers.chai2020.lenet:early_spectrum", version=1, cost=lambda run: 0.1 * run.steps)
def early_spectrum(config: EarlySpectrum) -> pa.Table:
    """Extreme eigenvalues and power of both convolutions' input autocorrelation, before and after each early step.

    Rows: ``lambda_min``, ``lambda_max`` and ``power`` by step and layer; ``diverged`` as in :func:`train_lenet`. The
    spectra are of the first training batch in the file's order, in training mode and float64; they leave no trace on
    the run. A run that diverges keeps the spectra until then.
    """
    import copy

    from normscope import probes
    from normscope.papers.chai2020.cells import recipe

    run = recipe.start(config, norm=config.norm)
    fixed_batch = run.fixed_batch()
    rows = Rows()

    def read_spectrum(step: int, loss: float = 0.0) -> None:
        double = copy.deepcopy(run.model).double().train()
        spectra = probes.spectrum(double, fixed_batch.double(), layers=["conv1", "conv2"]).set_index("layer")
        for layer, spectrum in spectra[["lambda_min", "lambda_max", "power"]].to_dict("index").items():
            for measure, value in spectrum.items():
                rows.add(str(measure), value, step=step, layer=str(layer))

    read_spectrum(0)
    run.record(rows, config.steps, max_steps=config.steps, after_step=read_spectrum)
    return rows.table()
