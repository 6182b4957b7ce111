"""Which cells a run finds finished, which are new, and about how much time and disk the new ones take."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from normscope.protocol import Cell
from normscope.store import Store

_BYTES_PER_CELL = 8_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """About how much a plan's new cells take.

    Attributes:
        seconds: wall-clock time with the plan's workers.
        bytes: disk space.
        measured: whether the time is based on finished cells of this store, not on the authors' estimates alone.
    """

    seconds: float
    bytes: int
    measured: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cells of a run.

    Attributes:
        reused: the cells that the store has, by key.
        new: the cells to run, by key, the longest first.
        workers: number of cells to run side by side.
        estimate: what the new cells take.
        damaged: number of damaged files found in the store; their cells are new.
        again: the keys of the new cells that the store had, and that are to run again all the same. Any other new cell
            that is in the store when its turn comes has been finished by another process, and does not run.
    """

    reused: Mapping[str, Cell]
    new: Mapping[str, Cell]
    workers: int
    estimate: Estimate
    damaged: int = 0
    again: Collection[str] = dataclasses.field(default=frozenset(), kw_only=True)


def plan(cells: Mapping[str, Cell], store: Store, workers: int, *, fresh: bool = False) -> Plan:
    """Find which of the wanted cells the store has.

    Nothing is run or written; but a damaged file is set aside, as whenever one is read.

    Args:
        cells: the wanted cells by key.
        store: where finished cells are.
        workers: number of cells to run side by side.
        fresh: run every cell, also those that the store has.

    Raises:
        StoreError: the store cannot be read.
    """
    damaged_before = store.set_aside
    found = {} if fresh else store.find(cells)
    again = cells.keys() & store.keys() if fresh else frozenset()
    reused = {key: cell for key, cell in cells.items() if key in found}
    durations: dict[str, list[float]] = defaultdict(list)
    for key, cell in reused.items():
        durations[cell.name].append(found[key].seconds / cell.cost)
    missing = [item for item in cells.items() if item[0] not in reused]
    new = dict(sorted(missing, key=lambda item: -item[1].cost))
    pace = {name: statistics.median(ratios) for name, ratios in durations.items()}
    estimate = _estimate(new.values(), pace, workers)
    return Plan(reused, new, workers, estimate, store.set_aside - damaged_before, again=again)


def _estimate(cells: Iterable[Cell], pace: Mapping[str, float], workers: int) -> Estimate:
    usual = statistics.median(pace.values()) if pace else 1.0
    costs = [cell.cost * pace.get(cell.name, usual) for cell in cells]
    seconds = max(sum(costs) / workers, max(costs, default=0.0))
    return Estimate(seconds, _BYTES_PER_CELL * len(costs), bool(pace))
