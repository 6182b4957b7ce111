"""How large the experiments of Chai et al. are at each scale."""

from __future__ import annotations

import dataclasses

from normscope.protocol import Scale

CURVE_RATES = (0.01, 0.1, 0.5, 1.0)
"""The learning rates of Fig. 7's four panels."""


@dataclasses.dataclass(frozen=True)
class ChaiProfile:
    """The settings of one scale.

    Attributes:
        data: the data set.
        images: how many of its training images are used, from the first.
        epochs: passes over them.
        seeds: how many seeds; seed s is s.
        rates: learning rates of the convolution weights, Fig. 7's among them.
    """

    data: str
    images: int
    epochs: int
    seeds: int
    rates: tuple[float, ...]

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        return {
            "data": f"{self.data}, first {self.images:,} training images, every test image for validation",
            "epochs": str(self.epochs),
            "seeds": str(self.seeds),
            "learning rates": ", ".join(f"{rate:g}" for rate in self.rates),
            "training": "batch 64, plain SGD on cross-entropy; the rate is the convolution weights' alone, "
            "everything else stays at 0.1",
        }


PROFILES = {
    Scale.QUICK: ChaiProfile("mnist5k", 3_000, 3, 3, (0.01, 0.1, 0.5, 1.0, 4.0, 10.0)),
    Scale.LAPTOP: ChaiProfile("mnist", 10_000, 10, 3, (0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 10.0)),
    Scale.PAPER: ChaiProfile(
        "mnist", 60_000, 20, 5, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 7.0, 10.0)
    ),
}

_DIGITS_VALIDATED = {"mnist5k": 1_000}
_SECONDS_PER_DIGIT_VALIDATED = 4.5e-5


def validation_seconds(data: str) -> float:
    """About how long the LeNet takes for every test image of a data set, on one core."""
    return _DIGITS_VALIDATED.get(data, 10_000) * _SECONDS_PER_DIGIT_VALIDATED
