"""Plans, numbers and times in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normscope.runner import Plan


def plan_sentence(plan: Plan) -> str:
    """A plan in a sentence: the number of found and of new cells, and the time and disk the new ones take."""
    estimate = plan.estimate
    found = f"{len(plan.reused)} cells found"
    if plan.damaged:
        found += f" ({counted(plan.damaged, 'damaged file')}, whose cells run again)"
    if not plan.new:
        return f"{found}, none to run."
    basis = "going by the finished ones" if estimate.measured else "a rough guess before the first run here"
    return (
        f"{found}, {len(plan.new)} to run: about {duration(estimate.seconds)} "
        f"on {counted(plan.workers, 'worker')}, {estimate.bytes / 1e6:.1f} MB of disk ({basis})."
    )


def counted(count: int, thing: str) -> str:
    """A number of things, such as ``"1 cell"`` or ``"2 cells"``."""
    return f"{count:,} {thing}{'s' if count != 1 else ''}"


def duration(seconds: float) -> str:
    """A length of time in seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def rate(per_second: float) -> str:
    """Cells per second or per minute."""
    if per_second >= 1:
        return f"{per_second:.1f} cells/s"
    return f"{per_second * 60:.1f} cells/min"
