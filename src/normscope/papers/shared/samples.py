"""A number of each variant and seed: medians for the scorecard, and comparisons of variants."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from normscope.errors import InputError
from normscope.papers.shared import contrasts
from normscope.papers.shared.contrasts import Contrast
from normscope.protocol import NotJudgedError, select

if TYPE_CHECKING:
    import pandas as pd


def seed_count(runs: pd.DataFrame, *columns: str) -> int:
    """The number of seeds of the group that has the fewest, where the columns tell the groups apart."""
    return int(runs.groupby(list(columns))["seed"].nunique().min())


@dataclasses.dataclass(frozen=True)
class Samples(Mapping[Any, "pd.Series[float]"]):
    """One number per variant and seed.

    Attributes:
        unit: what the numbers are, such as ``"error"``; their names begin with it.
        by_variant: of each variant a Series by seed.
        names: the paper's names of the variants, for the scorecard.
    """

    unit: str
    by_variant: Mapping[Any, pd.Series[float]]
    names: Mapping[Any, str]

    @classmethod
    def of(
        cls, unit: str, runs: pd.DataFrame, names: Mapping[Any, str], column: str = "norm", **conditions: Any
    ) -> Samples:
        """The numbers ``runs["value"]`` among the runs that meet the conditions.

        Args:
            unit: what they are.
            runs: one row a run: its variant in ``column``, its ``seed``, its ``value``.
            names: the variants that are wanted, with their names.
            column: the column that tells the variants apart.
            conditions: the values of other columns.

        Raises:
            NotJudgedError: when a variant has no such run.
            InputError: when a variant and seed have more than one row.
        """
        chosen = select(runs, **conditions) if conditions else runs
        if chosen.duplicated([column, "seed"]).any():
            raise InputError(
                f"{unit}: a {column} and seed have more than one row; choose one, such as an epoch."
            )
        found = {variant: group.set_index("seed")["value"] for variant, group in chosen.groupby(column)}
        if missing := [name for variant, name in names.items() if variant not in found]:
            raise NotJudgedError(f"no finished run of {', '.join(missing)}")
        return cls(unit, {variant: found[variant] for variant in names}, names)

    @property
    def seeds(self) -> int:
        """The number of seeds: the fewest of any variant."""
        return min(len(values) for values in self.by_variant.values())

    def median(self, variant: Any) -> float:
        """The median of a variant over seeds."""
        return float(self.by_variant[variant].median())

    def named(self, *variants: Any, after: str = "") -> dict[str, float]:
        """The medians by the paper's names, such as ``"error BatchNorm"``; of all variants or of those given."""
        return {
            f"{self.unit} {self.names[variant]}{after}": self.median(variant) for variant in variants or self
        }

    def ratio(self, over: Any, under: Any, *, least: float = 0.0, most: float = math.inf) -> Contrast:
        """One variant over another, seed by seed; see :func:`~normscope.papers.shared.contrasts.ratio`."""
        return contrasts.ratio(self._pair(over, under), self[over], self[under], least=least, most=most)

    def order(self, *pairs: tuple[Any, Any]) -> list[Contrast]:
        """Comparisons in each of which the first variant must be below the second."""
        return [contrasts.below(self._pair(low, high), self[low], self[high]) for low, high in pairs]

    def _pair(self, one: Any, other: Any) -> str:
        return f"{self.unit} {self._name(one)} / {self._name(other)}"

    def _name(self, variant: Any) -> str:
        if variant not in self.by_variant:
            raise NotJudgedError(f"no finished run of {variant}")
        return self.names[variant]

    def __getitem__(self, variant: Any) -> pd.Series[float]:
        return self.by_variant[variant]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.by_variant)

    def __len__(self) -> int:
        return len(self.by_variant)
