"""How large eq. 2 and Figs. 5, 6 and 24 are: ResNet-110 along the gradient of a batch, and gradient noise."""

import dataclasses

from normscope.papers.bjorck2018.profiles.initial import DEPTH, ResNetProfile
from normscope.papers.shared import at_scales

_IMAGES = (
    "{data}: the first {images:,} training images, in batches of {batch} that are cropped and mirrored at random; "
    "smaller images are padded to 32×32, one channel is repeated over three"
)


@dataclasses.dataclass(frozen=True)
class DivergingProfile(ResNetProfile):
    """The settings of Figs. 5 and 6. ``rates`` are tried from the highest down, for ``steps`` steps each.

    Attributes:
        at_once: how many rates are tried in any case, before it is known which of them diverge.
        loss_points: the points of the loss on the update, as shares of it.
        moment_points: the points of the moments on the update at three times the rate, as shares of that.
        depth: of the network.
        batch: images in a batch.
    """

    at_once: int = 4
    loss_points: tuple[float, ...] = ()
    moment_points: tuple[float, ...] = ()
    depth: int = DEPTH
    batch: int = 128


_RATES = (3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)

# The loss at the end of the update differs by ten and more decades from seed to seed, so that few seeds decide nothing.
DIVERGING = at_scales(
    {
        "data": _IMAGES,
        "network": "the CIFAR ResNet of {depth} layers without norms",
        "rates": "{rates}, from the highest down until one does not diverge",
        "length": "{steps} steps of SGD with momentum 0.9 and weight decay 5e-4, or to divergence",
        "seeds": "{seeds}",
    },
    quick=DivergingProfile(
        "mnist5k",
        4_000,
        8,
        steps=6,
        rates=_RATES,
        loss_points=(0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1),
        moment_points=(0, 0.1, 1 / 3, 2 / 3, 1),
        batch=16,
    ),
    laptop=DivergingProfile(
        "cifar10",
        10_000,
        8,
        steps=6,
        rates=_RATES,
        loss_points=(0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
        moment_points=(0, 0.1, 1 / 3, 2 / 3, 1),
    ),
    paper=DivergingProfile(
        "cifar10",
        50_000,
        10,
        steps=200,
        rates=_RATES,
        loss_points=(0, *(10 ** (k / 10) for k in range(-40, -10)), *(k / 40 for k in range(4, 41))),
        moment_points=(0, 0.01, 0.03, 0.1, 0.2, 1 / 3, 0.4, 0.5, 0.6, 2 / 3, 0.8, 0.9, 1),
    ),
)
"""Figs. 5 and 6."""


@dataclasses.dataclass(frozen=True)
class LandscapeProfile(ResNetProfile):
    """The settings of Fig. 24.

    Attributes:
        at_steps: the steps whose batch is looked at.
        alphas: the rates on the line of the unnormalized network.
        norm_alphas: the rates on the line of the network with BN.
        depth: of the network.
        batch: images in a batch.
    """

    at_steps: tuple[int, ...] = (1, 5)
    alphas: tuple[float, ...] = ()
    norm_alphas: tuple[float, ...] = ()
    depth: int = DEPTH
    batch: int = 128


LANDSCAPES = at_scales(
    {
        "data": _IMAGES,
        "networks": "the CIFAR ResNet of {depth} layers, trained at 0.0001 without norms and at 0.1 with BN",
        "steps": "before step {at_steps}",
        "rates on the line": "{alphas} without norms, {norm_alphas} with BN, in float64",
        "seeds": "{seeds}",
    },
    quick=LandscapeProfile(
        "mnist5k",
        4_000,
        3,
        at_steps=(1,),
        alphas=(0, 1e-5, 3e-5, 1e-4),
        norm_alphas=(0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1),
        batch=16,
    ),
    laptop=LandscapeProfile(
        "cifar10",
        10_000,
        3,
        # At the fifth step, the unnormalized network's gradient is far smaller, and rates matter that are far higher.
        alphas=(0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 1e-2, 0.1),
        norm_alphas=(0, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1),
    ),
    paper=LandscapeProfile(
        "cifar10",
        50_000,
        5,
        alphas=(0, *(10 ** (k / 4) for k in range(-28, 5))),
        norm_alphas=(0, *(10 ** (k / 4) for k in range(-20, 5))),
    ),
)
"""Fig. 24."""


@dataclasses.dataclass(frozen=True)
class NoiseProfile(ResNetProfile):
    """The settings of eq. 2.

    Attributes:
        sizes: numbers of examples in the sampled batches.
        draws: batches drawn for each size.
        depth: of the network.
        batch: the examples of the whole data set, from which batches are sampled.
    """

    sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    draws: int = 1_000
    depth: int = 8
    batch: int = 200


NOISE = at_scales(
    {
        "data": "{data}: {batch:,} of the first {images:,} training images, drawn by the seed, are the whole data set; "
        "smaller images are padded to 32×32, one channel is repeated over three",
        "network": "the CIFAR ResNet of {depth} layers without norms, at its initialisation",
        "batches": "{draws:,} drawn with replacement for each size of {sizes}",
        "rates": "{rates}",
        "seeds": "{seeds}",
    },
    quick=NoiseProfile("mnist5k", 4_000, 3, rates=(0.1, 0.01, 0.001)),
    laptop=NoiseProfile("cifar10", 10_000, 5, rates=(0.1, 0.01, 0.001), batch=400, draws=2_000),
    paper=NoiseProfile("cifar10", 50_000, 5, rates=(0.1, 0.01, 0.001), batch=1_000, draws=10_000, depth=110),
)
"""Eq. 2."""
