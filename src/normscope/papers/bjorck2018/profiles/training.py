"""How large the training experiments are: Figs. 1, 15, 16 and 17, Tables 2 and 3."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from normscope.papers.bjorck2018.parts import ALL, BOTH, MEAN, NONE, PARTS, VARIANCE
from normscope.papers.bjorck2018.profiles.initial import DEPTH, ResNetProfile
from normscope.papers.shared import at_scales, listed

if TYPE_CHECKING:
    from normscope.data import Facts

RATES = (0.1, 0.003, 0.0001)
"""The learning rates at which Fig. 1 trains the network with BN; the lowest is the one without norms' own."""

GRID = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003)
"""Learning rates that are tried, from the highest down: the paper's, and what completes half-decades."""

DECADES = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""A coarser grid, for a first look."""

_PROTOCOL = (
    "batch {batch}, SGD with momentum 0.9 and weight decay 5e-4, crops and flips, rate ÷ 10 after ½ and ¾ of the "
    "epochs"
)
_DATA = "{data}, first {images:,} training images; smaller ones are padded to 32×32, one channel is repeated over three"


@dataclasses.dataclass(frozen=True)
class TrainingProfile(ResNetProfile):
    """The settings of networks trained to the end.

    Attributes:
        depth: of the network.
        batch: images in a batch.
        test_images: how many test images they are validated on.
        long: epochs at rates below the paper's 0.1, by the rate; by default ``epochs``.
        rates_of: the learning rates at which each network of Fig. 15 is trained; the best of each counts.
        trial_rates: the grid of the search for the highest stable rate (Fig. 15).
        initial_depth: depth of the network whose gradients are measured at initialisation (Fig. 15).
        initial_images: training images that its batch is drawn from.
    """

    depth: int = DEPTH
    batch: int = 128
    test_images: int = 10_000
    long: Mapping[float, int] = dataclasses.field(default_factory=dict)
    rates_of: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    trial_rates: tuple[float, ...] = GRID
    initial_depth: int = DEPTH
    initial_images: int = 10_000

    def on(self, facts: Facts) -> Self:
        """The settings on another data set."""
        images, tests = min(self.initial_images, facts.train), min(self.test_images, facts.test)
        return dataclasses.replace(super().on(facts), initial_images=images, test_images=tests)

    def epochs_at(self, rate: float) -> int:
        """Epochs of a run that starts at a rate."""
        return self.long.get(rate, self.epochs)

    def shown(self) -> dict[str, object]:
        """The fields that the words may name, and the epochs of long runs."""
        longer = "".join(f"; {epochs:,} at rate {rate:g}" for rate, epochs in self.long.items())
        others = "; ".join(f"{name}: {listed(rates)}" for name, rates in self.rates_of.items())
        all_rates = f"{listed(self.rates)} (Fig. 1); {others} (Fig. 15)"
        return {**super().shown(), "all_epochs": f"{self.epochs}{longer}", "all_rates": all_rates}


_OF_FIG15 = {"none": (0.03,), "top": (0.03,), "batch": (0.1,)}
"""The paper's rates with a norm at the top and with norms everywhere; the network without norms has the former."""

TRAINING = at_scales(
    {
        "data": _DATA + "; validated on the first {test_images:,} test images",
        "network": "the CIFAR ResNet of {depth} layers",
        "training": _PROTOCOL,
        "epochs": "{all_epochs}",
        "learning rates": "{all_rates}",
        "seeds": "{seeds}",
    },
    quick=TrainingProfile(
        "mnist5k",
        512,
        3,
        4,
        rates=RATES,
        depth=8,
        batch=32,
        test_images=250,
        rates_of=_OF_FIG15,
        trial_rates=DECADES,
        initial_images=4_000,
    ),
    laptop=TrainingProfile(
        "cifar10", 2_560, 3, 15, rates=RATES, depth=20, test_images=1_000, rates_of=_OF_FIG15
    ),
    paper=TrainingProfile(
        "cifar10",
        50_000,
        5,
        165,
        rates=RATES,
        long={0.003: 1_320, 0.0001: 2_400},
        initial_images=50_000,
        rates_of={"none": (0.0001,), "top": (0.03, 0.1), "batch": (0.1,)},
    ),
)
"""Figs. 1, 15 and 16."""


@dataclasses.dataclass(frozen=True)
class RateProfile(ResNetProfile):
    """The settings of a search for the highest stable rate.

    Attributes:
        depths: of the networks without norms (Table 3); of the one network (Table 2).
        batch: images in a batch.
        lowest: the lowest rate that is tried, by depth, where the search need not go down the whole grid.
        others: whether the warm start, alternating normalization and BN are tried at the largest depth (Table 3).
        variants: the parts of BN that are tried, as norm specs (Table 2).
        test_images: how many test images the networks are validated on that are trained to the end.
    """

    depths: tuple[int, ...] = (DEPTH,)
    batch: int = 128
    lowest: Mapping[int, float] = dataclasses.field(default_factory=dict)
    others: bool = True
    variants: tuple[str, ...] = ()
    test_images: int = 10_000

    def on(self, facts: Facts) -> Self:
        """The settings on another data set."""
        return dataclasses.replace(super().on(facts), test_images=min(self.test_images, facts.test))

    def shown(self) -> dict[str, object]:
        """The fields that the words may name, and where the search ends early."""
        ends = "".join(f"; down to {rate:g} at depth {depth}" for depth, rate in self.lowest.items())
        return {
            **super().shown(),
            "depths": ", ".join(map(str, self.depths)),
            "grid": f"{listed(self.rates)}{ends}",
        }


_SEARCH = {
    "data": _DATA,
    "networks": "CIFAR ResNets of {depths} layers",
    "training": "batch {batch}, SGD with momentum 0.9 and weight decay 5e-4, crops and flips, {steps} steps",
    "learning rates": "{grid}: from the highest down until one survives",
    "seeds": "{seeds}",
}

FROM_1 = GRID[2:]
"""Where all parts but the affine ones are told apart. At 10, networks with BN take all steps to fail."""

FEWER = (NONE, MEAN, VARIANCE, BOTH, ALL)
"""The parts of BN, with the affine transformation as one."""

TABLE2 = at_scales(
    {**_SEARCH, "afterwards": "{epochs} epochs at the highest stable rate (0: none)"},
    quick=RateProfile(
        "mnist5k",
        4_000,
        3,
        steps=200,
        rates=DECADES,
        depths=(8,),
        batch=32,
        variants=FEWER,
    ),
    laptop=RateProfile("cifar10", 10_000, 3, steps=200, rates=FROM_1, depths=(20,), variants=FEWER),
    paper=RateProfile("cifar10", 50_000, 5, 165, steps=2_000, rates=GRID, variants=tuple(PARTS)),
)

TABLE3 = at_scales(
    _SEARCH,
    quick=RateProfile("mnist5k", 4_000, 3, steps=200, rates=DECADES, depths=(8,), batch=32, others=False),
    laptop=RateProfile(
        "cifar10",
        10_000,
        3,
        steps=200,
        rates=GRID,
        depths=(20, 32, 56, DEPTH),
        lowest={56: 0.01, DEPTH: 0.001},
        others=False,
    ),
    paper=RateProfile("cifar10", 50_000, 5, steps=2_000, rates=GRID, depths=(20, 32, 56, DEPTH)),
)
