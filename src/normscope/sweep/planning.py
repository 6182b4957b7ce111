"""What a sweep is about to do: which cells are found, which are new, and about how long those will take."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping

from normscope.protocol import Cell
from normscope.sweep.store import Store

_BYTES_PER_CELL = 8_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """About how much a plan's new cells will take.

    Attributes:
        seconds: wall-clock time with the plan's workers.
        bytes: disk space.
        measured: whether the time rests on finished cells of this store, rather than on the authors' estimates alone.
    """

    seconds: float
    bytes: int
    measured: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cells of a sweep by key: those the store has and those it lacks, the longest first."""

    reused: Mapping[str, Cell]
    new: Mapping[str, Cell]
    workers: int
    estimate: Estimate


def plan(cells: Mapping[str, Cell], store: Store, workers: int, *, fresh: bool = False) -> Plan:
    """Find which of the wanted cells the store has.

    Args:
        cells: the wanted cells by key.
        store: where finished ones stand.
        workers: how many will run side by side.
        fresh: leave the store's cells aside and run every one anew.
    """
    durations: dict[str, list[float]] = defaultdict(list)
    reused: dict[str, Cell] = {}
    for key, cell in cells.items():
        stored = None if fresh else store.read(key)
        if stored is not None:
            reused[key] = cell
            durations[cell.function].append(stored.seconds / cell.cost)
    missing = [item for item in cells.items() if item[0] not in reused]
    new = dict(sorted(missing, key=lambda item: -item[1].cost))
    pace = {function: statistics.median(ratios) for function, ratios in durations.items()}
    return Plan(reused, new, workers, _estimate(new.values(), pace, workers))


def _estimate(cells: Iterable[Cell], pace: Mapping[str, float], workers: int) -> Estimate:
    usual = statistics.median(pace.values()) if pace else 1.0
    costs = [cell.cost * pace.get(cell.function, usual) for cell in cells]
    seconds = max(sum(costs) / workers, max(costs, default=0.0))
    return Estimate(seconds, _BYTES_PER_CELL * len(costs), bool(pace))
