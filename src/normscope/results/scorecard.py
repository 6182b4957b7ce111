"""The scorecard file, ``scorecard.json``: every claim with what this machine measured, updated run by run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscope.errors import InputError
from normscope.results.files import write_text

_FIELDS = (
    "experiment", "claim", "text", "source", "expected", "measured", "holds", "verdict", "interval", "reason", "scale",
    "seeds",
)  # fmt: skip
_NEWER_FIELDS = {"verdict", "interval"}
"""Fields that rows of older files lack."""


class Scorecard:
    """The scorecard of a results folder: one row per claim, as :meth:`normscope.protocol.Result.scorecard` lists them.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """All rows; none when there is no file yet. Rows of older files may lack ``verdict`` and ``interval``.

        Raises:
            InputError: when the file cannot be read or is not a scorecard.
        """
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))
            needed = set(_FIELDS) - _NEWER_FIELDS
            if not all(isinstance(row, dict) and needed <= set(row) for row in rows):
                raise ValueError("rows lack fields")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}.") from error
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self.path} is not a normscope scorecard ({error}); move it away and run again."
            ) from error
        return list(rows)

    def update(self, rows: Iterable[Mapping[str, Any]], order: Sequence[str]) -> None:
        """Replace the rows of the same experiment and claim, add the new ones, and keep all others.

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
        card = sorted(merged.values(), key=lambda row: rank.get(row["experiment"], len(rank)))
        write_text(self.path, json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
