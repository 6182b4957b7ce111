"""The scorecard: ``scorecard.json``, every claim with what this machine measured, kept up to date run by run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from normscope.errors import InputError
from normscope.results.files import write_text

_NAME = "scorecard.json"
_FIELDS = (
    "experiment",
    "claim",
    "text",
    "source",
    "expected",
    "measured",
    "holds",
    "reason",
    "scale",
    "seeds",
)


def read_scorecard(folder: Path) -> list[dict[str, Any]]:
    """The rows of a folder's scorecard; none when it has no scorecard yet.

    Raises:
        InputError: when the file is there but is not a scorecard.
    """
    path = folder / _NAME
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(row, dict) and set(_FIELDS) <= set(row) for row in rows):
            raise ValueError("rows lack fields")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is not a normscope scorecard ({error}); move it away and run again."
        ) from error
    return list(rows)


def update_scorecard(
    folder: Path, rows: Iterable[dict[str, Any]], order: Sequence[str]
) -> list[dict[str, Any]]:
    """Put rows in their places by (experiment, claim); other rows stay as they are.

    Args:
        folder: the results folder.
        rows: the new rows.
        order: the experiments' names in the order in which they are to stand; unknown ones come last.

    Returns:
        The whole scorecard.
    """
    with FileLock(folder / f".{_NAME}.lock"):
        merged = {(row["experiment"], row["claim"]): row for row in read_scorecard(folder)}
        merged |= {(row["experiment"], row["claim"]): {name: row[name] for name in _FIELDS} for row in rows}
        places = {id: place for place, id in enumerate(order)}
        card = sorted(merged.values(), key=lambda row: places.get(row["experiment"], len(places)))
        write_text(folder / _NAME, json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return card
