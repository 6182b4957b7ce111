"""A claim: a sentence of a source turned into a comparison on measured numbers."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


IDENTITY = "holds by identity"
"""What the reason begins with of a claim whose two sides are the same by construction."""


class Verdict(enum.StrEnum):
    """What a run says of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"

    @property
    def holds(self) -> bool | None:
        """True or false; ``None`` for a claim that is undecided or not judged."""
        return {Verdict.HOLDS: True, Verdict.FAILS: False}.get(self)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A number over seeds, the interval that it is known to, and the range in which a claim wants it.

    Attributes:
        name: what the number is, such as ``"error Baseline / BatchNorm"``.
        value: the number.
        low: lower end of its 95 % interval over seeds.
        high: upper end of that interval.
        least: lower end of the range that the claim wants; minus infinity or 0 where it wants none.
        most: upper end of that range; infinity where it wants none.
        holds: true where the whole interval is in the range, false where the whole interval is outside, else ``None``.
        seeds: the number of seeds.
        enough: an estimate of the number of seeds that would decide it; ``None`` when it is decided, or unknown.
        strict: whether the ends of the range are outside it.
    """

    name: str
    value: float
    low: float
    high: float
    least: float
    most: float
    holds: bool | None
    seeds: int
    enough: int | None = None
    strict: bool = False

    @property
    def bounds(self) -> Mapping[str, float]:
        """The ends of the range: ``least`` and ``most``, or ``above`` and ``below`` where they are outside it.

        A side on which the range has no end is left out.
        """
        least, most = ("above", "below") if self.strict else ("least", "most")
        ends = {least: self.least, most: self.most}
        return {name: float(end) for name, end in ends.items() if math.isfinite(end)}

    @property
    def margin(self) -> float:
        """How far the interval is inside the range, in units of the interval's width; it may be infinite."""
        inside = min(self.low - self.least, self.most - self.high)
        return inside / (self.high - self.low) if self.high > self.low else math.copysign(math.inf, inside)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a source, judged on this machine's numbers.

    Attributes:
        id: its name within the experiment.
        text: the source's sentence, in our words.
        source: where the source makes it, such as ``"Chai et al. 2020, Fig. 6"``.
        expected: the comparison that decides it.
        measured: the numbers compared, by name.
        verdict: whether it holds here.
        reason: why it could not be judged, why it may not hold, or what else a reader should know.
        seeds: the number of seeds that the numbers are medians over.
        comparisons: the comparisons that were decided by an interval over seeds; each is in ``measured`` by its name.
        published: the source's own numbers, by the names in ``measured`` that they are read beside.
    """

    id: str
    text: str
    source: str
    expected: str
    measured: Mapping[str, float]
    verdict: Verdict
    reason: str = ""
    seeds: int = 0
    comparisons: Sequence[Comparison] = ()
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether it holds; ``None`` when it is undecided or not judged."""
        return self.verdict.holds

    @property
    def deciding(self) -> Comparison | None:
        """The comparison that decided the verdict; ``None`` for a claim that no interval decided.

        Of a claim that is undecided it is the first comparison that says so; of one that holds, the comparison that
        came closest to its bound; of one that does not, the comparison that is furthest beyond it.
        """
        if self.verdict in (Verdict.HOLDS, Verdict.FAILS):
            return min(self.comparisons, key=lambda one: one.margin, default=None)
        wanted = [one for one in self.comparisons if one.holds is self.holds]
        others = [one for one in self.comparisons if not one.holds]
        return next(iter([*wanted, *others, *self.comparisons]), None)

    def to_json(self) -> dict[str, Any]:
        """The claim as JSON values, non-finite numbers as strings."""
        return {
            "claim": self.id,
            "text": self.text,
            "source": self.source,
            "expected": self.expected,
            "measured": _json_numbers(self.measured),
            "holds": self.holds,
            "verdict": str(self.verdict),
            "interval": {
                one.name: [_json_number(one.low), _json_number(one.high)] for one in self.comparisons
            },
            "bounds": {one.name: dict(one.bounds) for one in self.comparisons},
            "deciding": "" if self.deciding is None else self.deciding.name,
            "published": _json_numbers(self.published),
            "reason": self.reason,
            "seeds": self.seeds,
        }


def _json_numbers(numbers: Mapping[str, float]) -> dict[str, float | str]:
    return {name: _json_number(value) for name, value in numbers.items()}


def _json_number(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a claim's rule finds.

    Attributes:
        measured: the numbers, by name.
        holds: whether the claim holds; ``None`` when the seeds do not decide it.
        seeds: the number of seeds.
        reason: what a reader should know.
        comparisons: the comparisons that were decided by an interval.
        published: the source's own numbers, by the names in ``measured`` that they are read beside.
    """

    measured: Mapping[str, float]
    holds: bool | None
    seeds: int
    reason: str = ""
    comparisons: Sequence[Comparison] = ()
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)


class NotJudgedError(Exception):
    """Raised inside a claim's rule when the table cannot decide it; the message says why.

    Args:
        message: the reason.
        measured: numbers that are reported all the same, by name.
        seeds: the number of seeds that they are of.
        published: the source's own numbers, by the same names.
    """

    def __init__(
        self,
        message: str,
        measured: Mapping[str, float] | None = None,
        seeds: int = 0,
        published: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(message)
        self.measured, self.seeds, self.published = measured or {}, seeds, published or {}


@dataclasses.dataclass(frozen=True)
class ClaimRule:
    """A claim before it is judged; calling it on a table returns the judged :class:`Claim`.

    Attributes:
        id, text, source, expected: as in :class:`Claim`.
        judge: the comparison, a function of the table.
    """

    id: str
    text: str
    source: str
    expected: str
    judge: Callable[[pd.DataFrame], Judgement]

    def __call__(self, table: pd.DataFrame) -> Claim:
        """The claim, judged on a table. A table of which every value is null decides nothing."""
        try:
            if len(table) and table["value"].isna().all():
                raise NotJudgedError("no row of its cells has a value")
            found = self.judge(table)
        except NotJudgedError as missing:
            found = Judgement(
                missing.measured, None, missing.seeds, str(missing), published=missing.published
            )
            verdict = Verdict.NOT_JUDGED
        else:
            verdict = Verdict.UNDECIDED if found.holds is None else _DECIDED[bool(found.holds)]
        reason = found.reason
        unknown = [name for name, value in found.measured.items() if math.isnan(value)]
        if verdict is Verdict.FAILS and unknown and not reason:
            reason = f"{unknown[0]} is not a number in some run"
        return Claim(
            self.id, self.text, self.source, self.expected, found.measured, verdict, reason, found.seeds,
            found.comparisons, found.published,
        )  # fmt: skip


_DECIDED = {True: Verdict.HOLDS, False: Verdict.FAILS}


def claim(
    id: str, text: str, source: str, expected: str
) -> Callable[[Callable[[pd.DataFrame], Judgement]], ClaimRule]:
    """The decorator that makes a function of the table into the :class:`ClaimRule` of a claim."""
    return lambda judge: ClaimRule(id, text, source, expected, judge)


class Claims:
    """The claims of one source, in the order in which a figure's file makes them.

    Calling it as a decorator is :func:`claim` with that source; the rule is kept in :attr:`rules` too.

    Args:
        source: where the claims are made, such as ``"Chai et al. 2020, Fig. 6"``.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.rules: list[ClaimRule] = []

    def __call__(
        self, id: str, text: str, expected: str, *, at: str = ""
    ) -> Callable[[Callable[[pd.DataFrame], Judgement]], ClaimRule]:
        """The decorator; ``at`` adds the place within the source, such as ``"eq. 6"``."""
        source = f"{self.source}, {at}" if at else self.source

        def register(judge: Callable[[pd.DataFrame], Judgement]) -> ClaimRule:
            self.rules.append(ClaimRule(id, text, source, expected, judge))
            return self.rules[-1]

        return register
