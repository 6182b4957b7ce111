"""Lines of a report as they become known, checks that go on after a failure, and a budget of time."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO


class OutOfTimeError(Exception):
    """A piece of work has used up its time."""


@dataclasses.dataclass
class Report:
    """Prints lines to the standard output, and to a file if one is given.

    Attributes:
        seconds: the time for everything.
        most: the time for one piece of work.
        file: where the lines go, too.
        failed: the names of the checks that failed, with the reasons.
        skipped: the names of what there was no time for.
        passed: the number of checks that passed.
    """

    seconds: float
    most: float = 60.0
    file: TextIO | None = None
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: list[str] = dataclasses.field(default_factory=list)
    passed: int = 0

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        signal.signal(signal.SIGALRM, _raise)

    @property
    def spent(self) -> float:
        """Seconds since the report began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds that are left of the budget."""
        return self.seconds - self.spent

    def say(self, words: str = "") -> None:
        """Print a line."""
        for stream in filter(None, (sys.stdout, self.file)):
            print(words, file=stream, flush=True)

    def head(self, title: str, *columns: str) -> None:
        """Print a title and, if there are columns, the head of a table."""
        self.say(f"\n### {title}\n")
        if columns:
            self.say(f"| {' | '.join(columns)} |")
            self.say(f"|{'---|' * len(columns)}")

    def row(self, *cells: object) -> None:
        """Print a row of a table."""
        self.say(f"| {' | '.join(map(str, cells))} |")

    def check(self, name: str, tolerance: float, error: Callable[[], float], more: str = "") -> None:
        """Print whether an error is within its tolerance, with both; one that is not a number fails."""
        began = time.monotonic()
        try:
            with self._limited(name):
                found = error()
        except OutOfTimeError:
            self._skip(name)
            return
        except Exception as problem:
            self.failed[name] = (
                f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
            )
            self.row(name, "", f"{tolerance:.0e}", f"FAILED: {self.failed[name]}", "")
            traceback.print_exc()
            return
        fits = found <= tolerance
        if fits:
            self.passed += 1
        else:
            self.failed[name] = f"error {found:.2e}, allowed {tolerance:.0e}"
        words = " ".join(filter(None, ("ok" if fits else "FAILED", more)))
        self.row(name, f"{found:.1e}", f"{tolerance:.0e}", words, f"{time.monotonic() - began:.1f} s")

    def measure(self, name: str, columns: int, work: Callable[[], tuple[object, ...]]) -> None:
        """Print what was measured as a row; a piece of work that raises an error counts as failed."""
        try:
            with self._limited(name):
                self.row(name, *work())
        except OutOfTimeError:
            self._skip(name, columns)
        except Exception as problem:
            self.failed[name] = f"{type(problem).__name__}: {problem}"
            self.row(name, f"FAILED: {self.failed[name]}", *[""] * (columns - 1))
            traceback.print_exc()

    def summary(self) -> int:
        """Print what failed and what was skipped; the exit status."""
        self.head("Summary")
        self.say(f"{self.passed} checks passed, {len(self.failed)} failed, in {self.spent:.0f} s.")
        for name, reason in self.failed.items():
            self.say(f"- FAILED {name}: {reason}")
        for name in self.skipped:
            self.say(f"- no time for {name}")
        return 1 if self.failed else 0

    def _skip(self, name: str, columns: int = 4) -> None:
        self.skipped.append(name)
        self.row(name, "no time", *[""] * (columns - 1))

    @contextlib.contextmanager
    def _limited(self, name: str) -> Iterator[None]:
        """Stop a piece of work when it takes too long; do not begin it when no time is left."""
        limit = min(self.most, self.left)
        if limit <= 0:
            raise OutOfTimeError(name)
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _raise(number: int, frame: FrameType | None) -> None:
    raise OutOfTimeError
