"""Medians over seeds, with the variants' names and the number of seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from normscope.protocol import NotJudgedError, select

if TYPE_CHECKING:
    import pandas as pd


def seed_count(runs: pd.DataFrame, *columns: str) -> int:
    """The number of seeds of the group that has the fewest, where the columns tell the groups apart."""
    return int(runs.groupby(list(columns))["seed"].nunique().min())


@dataclasses.dataclass(frozen=True)
class Medians(Mapping[str, float]):
    """The median over seeds of each variant of a comparison.

    Attributes:
        values_by_variant: the medians.
        names: the paper's names of the variants, for the scorecard.
        seeds: the number of seeds: the fewest of any variant.
    """

    values_by_variant: Mapping[str, float]
    names: Mapping[str, str]
    seeds: int

    @classmethod
    def of(
        cls, runs: pd.DataFrame, names: Mapping[str, str], column: str = "norm", **conditions: Any
    ) -> Medians:
        """The medians of ``runs["value"]`` among the runs that meet the conditions.

        Args:
            runs: one row a run: its variant in ``column``, its ``seed``, its ``value``.
            names: the variants that are wanted, with their names.
            column: the column that tells the variants apart.
            conditions: the values of other columns.

        Raises:
            NotJudgedError: when a variant has no such run.
        """
        chosen = select(runs, **conditions)
        groups = chosen.groupby(column)
        medians, seeds = groups["value"].median(), groups["seed"].nunique()
        if missing := [name for variant, name in names.items() if variant not in medians.index]:
            raise NotJudgedError(f"no finished run of {', '.join(missing)}")
        return cls({variant: float(medians[variant]) for variant in names}, names, int(seeds.min()))

    def named(self, unit: str, *variants: str, after: str = "") -> dict[str, float]:
        """The medians by the paper's names, such as ``"error BatchNorm"``; of all variants or of those given."""
        return {f"{unit} {self.names[variant]}{after}": self[variant] for variant in variants or self}

    def __getitem__(self, variant: str) -> float:
        return self.values_by_variant[variant]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_variant)

    def __len__(self) -> int:
        return len(self.values_by_variant)
