"""A small results folder, and everything that can be wrong with one of its files."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import trial

from normscope import cli
from normscope.papers import catalogue
from normscope.papers.entry import Entry
from normscope.papers.sources import Paper
from normscope.protocol import Rows, Scale
from normscope.results import ResultsFolder, RunMetadata
from normscope.sweep import Sweep
from normscope.sweep.training_cell import train_network

SECONDS = 120
SWEEP = "a-sweep"
HUGE = 10**400
DEEP = "deep"  # stands for a nesting without end, which no value of Python can hold
WRONG: tuple[Any, ...] = (None, 7, HUGE, "x", [1], {"a": 1}, {"a": None}, [["a"]], DEEP)

Damage = Callable[[Path], None]


@contextlib.contextmanager
def trial_catalogue() -> Iterator[None]:
    """The trial experiment as the only one of the catalogue."""
    paper = Paper("trial", "A. Nobody", "Nobody", 2020, "Roots", "a school", "Roots grow.")
    entry = Entry(trial.ID, "roots of numbers", paper, "Fig. 1", module="trial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "ENTRIES", (entry,))
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # the command line takes its place
        patch.setenv("TRIAL_SECONDS", "0")
        yield


def command(*words: object) -> tuple[int, str]:
    """Run a command in this process; its exit status and its complaints.

    An error that the command does not expect is raised, and so is one when it waits for too long.
    """
    complaints = io.StringIO()
    before = signal.signal(signal.SIGALRM, _waits)
    signal.alarm(SECONDS)
    try:
        with (
            contextlib.redirect_stderr(complaints),
            contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())),
            warnings.catch_warnings(action="always"),
        ):
            cli.main([str(word) for word in words])
    except SystemExit as end:
        return end.code, complaints.getvalue()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    raise AssertionError("the command ended without a status")


def _waits(number: int, frame: object) -> None:
    raise AssertionError("the command waits for something that never comes")


def build(path: Path) -> ResultsFolder:
    """A results folder with every cell of the trial, its table, a user's sweep, and a note of an unfinished run."""
    folder = ResultsFolder(path)
    cells = {cell.key(str): cell for cell in trial.EXPERIMENT.cells(Scale.QUICK, None)}
    for key, cell in cells.items():
        folder.store.write(key, trial.count_from(cell.config), {"seconds": 0.1})
    about = RunMetadata(Scale.QUICK, {"cells": "40"}, {"a cell": "slow"}, ("A note.",), data="", data_note="")
    folder.experiment(trial.ID).write_table(folder.store.table(cells), about)
    sweep = Sweep.of("nobody.at:home", norm="nobody.at:Norm", lr="0.1,1", seeds=1, epochs=1)
    folder.experiment(SWEEP).write_table(
        sweep_table(sweep),
        RunMetadata(Scale.QUICK, {"norms": "a"}, {}, sweep=sweep.to_json(), data="mnist5k"),
    )
    folder.experiment(SWEEP).write_unfinished(list(cells)[:3])
    return folder


def sweep_table(sweep: Sweep):
    """The table of a finished sweep, with the error of each run."""
    rows = Rows()
    rows.add("validation_error", 0.1, epoch=1)
    parts = []
    for number, run in enumerate(sweep.runs()):
        config = {**dataclasses.asdict(run), "probes": "[]"}
        parts.append(
            rows.table().to_pandas().assign(cell=f"{number:032x}", function=train_network.name, **config)
        )
    return pd.concat(parts, ignore_index=True)


def damages(*, forged: bool) -> Iterator[tuple[str, Damage]]:
    """Everything that can be wrong, each with a name.

    Args:
        forged: whether the checksums are right all the same, as somebody would make them who wants to do harm.
    """
    for id, entries in (
        (trial.ID, ("scale", "settings", "failures", "notes", "data", "data_note")),
        (SWEEP, ("sweep",)),
    ):
        for entry in entries:
            for value in WRONG:
                yield f"{entry} of {id} is {short(value)}", changed_metadata(id, [entry], value, forged)
    for field in (*Sweep.of("lenet").to_json(), "more"):
        for value in WRONG[:6]:
            yield (
                f"sweep's {field} is {short(value)}",
                changed_metadata(SWEEP, ["sweep", field], value, forged),
            )
    for field in (
        "experiment",
        "claim",
        "text",
        "measured",
        "holds",
        "verdict",
        "interval",
        "seeds",
        "scale",
        "data",
        "bounds",
        "deciding",
        "published",
    ):
        for value in WRONG:
            yield f"scorecard's {field} is {short(value)}", changed_row(field, value, forged)
    for place in (f"{trial.ID}/data.parquet", "scorecard.json", f"{SWEEP}/unfinished.json", "report.html"):
        for name, content in (
            ("empty", b""),
            ("zeros", bytes(5000)),
            ("torn", None),
            ("[]", b"[]"),
            ("null", b"null"),
        ):
            yield f"{place} is {name}", replaced(place, content)
    for column in ("value", "cell", "function", "measure", "start", "index"):
        yield f"the column {column} is lost", changed_column(column, None, forged)
        yield f"the column {column} has texts", changed_column(column, "x", forged)


def short(value: Any) -> str:
    """A value in a few characters."""
    return "a number of 400 digits" if value == HUGE else json.dumps(value)


def changed_metadata(id: str, path: list[str], value: Any, forged: bool) -> Damage:
    def damage(out: Path) -> None:
        table = out / id / "data.parquet"
        rows = pq.ParquetFile(table).read()
        about = json.loads(rows.schema.metadata[b"normscope"])
        place = about
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        write_table(table, rows, about, forged)

    return damage


def changed_column(column: str, value: Any, forged: bool) -> Damage:
    def damage(out: Path) -> None:
        table = out / trial.ID / "data.parquet"
        rows = pq.ParquetFile(table).read()
        about = json.loads(rows.schema.metadata[b"normscope"])
        rows = rows.drop_columns(column)
        if value is not None:
            rows = rows.append_column(column, [[value] * len(rows)])
        write_table(table, rows, about, forged)

    return damage


def write_table(path: Path, rows: Any, about: dict[str, Any], forged: bool) -> None:
    about.pop("sealed", None)
    words = json.dumps(about).replace(f'"{DEEP}"', "[" * 50_000 + "]" * 50_000)
    if forged and DEEP not in json.dumps(about):
        from normscope.disk.tables import table_bytes

        path.write_bytes(table_bytes(rows.replace_schema_metadata(None), about))
    else:
        pq.write_table(rows.replace_schema_metadata({b"normscope": words.encode()}), path)


def changed_row(field: str, value: Any, forged: bool) -> Damage:
    def damage(out: Path) -> None:
        path = out / "scorecard.json"
        rows = [{**row, field: value} for row in json.loads(path.read_text())]
        for row in rows:
            row.pop("checksum", None)
        if forged:
            from normscope.results.scorecard import _seal

            rows = [{**row, "checksum": _seal(row, place, len(rows))} for place, row in enumerate(rows)]
        path.write_text(json.dumps(rows).replace(f'"{DEEP}"', "[" * 50_000 + "]" * 50_000))

    return damage


def replaced(place: str, content: bytes | None) -> Damage:
    def damage(out: Path) -> None:
        path = out / place
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)

    return damage


PLACES = (
    "report.html", "scorecard.json", ".lock", f"{trial.ID}/data.parquet", f"{trial.ID}/figure.svg",
    f"{trial.ID}/figure.png", f"{SWEEP}/unfinished.json", trial.ID, "_unreadable", f"{trial.ID}/_unreadable",
)  # fmt: skip
"""What may be something else than it should be in a received folder."""


def put(kind: str, path: Path, private: Path) -> None:
    """Put something else in a file's or folder's place: a link to what is private, a pipe, a socket, a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if kind == "link to a file":
        path.symlink_to(private / "file")
    elif kind == "link to a folder":
        path.symlink_to(private)
    elif kind == "dangling link":
        path.symlink_to(private / "missing")
    elif kind == "link to itself":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as one:
            here = os.getcwd()
            os.chdir(path.parent)  # the system allows a hundred letters only
            one.bind(path.name)
            os.chdir(here)
    elif kind == "folder":
        path.mkdir()
        (path / "mine").write_text("mine")
    else:
        path.write_text("a file")


KINDS = (
    "link to a file", "link to a folder", "dangling link", "link to itself", "pipe", "socket", "folder", "file",
)  # fmt: skip
