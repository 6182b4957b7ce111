"""One failing call in one command: what is drawn, and what must hold afterwards."""

from __future__ import annotations

import collections
import dataclasses
import errno
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from failing import Ended, Orders, Server, calls
from scenarios import SCENARIOS, Scenario, Starts, files, results, set_aside, torn

from normscope.store import Store

ERRORS = {
    "open": ("EIO", "EMFILE", "EACCES", "ENOSPC", "EDQUOT", "ESTALE", "EINTR"),
    "read": ("EIO", "ESTALE", "EINTR"),
    "write": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "flush": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "close": ("EIO", "ENOSPC", "EDQUOT"),
    "rename": ("EIO", "ENOSPC", "EDQUOT", "EACCES", "ESTALE"),
    "mkdir": ("EIO", "ENOSPC", "EDQUOT", "EACCES"),
    "unlink": ("EIO", "EACCES", "ESTALE"),
    "lock": ("EIO", "ENOLCK", "ESTALE", "EINTR"),
    "stat": ("EIO", "EACCES", "ESTALE"),
    "list": ("EIO", "EMFILE", "EACCES", "ESTALE"),
    "truncate": ("EIO", "EDQUOT"),
    "map": ("EACCES", "ENOMEM"),
    "allocate": ("ENOMEM",),
}
"""The errors that each kind of call is given."""


@dataclasses.dataclass(frozen=True)
class Slot:
    """A place in the table of points; the point itself depends on the calls that the command makes."""

    scenario: str
    role: str
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.scenario.replace(', ', '-')}:{self.role}:{self.kind}:{self.number}"


def slots() -> list[Slot]:
    """All places of failed calls: for each command, process and kind, as many as the command has slots."""
    return [
        Slot(scenario.name, role, kind, number)
        for scenario in SCENARIOS.values()
        for role in scenario.roles
        for kind in ERRORS
        if kind != "allocate"
        for number in range(scenario.slots)
    ]


@dataclasses.dataclass(frozen=True)
class Point:
    """A call that fails.

    Attributes:
        slot: the command, the process and the kind.
        nth: which call of the kind in the process.
        error: the name of its error.
        forever: whether all later calls of the kind fail as well.
        path: what the call was about in an undisturbed run.
    """

    slot: Slot
    nth: int
    error: str
    forever: bool
    path: str

    def __str__(self) -> str:
        often = "from then on" if self.forever else "once"
        return (
            f"{self.slot.scenario}: the {self.slot.role}'s {self.slot.kind} number {self.nth} ({self.path}) "
            f"fails {often} with {self.error}"
        )


def draw(slot: Slot, paths: Sequence[str], seed: int) -> Point | None:
    """The slot's point; ``None`` when the command makes fewer calls of the kind than there are slots.

    The first slot has a place anywhere, the second and third have the first and the last call, the others any again.
    """
    if slot.number >= len(paths):
        return None
    dice = random.Random(f"{seed} {slot}")
    nth = {1: 1, 2: len(paths)}.get(slot.number, dice.randint(1, len(paths)))
    error = dice.choice(ERRORS[slot.kind])
    forever = dice.random() < 1 / 3 and error != "EINTR"  # what is always interrupted never ends
    return Point(slot, nth, error, forever, paths[nth - 1])


def try_point(point: Point, server: Server, starts: Starts, root: Path) -> tuple[str, list[str]]:
    """Run the point's command with the failing call, and the command that ends the work.

    Returns:
        The outcome in a word, and what was wrong.
    """
    scenario = SCENARIOS[point.slot.scenario]
    starts.copy(scenario.start, root)
    log = root.with_suffix(".log")
    kind, error = point.slot.kind, getattr(errno, point.error)
    orders = str(Orders([root], log, kind, point.nth, error, point.forever))
    if point.slot.role == "driver":
        ended = scenario.run(server, root, orders=orders)
    else:
        ended = scenario.run(server, root, environment={"FAILING": orders})
    if not calls(log):
        return "not reached", []
    wrong = dict(judged(scenario, ended, starts, root))
    if point.error == "EINTR" and ended.status != 0 and kind not in ("rename", "mkdir"):
        wrong.setdefault(
            "other", f"an interrupted call ended the command with {ended.status}: {ended.stderr[-300:]}"
        )
    if (
        kind == "allocate"
        and ended.status in (1, 2)
        and "memory" not in (ended.stdout + ended.stderr).lower()
    ):
        wrong.setdefault("other", f"memory is not named: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return outcome(wrong, ended), list(wrong.values())


def outcome(wrong: Mapping[str, str], ended: Ended) -> str:
    """The outcome in a word for the table."""
    return next((kind for kind in ("traceback", "torn", "other") if kind in wrong), f"exit {ended.status}")


def judged(scenario: Scenario, ended: Ended, starts: Starts, root: Path) -> Iterator[tuple[str, str]]:
    """What is wrong after a disturbed command, each with its kind; runs the command that ends the work."""
    yield from _ending(ended)
    before = starts.state(scenario.start)
    reference = results(starts.state(scenario.reference))
    if broken := [path for path in files(root) if torn(path)]:
        yield "torn", f"torn: {', '.join(map(str, broken))}"
    if ended.status == 0 and (differ := _difference(results(root), reference)):
        yield "torn", f"exit status 0, but {differ}; {ended.stdout[-500:]}"
    if moved := set_aside(root) - set_aside(before):
        yield "other", f"moved aside as damaged: {sorted(map(str, moved))}"
    kept, cells = (Store(place / "runs" / "cells").keys() for place in (root, before))
    if scenario.name != "clean" and (lost := cells - kept):
        yield "other", f"lost {len(lost)} finished cells"
    again = scenario.run_again(starts.server, root)
    if again.status != 0:
        yield "other", f"the next run ends with {again.status}: {again.stderr[-1500:]}"
    elif differ := _difference(results(root), reference):
        yield "other", f"after the next run {differ}"
    if moved := set_aside(root) - set_aside(before):
        yield "other", f"the next run moved aside as damaged: {sorted(map(str, moved))}"


def _ending(ended: Ended) -> Iterator[tuple[str, str]]:
    """What is wrong with how a command ended."""
    for stream, text in (("stderr", ended.stderr), ("stdout", ended.stdout)):
        if "Traceback" in text or "Exception ignored" in text:
            yield "traceback", f"exit status {ended.status}, on {stream}:\n{text[-4000:]}"
            return
    if ended.status is None:
        yield "other", f"it did not end; {ended.stderr[-1000:]}"
    elif ended.status not in (0, 1, 2):
        yield "other", f"exit status {ended.status}; {ended.stderr[-1000:]}"
    elif ended.status == 2 or (ended.status == 1 and "failed: " not in ended.stdout):
        lines = [line for line in ended.stderr.splitlines() if line.startswith("normscope: ")]
        errors = [line for line in lines if not line.startswith("normscope: warning: ")]
        if len(errors) != 1 or ended.stderr.strip().splitlines()[-1] != errors[0]:
            words = f"exit status {ended.status} takes one line of reason, at the end, or a failed cell"
            yield "other", f"{words}; {ended.stdout[-500:]}{ended.stderr[-1000:]}"


def _difference(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> str:
    """How the results differ, in words; empty when they do not."""
    if lacking := sorted(wanted.keys() - found.keys()):
        return f"there is no {', '.join(lacking)}"
    if more := sorted(found.keys() - wanted.keys()):
        return f"there is also {', '.join(more)}"
    changed = sorted(name for name in wanted if wanted[name] != found[name])
    return f"{', '.join(changed)} is not as undisturbed" if changed else ""


def table(points: Sequence[tuple[str, str, str]]) -> list[str]:
    """Lines of a table: for each command and kind of call, the number of points by outcome.

    Args:
        points: command, kind and outcome of each.
    """
    outcomes = sorted({outcome for _, _, outcome in points})
    rows = sorted({(command, kind) for command, kind, _ in points})
    counts = collections.Counter(points)
    lines = ["".join([f"{'command':22}{'call':10}", *(f"{outcome:>12}" for outcome in outcomes)])]
    lines += [
        "".join(
            [
                f"{command:22}{kind:10}",
                *(f"{counts[command, kind, outcome] or '':>12}" for outcome in outcomes),
            ]
        )
        for command, kind in rows
    ]
    sums = [sum(outcome == found for *_, found in points) for outcome in outcomes]
    return [*lines, "".join([f"{f'{len(points)} points':32}", *(f"{count:>12}" for count in sums)])]
