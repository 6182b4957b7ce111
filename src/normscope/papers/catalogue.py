"""The catalogue: every experiment by name, with its source. Importing this file imports nothing heavy.

To add an experiment, add one :class:`~normscope.papers.entry.Entry` to its paper's ``entries.py``; a new paper is
described in :mod:`normscope.papers.sources`.
"""

from __future__ import annotations

from collections.abc import Iterable

from normscope.errors import UnknownNameError
from normscope.papers.bjorck2018 import entries as _bjorck2018
from normscope.papers.chai2020 import entries as _chai2020
from normscope.papers.entry import Entry
from normscope.protocol import Experiment

ENTRIES: tuple[Entry, ...] = (*_chai2020.ENTRIES, *_bjorck2018.ENTRIES)


def find(pattern: str) -> list[Entry]:
    """The entries that a pattern matches: one by its name or an alias, all below a dotted prefix, or ``"all"``.

    A prefix matches whole dotted parts: ``bjorck2018.fig1`` does not match ``bjorck2018.fig10``.

    Raises:
        UnknownNameError: when it matches none; the message offers the nearest names.
    """
    prefix = f"{pattern.removesuffix('.')}."
    found = [
        entry
        for entry in ENTRIES
        if pattern in ("all", entry.id, *entry.aliases) or entry.id.startswith(prefix)
    ]
    if not found:
        papers = sorted({entry.paper.id for entry in ENTRIES})
        names = [name for entry in ENTRIES for name in (entry.id, *entry.aliases)]
        raise UnknownNameError("experiment", pattern, [*names, *papers, "all"])
    return found


def load(patterns: Iterable[str]) -> list[Experiment]:
    """The experiments that any of several patterns matches, each once, in the catalogue's order.

    Raises:
        UnknownNameError: when a pattern matches none.
    """
    wanted = {entry.id for pattern in patterns for entry in find(pattern)}
    return [entry.load() for entry in ENTRIES if entry.id in wanted]


def shown_by(patterns: Iterable[str]) -> dict[str, Entry]:
    """Of those patterns that are aliases, the experiment that shows each."""
    return {name: entry for name in patterns for entry in ENTRIES if name in entry.aliases}
