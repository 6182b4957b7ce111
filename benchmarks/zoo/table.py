"""The columns of the table, and its text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from benchmarks.zoo import probes, surgery
from benchmarks.zoo.architecture import Architecture
from benchmarks.zoo.check import Cell, Check, checked
from benchmarks.zoo.forms import forms
from benchmarks.zoo.subject import Subject

Row = Mapping[str, Cell]

COLUMNS: Mapping[str, Check] = {
    "batch": partial(surgery.replace, spec="batch"),
    "layer": partial(surgery.replace, spec="layer"),
    "rms": partial(surgery.replace, spec="rms"),
    "remove": surgery.remove,
    "insert": surgery.insert,
    "calibrate": surgery.calibrate,
    "fold": surgery.fold,
    "spectrum": probes.spectrum,
    "moments": probes.moments,
    "forms": forms,
}

_WIDTH = 14


def rows(
    architectures: Iterable[Architecture], columns: Iterable[str]
) -> Iterator[tuple[Architecture, Row, float]]:
    """The cells of each architecture, and the seconds that they took."""
    columns = tuple(columns)
    for architecture in architectures:
        begin = time.perf_counter()
        subject = Subject.of(architecture)
        row = {column: checked(COLUMNS[column], subject) for column in columns}
        yield architecture, row, time.perf_counter() - begin


def head(columns: Iterable[str]) -> str:
    """The line of the columns' names."""
    return f"{'':35}{'norms':7}" + "".join(f"{column:{_WIDTH}}" for column in columns) + "seconds"


def line(architecture: Architecture, row: Row, seconds: float) -> str:
    """The line of one architecture."""
    cells = "".join(f"{cell.text if cell.right else 'WRONG':{_WIDTH}}" for cell in row.values())
    return f"{architecture.name:35}{architecture.norms:7}{cells}{seconds:7.1f}"


def sentences(architecture: Architecture, row: Row) -> Iterator[str]:
    """What was wrong or refused, a line each."""
    for column, cell in row.items():
        for text in (*cell.sentences, *(() if cell.right else (f"WRONG: {cell.text}",))):
            yield f"{architecture.name}, {column}: {text}"
