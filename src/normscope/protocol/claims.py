"""A claim: a sentence of a source turned into a comparison on measured numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


VERDICTS: Mapping[bool | None, str] = {True: "holds", False: "does not hold", None: "not judged"}
"""The words for ``holds``: true, false, or null where the claim could not be judged."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a source, judged on this machine's numbers.

    Attributes:
        id: its name within the experiment.
        text: the source's sentence, in our words.
        source: where the source makes it, such as ``"Chai et al. 2020, Fig. 6"``.
        expected: the comparison that decides it.
        measured: the numbers compared, by name.
        holds: whether it holds; ``None`` when it could not be judged.
        reason: why it could not be judged, why it may not hold, or what else a reader should know.
        seeds: the number of seeds that the numbers are medians over.
    """

    id: str
    text: str
    source: str
    expected: str
    measured: Mapping[str, float]
    holds: bool | None
    reason: str = ""
    seeds: int = 0

    @property
    def verdict(self) -> str:
        """``"holds"``, ``"does not hold"`` or ``"not judged"``."""
        return VERDICTS[self.holds]

    def to_json(self) -> dict[str, Any]:
        """The claim as JSON values, non-finite numbers as strings."""
        fields = dataclasses.asdict(self)
        fields["claim"] = fields.pop("id")
        fields["measured"] = {
            name: float(value) if math.isfinite(value) else str(float(value))
            for name, value in self.measured.items()
        }
        return fields


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a claim's rule finds: the measured numbers, whether the claim holds, and the number of seeds."""

    measured: Mapping[str, float]
    holds: bool | None
    seeds: int
    reason: str = ""


class NotJudgedError(Exception):
    """Raised inside a claim's rule when the table cannot decide it; the message says why."""


@dataclasses.dataclass(frozen=True)
class ClaimRule:
    """A claim before it is judged; calling it on a table returns the judged :class:`Claim`.

    Attributes:
        id, text, source, expected: as in :class:`Claim`.
        judge: the comparison, a function of the table.
        discussion: what is known of why it may not hold: our reading, our scale, or the source. It becomes part of
            the reason of a claim that does not hold.
    """

    id: str
    text: str
    source: str
    expected: str
    judge: Callable[[pd.DataFrame], Judgement]
    discussion: str = ""

    def __call__(self, table: pd.DataFrame) -> Claim:
        """The claim, judged on a table."""
        try:
            found = self.judge(table)
        except NotJudgedError as missing:
            found = Judgement({}, None, 0, str(missing))
        holds = None if found.holds is None else bool(found.holds)
        remarks = (found.reason, self.discussion if holds is False else "")
        reason = ". ".join(remark for remark in remarks if remark)
        return Claim(
            self.id, self.text, self.source, self.expected, found.measured, holds, reason, found.seeds
        )


def claim(
    id: str, text: str, source: str, expected: str, discussion: str = ""
) -> Callable[[Callable[[pd.DataFrame], Judgement]], ClaimRule]:
    """The decorator that makes a function of the table into the :class:`ClaimRule` of a claim."""
    return lambda judge: ClaimRule(id, text, source, expected, judge, discussion)


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
        self, id: str, text: str, expected: str, discussion: str = "", *, at: str = ""
    ) -> Callable[[Callable[[pd.DataFrame], Judgement]], ClaimRule]:
        """The decorator; ``at`` adds the place within the source, such as ``"eq. 6"``."""
        source = f"{self.source}, {at}" if at else self.source

        def register(judge: Callable[[pd.DataFrame], Judgement]) -> ClaimRule:
            self.rules.append(ClaimRule(id, text, source, expected, judge, discussion))
            return self.rules[-1]

        return register
