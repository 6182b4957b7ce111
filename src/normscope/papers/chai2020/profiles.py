"""How large each experiment is at each scale."""

import dataclasses

from normscope.papers.chai2020.cells.lenet import STEPS
from normscope.papers.shared import Profile, at_scales, listed

CURVE_RATES = (0.01, 0.1, 0.5, 1.0)
"""The learning rates of Fig. 7's four panels."""

NOISE_RATES = (0.1, 1.0)
"""The learning rates of Fig. 10's panels."""

PAPER_NOISE = 1.0
"""The noise's standard deviation in units of the local error's, as the paper scales it."""

SHARES = (0.4, 0.99, 1.01)
"""The learning rates of the linear descent, in units of the stability bound; the last two are on either side of it."""

CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The share of the channels' correlation that remains: none, and all that the real activations have."""

_VALIDATED = "{data}, first {images:,} training images, every test image for validation"
_DRAWN = "{images:,} training images of {data}, drawn by the seed, zero-padded to 32×32"
VARIATIONS = (0.0, 0.25, 0.5, 0.8, 1.0, 1.5, 2.0)
"""How much the power of patches varies from image to image, on inputs of ±a pixels; 0 is the paper's assumption."""

_SHARED = {"seeds": "{seeds}", "learning rates": "{rates}"}

FIGS_6_TO_8 = at_scales(
    {
        "data": _VALIDATED,
        "epochs": "{epochs}",
        **_SHARED,
        "training": "batch 64, plain SGD on cross-entropy; the rate is the convolution weights' alone, everything "
        "else stays at 0.1",
    },
    quick=Profile("mnist5k", 3_000, 3, epochs=3, rates=(*CURVE_RATES, 4.0, 10.0)),
    laptop=Profile("mnist", 10_000, 3, epochs=10, rates=(*CURVE_RATES, 2.0, 4.0, 10.0)),
    paper=Profile(
        "mnist", 60_000, 5, epochs=20, rates=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 7.0, 10.0)
    ),
)

_SPECTRA = "{data}, first {images:,} training images; spectra are of the first 64"
_EARLY = {"data": _SPECTRA, "epochs": "less than one", "steps": f"{STEPS}"}
FIG6 = {scale: dataclasses.replace(one, words={**one.words, **_EARLY}) for scale, one in FIGS_6_TO_8.items()}

FIG5 = at_scales(
    {
        "data": "{data}, first {images:,} training images; powers are of the first 64",
        "steps": f"0 and {STEPS}",
        **_SHARED,
    },
    quick=Profile("mnist5k", 4_000, 3, rates=(0.1, 1.0)),
    laptop=Profile("mnist", 10_000, 5, rates=CURVE_RATES),
    paper=Profile("mnist", 60_000, 5, rates=(*CURVE_RATES, 2.0)),
)

FIG4 = at_scales(
    {
        "data": _DRAWN,
        "input": "the second convolution's, of the untrained baseline LeNet: 6 channels, 5×5 patches, float64",
        "seeds": "{seeds}",
        "factors": "2^-3 … 2^2 by channel, and 1/√(P + ε) by channel, which takes its power P to 1",
        "correlation": f"{', '.join(f'{share:g}' for share in CORRELATIONS)} of the real channels' own",
    },
    quick=Profile("mnist5k", 32, 5),
    laptop=Profile("mnist", 512, 5),
    paper=Profile("mnist", 2_048, 10),
)

NATURAL_MODES = at_scales(
    {
        "data": _DRAWN,
        "filter": "one 5×5 convolution, M = 784 output positions, float64",
        "steps": "{steps:,} of full-batch gradient descent",
        "seeds": "{seeds}",
        "learning rates": f"{', '.join(f'{share:g}' for share in SHARES)} × 2/(Mλ_max)",
    },
    quick=Profile("mnist5k", 32, 3, steps=250),
    laptop=Profile("mnist", 100, 5, steps=500),
    paper=Profile("mnist", 1_000, 10, steps=500),
)

_ARRANGEMENTS = {
    "data": _VALIDATED,
    **_SHARED,
    "training": "batch 64, plain SGD on cross-entropy; the rate is the convolution weights' alone, their biases and "
    "the norm stay at 0.1, the fully connected layer is not trained",
    "epochs": "{epochs}",
}


@dataclasses.dataclass(frozen=True)
class NoiseProfile(Profile):
    """The settings of Fig. 10.

    Attributes:
        states: numbers of steps after which noise is tried; the end of a run is always one more.
        draws: of the noise, at each state and level.
        noisy_seeds: how many seeds are trained with noise throughout.
        reading_seeds: how many seeds the other readings of the paper are run with.
    """

    states: tuple[int, ...] = ()
    draws: int = 6
    noisy_seeds: int = 3
    reading_seeds: int = 3

    def shown(self) -> dict[str, object]:
        """The fields that the words may name, and ``where`` noise is tried."""
        early = f"the states after {listed(self.states)} steps and " if self.states else ""
        return {**super().shown(), "where": f"{early}the end"}


FIG10 = at_scales(
    {
        **_ARRANGEMENTS,
        "seeds": "{seeds} without noise; {noisy_seeds} with noise throughout; {reading_seeds} of other readings",
        "noise": "{noises} × the local error's standard deviation; 1 in the curves with noise",
        "noise amplification": "{draws} draws over 40 steps, from {where}",
    },
    quick=NoiseProfile("mnist5k", 640, 3, epochs=8, rates=NOISE_RATES, noises=(1.0,), draws=1, reading_seeds=0),
    laptop=NoiseProfile("mnist", 20_000, 5, epochs=12, rates=NOISE_RATES, noises=(1.0, 3.0), states=(1_000,)),
    paper=NoiseProfile(
        "mnist", 60_000, 5, epochs=40, rates=NOISE_RATES, noises=(1.0, 3.0), states=(1_000, 4_000),
        noisy_seeds=5, reading_seeds=5,
    ),
)  # fmt: skip

STEP_COMPARISON = at_scales(
    {
        **_ARRANGEMENTS,
        "balanced inputs": f"variation of the power {', '.join(f'{one:g}' for one in VARIATIONS)}",
    },
    quick=Profile("mnist5k", 2_000, 5, epochs=1, rates=NOISE_RATES),
    laptop=Profile("mnist", 20_000, 5, epochs=1, rates=NOISE_RATES),
    paper=Profile("mnist", 60_000, 5, epochs=1, rates=NOISE_RATES),
)
