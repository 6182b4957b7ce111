"""How large the noise study and the comparison of steps are at each scale."""

from __future__ import annotations

import dataclasses

from normscope.protocol import Scale

RATES = (0.1, 1.0)
"""The learning rates of Fig. 10's panels."""

PAPER_NOISE = 1.0
"""The noise's standard deviation in units of the local error's, as the paper scales it."""


@dataclasses.dataclass(frozen=True)
class NoiseProfile:
    """The settings of Fig. 10 at one scale.

    Attributes:
        data: the data set.
        images: how many of its training images are used, from the first.
        epochs: passes over them.
        seeds: how many seeds; seed s is s.
        noises: standard deviations of the noise in units of the local error's, 0 and 1 among them.
        rates: learning rates of the convolution weights.
    """

    data: str
    images: int
    epochs: int
    seeds: int
    noises: tuple[float, ...]
    rates: tuple[float, ...] = RATES

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        return {
            **_common(self.data, self.images, self.seeds, self.rates),
            "epochs": str(self.epochs),
            "noise": f"{', '.join(f'{noise:g}' for noise in self.noises)} × the local error's standard deviation",
        }


@dataclasses.dataclass(frozen=True)
class StepProfile:
    """The settings of the comparison of steps at one scale: one epoch.

    Attributes:
        data: the data set.
        images: how many of its training images are used, from the first.
        seeds: how many seeds; seed s is s.
        rates: learning rates of the convolution weights.
    """

    data: str
    images: int
    seeds: int
    rates: tuple[float, ...] = RATES

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        return {**_common(self.data, self.images, self.seeds, self.rates), "epochs": "1"}


def _common(data: str, images: int, seeds: int, rates: tuple[float, ...]) -> dict[str, str]:
    return {
        "data": f"{data}, first {images:,} training images, every test image for validation",
        "seeds": str(seeds),
        "learning rates": ", ".join(f"{rate:g}" for rate in rates),
        "training": "batch 64, plain SGD on cross-entropy; the rate is the convolution weights' alone, their biases "
        "and the norm stay at 0.1, the fully connected layer is not trained",
    }


NOISE_PROFILES = {
    Scale.QUICK: NoiseProfile("mnist5k", 500, 8, 3, (0.0, 1.0)),
    Scale.LAPTOP: NoiseProfile("mnist", 5_000, 15, 5, (0.0, 1.0, 3.0)),
    Scale.PAPER: NoiseProfile("mnist", 60_000, 40, 5, (0.0, 1.0)),
}

STEP_PROFILES = {
    Scale.QUICK: StepProfile("mnist5k", 2_000, 3),
    Scale.LAPTOP: StepProfile("mnist", 20_000, 5),
    Scale.PAPER: StepProfile("mnist", 60_000, 5),
}
