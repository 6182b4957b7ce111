"""The scorecard file, ``scorecard.json``: every claim with what this machine measured, updated run by run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscope.errors import InputError
from normscope.papers.other_data import base_of
from normscope.protocol import Verdict
from normscope.results.files import write_text

_FIELDS = (
    "experiment", "claim", "text", "source", "expected", "measured", "holds", "verdict", "interval", "reason", "scale",
    "seeds", "data", "data_note",
)  # fmt: skip
_TEXTS = ("experiment", "claim", "text", "reason", "data", "data_note")
_NEWER_FIELDS = {"verdict", "interval", "data", "data_note"}
"""Fields that rows of older files lack."""


class Scorecard:
    """The scorecard of a results folder: one row per claim, as :meth:`normscope.protocol.Result.scorecard` lists them.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """All rows; none when there is no file yet. Rows of older files may lack the fields that are newer.

        Raises:
            InputError: when the file cannot be read or is not a scorecard.
        """
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))
            for row in rows:
                _check_row(row)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}.") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path} is not a normscope scorecard ({error}); move it away and run again."
            ) from error
        return list(rows)

    def update(self, rows: Iterable[Mapping[str, Any]], order: Sequence[str]) -> None:
        """Replace the rows of the same experiment and claim, add the new ones, and keep all others.

        An experiment that was run on other data than the paper's has a name of its own, so it never replaces the
        paper's; its rows follow these.

        Call it while the results folder is locked (:meth:`normscope.results.ResultsFolder.writing`).

        Args:
            rows: the new rows.
            order: names of experiments, in the order in which their rows are listed; all others come last.

        Raises:
            InputError: when the file is not a scorecard or cannot be written.
        """
        merged = {(row["experiment"], row["claim"]): row for row in self.read()}
        for row in rows:
            merged[row["experiment"], row["claim"]] = {name: row[name] for name in _FIELDS}
        rank = {id: place for place, id in enumerate(order)}

        def place(row: Mapping[str, Any]) -> tuple[int, str]:
            base = base_of(row["experiment"])
            return rank.get(base, len(rank)), row["experiment"].removeprefix(base)

        card = sorted(merged.values(), key=place)
        write_text(self.path, json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _check_row(row: Any) -> None:
    """Raise an error, in words, when something is not a row of a scorecard."""
    if not isinstance(row, dict) or not set(_FIELDS) - _NEWER_FIELDS <= set(row):
        raise ValueError("rows lack fields")
    name = f"{row['experiment']} {row['claim']}"
    if not all(isinstance(row.get(field, ""), str) for field in _TEXTS):
        raise ValueError(f"{name} has a text that is none")
    holds = row["holds"]
    if holds not in (True, False, None) or ("verdict" in row and Verdict(row["verdict"]).holds is not holds):
        raise ValueError(f"the verdict of {name} is not one")
    ends = [end for interval in row.get("interval", {}).values() for end in _two(interval)]
    for number in (*row["measured"].values(), *ends):
        float(number)


def _two(interval: Any) -> Any:
    if not isinstance(interval, list) or len(interval) != 2:
        raise ValueError("an interval has two ends")
    return interval
