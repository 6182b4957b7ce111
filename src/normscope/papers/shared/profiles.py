"""How large an experiment is at each scale, and how a report says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self, TypeVar

from normscope.protocol import Scale

if TYPE_CHECKING:
    from normscope.data import Facts

P = TypeVar("P", bound="Profile")


@dataclasses.dataclass(frozen=True)
class Profile:
    """The settings of an experiment at one scale; a paper with other settings adds fields in a subclass.

    Attributes:
        data: the data set.
        images: how many of its training images are used.
        seeds: how many seeds; seed s is s.
        epochs: passes over the images.
        steps: steps of a run, where they are not counted in epochs.
        rates: learning rates.
        noises: standard deviations of a noise, in the experiment's own unit.
        words: what a report says of the settings, by name. A text may name fields in braces: ``"{seeds}"``.
    """

    data: str
    images: int
    seeds: int
    epochs: int = 0
    steps: int = 0
    rates: tuple[float, ...] = ()
    noises: tuple[float, ...] = ()
    words: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    def on(self, facts: Facts) -> Self:
        """The settings on another data set, with no more images than it has.

        Raises:
            InputError: when the experiment's networks cannot take its images.
        """
        return dataclasses.replace(self, data=facts.name, images=min(self.images, facts.train))

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        shown = self.shown()
        return {name: text.format(**shown) for name, text in self.words.items()}

    def shown(self) -> dict[str, object]:
        """The fields that the words may name, with tuples as lists."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: listed(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def listed(values: tuple[float | str, ...]) -> str:
    """Numbers or names with commas between: ``"0.01, 0.1, 1"``."""
    return ", ".join(value if isinstance(value, str) else f"{value:g}" for value in values)


def at_scales(words: Mapping[str, str], quick: P, laptop: P, paper: P) -> dict[Scale, P]:
    """The profiles of an experiment by scale, each with the words for reports."""
    profiles = {Scale.QUICK: quick, Scale.LAPTOP: laptop, Scale.PAPER: paper}
    return {scale: dataclasses.replace(profile, words=words) for scale, profile in profiles.items()}
