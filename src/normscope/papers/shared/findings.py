"""Collects what a claim finds, and decides it: every comparison must hold.

A claim of several comparisons *holds* where each does at 95 %. It *does not hold* where one of them misses its range at
a level shared out among all (Bonferroni): among six comparisons without any effect, one in seven claims would have one
that misses at 95 % by chance. Anything between is *undecided*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from normscope.errors import InputError
from normscope.papers.shared.contrasts import CONFIDENCE, MOST_SEEDS, Contrast
from normscope.protocol import IDENTITY, Comparison, Judgement, NotJudgedError
from normscope.report.scorecard import in_words

_MOST_EXPLAINED = 3
"""Of the comparisons that keep a claim from holding; the measured numbers have the intervals of all."""


class Findings:
    """The numbers, comparisons and remarks of one claim.

    Example:
        >>> error = {0: 0.020, 1: 0.022, 2: 0.021}
        >>> found = Findings()
        >>> twice = {seed: 2 * one for seed, one in error.items()}
        >>> found.compare(contrasts.ratio("error A / B", error, twice, most=1.0))
        >>> found.judgement().holds
        True
    """

    def __init__(self, measured: Mapping[str, float] | None = None) -> None:
        self._measured: dict[str, float] = dict(measured or {})
        self._published: dict[str, float] = {}
        self._contrasts: list[Contrast] = []
        self._remarks: list[str] = []
        self._identity = ""

    @property
    def measured(self) -> Mapping[str, float]:
        """The numbers so far, by name."""
        return self._measured

    @property
    def seeds(self) -> int:
        """The fewest seeds of any comparison so far; 0 without any."""
        return min((contrast.seeds for contrast in self._contrasts), default=0)

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Report numbers, by name."""
        self._measured |= numbers

    def publish(self, numbers: Mapping[str, float]) -> None:
        """Show the source's own numbers beside the measured ones of the same names."""
        self._published |= numbers

    def compare(self, *contrasts: Contrast) -> None:
        """Add comparisons that must hold, and report their numbers."""
        self._contrasts += contrasts
        self._measured |= {contrast.name: contrast.value for contrast in contrasts}

    def remark(self, text: str) -> None:
        """Add to the reason; an empty remark adds nothing."""
        if text:
            self._remarks.append(text)

    def identical(self, why: str) -> None:
        """Say that what is compared is the same by construction: a claim that holds then holds by identity."""
        self._identity = why

    def judgement(self) -> Judgement:
        """What was found. The seeds are the fewest of any comparison.

        Raises:
            NotJudgedError: when a comparison has fewer than two seeds; what was measured goes with it.
            InputError: without any comparison.
        """
        if not self._contrasts:
            raise InputError("a claim needs at least one comparison.")
        try:
            comparisons = [contrast.comparison() for contrast in self._contrasts]
        except NotJudgedError as undecidable:
            raise self.not_judged(str(undecidable)) from undecidable
        holds = self._decide(comparisons)
        identity = f"{IDENTITY}: {self._identity}" if holds and self._identity else self._identity
        sentences = [*self._explain(comparisons, holds), identity, *self._remarks, *self._left_out()]
        reason = "; ".join(filter(None, sentences))
        return Judgement(self.measured, holds, self.seeds, reason, comparisons, self._published)

    def not_judged(self, why: str) -> NotJudgedError:
        """The error to raise where the table cannot decide the claim: it reports what was found all the same."""
        return NotJudgedError(why, self.measured, self.seeds, self._published)

    def _left_out(self) -> list[str]:
        """A remark on each comparison from which seeds are missing."""
        return [
            f"{contrast.name} is not a number for {contrast.left_out} seeds, which are left out"
            for contrast in self._contrasts
            if contrast.left_out
        ]

    def _decide(self, comparisons: Sequence[Comparison]) -> bool | None:
        if all(one.holds for one in comparisons):
            return True
        shared_out = 1 - (1 - CONFIDENCE) / len(comparisons)
        fails = any(contrast.decide(shared_out) is False for contrast in self._contrasts)
        return False if fails else None

    def _explain(self, comparisons: Sequence[Comparison], holds: bool | None) -> list[str]:
        """Sentences on the comparisons that keep the claim from holding."""
        if holds:
            return []
        others = [one for one in comparisons if not one.holds]
        blamed = [one for one in others if one.holds is holds or holds is None]
        sentences = [explain(one) for one in blamed[:_MOST_EXPLAINED]]
        if rest := len(blamed) - len(sentences):
            sentences.append(f"the same goes for {rest} more of the {len(comparisons)} comparisons")
        if holds is None and any(one.holds is False for one in others):
            sentences.append(
                f"one of {len(comparisons)} comparisons misses its bound that far by chance in more than 1 of 20 runs"
            )
        return sentences


def explain(comparison: Comparison) -> str:
    """A comparison that does not hold, or is undecided, in a sentence."""
    name, seeds = comparison.name, comparison.seeds
    value, low, high = (in_words(name, one) for one in (comparison.value, comparison.low, comparison.high))
    wanted = _range(comparison)
    sentence = f"{name} is {value}, over {seeds} seeds between {low} and {high}, and must be {wanted}"
    if comparison.holds is None:
        enough = comparison.enough
        sentence += f"; about {enough} seeds would decide it" if enough else f"; {_undecidable(comparison)}"
    return sentence


def _range(comparison: Comparison) -> str:
    name, least, most = comparison.name, comparison.least, comparison.most
    if least == -math.inf:
        return f"{'below' if comparison.strict else 'at most'} {in_words(name, most)}"
    if most == math.inf:
        return f"{'above' if comparison.strict else 'at least'} {in_words(name, least)}"
    return f"from {in_words(name, least)} to {in_words(name, most)}"


def _undecidable(comparison: Comparison) -> str:
    if math.inf in (comparison.high, -comparison.low):
        return "some seeds diverged, so that more seeds cannot be estimated"
    return f"more than {MOST_SEEDS:,} seeds would decide it"
