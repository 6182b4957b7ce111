"""Comparisons of numbers over seeds, and the 95 % intervals that decide them.

A contrast is one number per seed: the logarithm of a ratio, or a difference. Where two variants were run with the same
seeds, weights and batches, the contrast is taken within each seed; otherwise it is between the two groups' means. Its
interval is Student's,

    mean ± t_{n−1} s/√n     (paired; a ratio's on the logarithm),

with Welch's standard error and degrees of freedom between groups. With three to ten seeds a percentile bootstrap would
be too narrow: it cannot leave the range of the seeds it has seen.

Infinities, which diverged runs leave, have no mean. Where the contrast of every one of three or more seeds is the same
infinity it is certain; where only some are, the interval is open on that side. Two runs of a seed that both diverged
are equal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from normscope.errors import InputError
from normscope.protocol import Comparison, NotJudgedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95

BySeed: TypeAlias = "pd.Series[float] | Mapping[int, float]"
"""One number per seed."""

_CERTAIN_SEEDS = 3
"""So many seeds that all diverge in one variant and none in another are certain: by chance it is at most 1 in 32."""

MOST_SEEDS = 1_000
"""An estimate above it is not given: the seeds that were run say too little."""


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A number per seed and the range in which a claim wants it.

    Made by :func:`ratio`, :func:`difference` and :func:`level`.

    Attributes:
        name: what the number is.
        groups: one array of seeds' numbers, or two of which the difference of means is wanted; for a ratio logarithms.
        least: lower end of the wanted range, on the scale of the number itself.
        most: upper end of it.
        is_ratio: whether ``groups`` hold logarithms.
        strict: whether the ends of the range are outside it: equal is neither above nor below.
        left_out: the number of seeds whose contrast is not a number.
    """

    name: str
    groups: tuple[NDArray[np.float64], ...]
    least: float
    most: float
    is_ratio: bool
    strict: bool = False
    left_out: int = 0

    @property
    def seeds(self) -> int:
        """The number of seeds: of pairs, or of the smaller group."""
        return min(len(group) for group in self.groups)

    @property
    def value(self) -> float:
        """The estimate: the mean over seeds, of a ratio the geometric mean; the median where a seed is infinite."""
        first, *second = (_middle(group) for group in self.groups)
        return self._shown(0.0 if first in second else first - sum(second))  # ∞ − ∞ is no number

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The ends of the interval over seeds.

        Raises:
            NotJudgedError: with fewer than two seeds.
        """
        if self.seeds < 2:
            raise NotJudgedError(f"{self.name}: one seed gives no interval; two or more are needed")
        low, high = self._student(confidence)
        return self._shown(low), self._shown(high)

    def decide(self, confidence: float = CONFIDENCE) -> bool | None:
        """Whether the number is in the range: true or false where the whole interval says so, else ``None``."""
        low, high = self.interval(confidence)
        if self.strict:
            if low == high and low in (self.least, self.most):
                return False
            inside = self.least < low and high < self.most
        else:
            inside = self.least - _slack(self.least) <= low and high <= self.most + _slack(self.most)
        if inside:
            return True
        return False if high < self.least or self.most < low else None

    def comparison(self) -> Comparison:
        """The comparison with its 95 % interval, and how many seeds would decide it."""
        low, high = self.interval()
        holds = self.decide()
        enough = self._enough() if holds is None else None
        least = self.least if self.least > 0 or not self.is_ratio else -math.inf
        return Comparison(
            self.name, self.value, low, high, least, self.most, holds, self.seeds, enough, self.strict
        )

    def _shown(self, number: float) -> float:
        return math.exp(min(number, 700.0)) if self.is_ratio and number != math.inf else number

    def _ends(self) -> tuple[float, float]:
        """The range on the scale of ``groups``."""
        if not self.is_ratio:
            return self.least, self.most
        return (math.log(self.least) if self.least > 0 else -math.inf), math.log(self.most)

    def _student(self, confidence: float) -> tuple[float, float]:
        """The interval on the scale of ``groups``."""
        below, above = self._infinities()
        finite = [group[np.isfinite(group)] for group in self.groups]
        if not all(map(len, finite)) and self.seeds >= _CERTAIN_SEEDS:
            return (-math.inf if below else math.inf), (math.inf if above else -math.inf)
        if min(map(len, finite)) < 2:
            return -math.inf, math.inf
        middle, half = _mean_and_half_width(finite, confidence)
        return (-math.inf if below else middle - half), (math.inf if above else middle + half)

    def _infinities(self) -> tuple[bool, bool]:
        """Whether some seeds put the contrast at minus and at plus infinity."""
        signs = [sign * group for sign, group in zip((1, -1), self.groups, strict=False)]
        numbers = np.concatenate(signs)
        return bool((numbers == -np.inf).any()), bool((numbers == np.inf).any())

    def _enough(self) -> int | None:
        """The smallest number of seeds at which the interval would decide, were mean and spread as they are now."""
        if not all(np.isfinite(group).all() for group in self.groups):
            return None
        first, *second = (float(np.mean(group)) for group in self.groups)
        distance = min(abs(first - sum(second) - end) for end in self._ends())
        spread = math.sqrt(sum(float(np.var(group, ddof=1)) for group in self.groups))
        counts = np.arange(self.seeds + 1, MOST_SEEDS + 1)
        widths = _student_quantile(len(self.groups) * (counts - 1), CONFIDENCE) * spread / np.sqrt(counts)
        return next((int(count) for count in counts[widths < distance]), None)


def ratio(
    name: str,
    over: BySeed,
    under: BySeed,
    *,
    least: float = 0.0,
    most: float = math.inf,
    strict: bool = False,
) -> Contrast:
    """``over / under``, of positive numbers; the interval is that of the logarithm.

    Args:
        name: what it is, such as ``"error Baseline / BatchNorm"``.
        over: by seed.
        under: by seed. Paired with ``over`` when they share seeds, else compared as two groups.
        least: the claim wants at least this.
        most: the claim wants at most this.
        strict: it wants more than ``least`` and less than ``most``.

    Raises:
        NotJudgedError: when no seed has a ratio, or for a negative number.
    """
    values = [_series(name, numbers) for numbers in (over, under)]
    if any((one < 0).any() for one in values):
        raise NotJudgedError(f"{name}: a ratio needs positive numbers, and a seed has a negative one")
    with np.errstate(divide="ignore"):
        groups, left_out = _groups(name, *(one.transform(np.log) for one in values))
    return Contrast(name, groups, least, most, is_ratio=True, strict=strict, left_out=left_out)


def below(name: str, low: BySeed, high: BySeed) -> Contrast:
    """``low / high``, wanted below 1: an order of two positive numbers. The arguments are those of :func:`ratio`."""
    return dataclasses.replace(ratio(name, low, high, most=1.0, strict=True), least=-math.inf)


def difference(
    name: str,
    one: BySeed,
    other: BySeed,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    strict: bool = False,
) -> Contrast:
    """``one − other``, of numbers of any sign; the arguments are those of :func:`ratio`."""
    groups, left_out = _groups(name, *(_series(name, numbers) for numbers in (one, other)))
    return Contrast(name, groups, least, most, is_ratio=False, strict=strict, left_out=left_out)


def level(name: str, values: BySeed, *, least: float = -math.inf, most: float = math.inf) -> Contrast:
    """A number of each seed by itself, against fixed bounds; the arguments are those of :func:`ratio`."""
    groups, left_out = _groups(name, _series(name, values))
    return Contrast(name, groups, least, most, is_ratio=False, left_out=left_out)


def _series(name: str, numbers: BySeed) -> pd.Series[Any]:
    found = pd.Series(numbers, dtype=float)
    if not found.index.is_unique:
        raise InputError(
            f"{name}: a seed has more than one number; choose one row per seed, such as an epoch."
        )
    return found


def _groups(
    name: str, first: pd.Series[Any], second: pd.Series[Any] | None = None
) -> tuple[tuple[Any, ...], int]:
    """The seeds' contrasts, and for how many seeds it is not a number.

    Contrasts are within seeds where the two share any, else of two groups. Two that diverged alike are equal; NaN is
    left out.
    """
    if second is None:
        groups = [first]
    elif (common := first.index.intersection(second.index)).empty:
        groups = [first, second]
    else:
        if (np.isinf(first[common]) & (first[common] == second[common])).all():
            zero = (first[common] < 0).all()  # the logarithm of 0
            raise NotJudgedError(f"{name}: both runs of every seed {'have 0' if zero else 'diverged'}")
        with np.errstate(invalid="ignore"):
            groups = [(first[common] - second[common]).where(first[common] != second[common], 0.0)]
    arrays = tuple(group.dropna().to_numpy(dtype=np.float64) for group in groups)
    if not all(map(len, arrays)):
        raise NotJudgedError(f"{name}: no seed has finite numbers to compare")
    return arrays, sum(map(len, groups)) - sum(map(len, arrays))


def _mean_and_half_width(groups: list[NDArray[np.float64]], confidence: float) -> tuple[float, float]:
    """The mean, or the difference of two, and the half width of its interval; Welch's for two groups."""
    first, *second = (float(group.mean()) for group in groups)
    errors = [float(group.var(ddof=1)) / len(group) for group in groups]
    total = sum(errors)
    if total == 0:
        return first - sum(second), 0.0
    shares = [error / total for error in errors]
    parts = sum(share**2 / (len(group) - 1) for share, group in zip(shares, groups, strict=True))
    return first - sum(second), float(_student_quantile(1 / parts, confidence)) * math.sqrt(total)


def _middle(group: NDArray[np.float64]) -> float:
    """The mean, or the median where a number is infinite: the number nearest to the middle, never between two."""
    return float(group.mean() if np.isfinite(group).all() else np.quantile(group, 0.5, method="nearest"))


def _slack(bound: float) -> float:
    """By how much rounding may put a number beyond its bound."""
    return 1e-12 * abs(bound) if math.isfinite(bound) else 0.0


def _student_quantile(freedom: ArrayLike, confidence: float) -> Any:
    """How many standard errors an interval reaches on either side."""
    from scipy.special import stdtrit

    return stdtrit(freedom, 0.5 + confidence / 2)
