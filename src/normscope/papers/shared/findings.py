"""Collects what a claim finds that compares several things, such as the same variants at several rates."""

from __future__ import annotations

from collections.abc import Mapping

from normscope.papers.shared.estimates import Estimate, Pairs, fewest_seeds, ordered, overlapping
from normscope.protocol import Judgement


class Findings:
    """The numbers, comparisons and remarks of one claim; it holds when every comparison does.

    Example:
        >>> found = Findings()
        >>> found.measure({"error at 0.1": 0.02})
        >>> found.compare(0.02 < 0.03, seeds=5)
        >>> found.judgement().holds
        True
    """

    def __init__(self) -> None:
        self.comparisons: list[bool] = []
        self._measured: dict[str, float] = {}
        self._seeds: list[int] = []
        self._remarks: list[str] = []

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Report numbers, by name."""
        self._measured |= numbers

    def compare(self, holds: bool, seeds: int, remark: str = "") -> None:
        """Add a comparison: whether it holds, over how many seeds, and what a reader should know of it."""
        self.comparisons.append(bool(holds))
        self._seeds.append(seeds)
        self.remark(remark)

    def compare_order(self, pairs: Pairs, estimates: Mapping[str, Estimate], when: str = "") -> None:
        """Compare estimates: the first of every pair must be smaller; the remark says how many intervals overlap.

        Args:
            pairs: names of the estimates compared.
            estimates: by name.
            when: what the remark begins with, such as ``"at rate 0.1 "``.
        """
        self.compare(ordered(pairs, estimates), fewest_seeds(estimates), when + overlapping(pairs, estimates))

    def remark(self, text: str) -> None:
        """Add to the reason; an empty remark adds nothing."""
        if text:
            self._remarks.append(text)

    def judgement(self) -> Judgement:
        """What was found: every comparison must hold; the seeds are the fewest of any comparison."""
        return Judgement(self._measured, all(self.comparisons), min(self._seeds), "; ".join(self._remarks))
