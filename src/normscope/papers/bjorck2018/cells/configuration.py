"""The configuration that cells at initialisation share."""

import dataclasses
from typing import Literal

Place = Literal["after", "before", "prior", "top"]


@dataclasses.dataclass(frozen=True)
class AtInitialisation:
    """A network at its initialisation: its norm, the seed of weights and batch, the data, the depth."""

    norm: str
    seed: int
    data: str
    images: int
    depth: int
    place: Place = "after"
    batch: int = 128
