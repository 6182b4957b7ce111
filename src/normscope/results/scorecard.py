"""The scorecard file, ``scorecard.json``: every claim with what this machine measured, updated run by run.

Each row has a checksum over its fields, its place and the number of all rows, so that a row that is changed, moved or
lost is noticed. A file of an older version, in which no row has a checksum, is read as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscope.disk.sealing import CHECKSUM, checksum, parse_json
from normscope.disk.values import is_number, is_whole
from normscope.errors import DamagedError
from normscope.papers.other_data import base_of
from normscope.protocol import Verdict
from normscope.results.files import read, write_text

_FIELDS = (
    "experiment", "claim", "text", "source", "expected", "measured", "holds", "verdict", "interval", "reason", "scale",
    "seeds", "data", "data_note", "bounds", "deciding", "published",
)  # fmt: skip
_TEXTS = (
    "experiment", "claim", "text", "source", "expected", "reason", "scale", "data", "data_note", "deciding",
)  # fmt: skip
_NEWER_FIELDS = {"verdict", "interval", "data", "data_note", "bounds", "deciding", "published"}
"""Fields that rows of older files lack."""
_NOT_FINITE = ("nan", "inf", "-inf")
_MOST_BYTES = 2**26


class Scorecard:
    """The scorecard of a results folder: one row per claim, as :meth:`normscope.protocol.Result.scorecard` lists them.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """All rows, without their checksums; none when there is no file yet.

        Rows of older files may lack the fields that are newer.

        Raises:
            DamagedError: the file is not what was written, or something else than a file is in its place.
            CannotReadError: the system refuses now, or there is too little memory.
        """
        try:
            content = read(self.path, _MOST_BYTES)
        except FileNotFoundError:
            return []
        try:
            return _checked(parse_json(content))
        except DamagedError as error:
            raise DamagedError(f"{self.path} is damaged: {error}.") from None

    def merged(
        self, old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]], order: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Rows in which the new ones replace those of the same experiment and claim; all other old ones stay.

        An experiment that was run on other data than the paper's has a name of its own, so it never replaces the
        paper's; its rows follow these.

        Args:
            old: the rows before.
            new: the new rows.
            order: names of experiments, in the order in which their rows are listed; all others come last.
        """
        rows = {(row["experiment"], row["claim"]): dict(row) for row in old}
        for row in new:
            rows[row["experiment"], row["claim"]] = {name: row[name] for name in _FIELDS}
        rank = {id: place for place, id in enumerate(order)}

        def place(row: Mapping[str, Any]) -> tuple[int, str]:
            base = base_of(row["experiment"])
            return rank.get(base, len(rank)), row["experiment"].removeprefix(base)

        return sorted(rows.values(), key=place)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows, each with its checksum.

        Call it while the results folder is locked (:meth:`normscope.results.ResultsFolder.writing`).

        Raises:
            InputError: when the file cannot be written.
        """
        sealed = [{**row, CHECKSUM: _seal(row, number, len(rows))} for number, row in enumerate(rows)]
        write_text(self.path, json.dumps(sealed, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def unjudged(row: Mapping[str, Any], why: str) -> dict[str, Any]:
    """A row whose claim is not judged any more; what the claim says stays."""
    return {
        "data": "", "data_note": "", "published": {}, **row,
        "measured": {}, "holds": None, "verdict": str(Verdict.NOT_JUDGED), "interval": {}, "bounds": {}, "deciding": "",
        "reason": why, "seeds": 0,
    }  # fmt: skip


def _seal(row: Mapping[str, Any], number: int, count: int) -> str:
    return checksum({"row": row, "number": number, "of": count})


def _checked(rows: Any) -> list[dict[str, Any]]:
    """The rows without their checksums, once everything in them is verified."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DamagedError("it is no list of rows")
    seals = [row.pop(CHECKSUM, None) for row in rows]
    for number, row in enumerate(rows):
        if problem := _problem(row):
            raise DamagedError(f"row {number + 1} {problem}")
    if any(seal is not None for seal in seals):
        for number, (row, seal) in enumerate(zip(rows, seals, strict=True)):
            if seal != _seal(row, number, len(rows)):
                raise DamagedError(f"row {number + 1} does not match its checksum")
    if len({(row["experiment"], row["claim"]) for row in rows}) < len(rows):
        raise DamagedError("it has two rows of one claim")
    return rows


def _problem(row: Mapping[str, Any]) -> str:
    """What is wrong with a row, in words; empty if nothing is."""
    if not set(_FIELDS) - _NEWER_FIELDS <= row.keys() <= set(_FIELDS):
        return "has other fields than a row of a scorecard"
    if not all(isinstance(row.get(field, ""), str) for field in _TEXTS):
        return "has something else in a text's place"
    if not _is_verdict(row):
        return "has no valid verdict"
    intervals, bounds = row.get("interval", {}), row.get("bounds", {})
    if not all(map(_is_json_numbers, (row["measured"], row.get("published", {})))):
        return "has something else in a number's place"
    if not isinstance(bounds, dict) or not all(map(_is_range, bounds.values())):
        return "has something else in a bound's place"
    if not isinstance(intervals, dict) or not all(map(_is_interval, intervals.values())):
        return "has something else in an interval's place"
    return "" if is_whole(row["seeds"]) else "has no valid number of seeds"


def _is_verdict(row: Mapping[str, Any]) -> bool:
    holds = row["holds"]
    if holds is not None and not isinstance(holds, bool):
        return False
    verdict = row.get("verdict")
    if "verdict" not in row:
        return True
    return isinstance(verdict, str) and verdict in list(Verdict) and Verdict(verdict).holds is holds


def _is_json_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_json_number, value.values()))


def _is_range(value: Any) -> bool:
    """Whether it is a range, as :attr:`normscope.protocol.Comparison.bounds` is one."""
    return _is_json_numbers(value) and value.keys() <= {"least", "above", "most", "below"}


def _is_json_number(value: Any) -> bool:
    """Whether it is a finite number, or one of the texts for the others."""
    return is_number(value) or (isinstance(value, str) and value in _NOT_FINITE)


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_json_number, value))
