"""The scorecard for other programs: CSV for spreadsheets and scripts, a LaTeX table for a manuscript."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from normscope.errors import printable
from normscope.protocol import Verdict
from normscope.report.latex import escape
from normscope.report.scorecard import MeasuredNumber, as_number, measured_numbers, verdict
from normscope.report.spreadsheets import BREAKS, as_cell

CSV_COLUMNS = (
    "experiment", "claim", "verdict", "measured", "interval", "expected", "text", "source", "reason", "scale", "seeds",
    "data", "data_note", "bounds", "deciding", "published",
)  # fmt: skip

_MARKS = {
    Verdict.HOLDS: r"$\checkmark$", Verdict.FAILS: r"$\times$", Verdict.UNDECIDED: "?", Verdict.NOT_JUDGED: "--",
}  # fmt: skip

_LONGEST_LATEX = 2000

_HEAD = r"""% The scorecard of a normscope run. In the preamble: \usepackage{amssymb,array,booktabs,longtable}
\begingroup
\small
\setlength{\LTleft}{0pt}
\setlength{\LTright}{0pt}
\begin{longtable}{@{}>{\raggedright\arraybackslash}p{0.47\linewidth}c>{\raggedright\arraybackslash}p{0.39\linewidth}@{}}
\toprule
Claim & Holds & Measured \\
\midrule
\endhead
\bottomrule
\addlinespace
\multicolumn{3}{@{}l}{\footnotesize $\checkmark$~holds, $\times$~does not hold, ?~undecided, --~not judged} \\
\multicolumn{3}{@{}l}{\footnotesize [low, high]: the 95\,\% interval over seeds} \\
\endlastfoot
"""
_FOOT = r"""\end{longtable}
\endgroup
"""


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    r"""A scorecard as CSV, one line a claim.

    The field ``measured`` is a JSON object of the measured numbers by name, unrounded, and ``interval`` one of the 95 %
    intervals over seeds, ``[low, high]``, by the same names; non-finite numbers are strings, as in ``scorecard.json``.
    ``published`` has the source's own numbers by the same names, and ``bounds`` the range that each comparison must be
    in, such as ``{"error A / B": {"most": 1.25}}``.

    No spreadsheet takes a text for a formula: an apostrophe is put before a cell that begins with ``= + - @``, with the
    full-width form of one, with a tab or with the end of a line, also after spaces, and before a part of a text that
    would be such a cell where ``;`` separates cells. A text that is a number stays. Control characters other than tabs
    and ends of lines, and lone surrogates, are written as escapes such as ``\x1b``.

    Args:
        rows: the scorecard, from :meth:`Result.scorecard() <normscope.protocol.Result.scorecard>` or from the file.
    """
    text = io.StringIO(newline="")
    text.write(",".join(CSV_COLUMNS) + "\n")
    # Every text is quoted: the module's own choice leaves out texts with a carriage return, which then end a line.
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        interval = {_name(name): [*map(_number, ends)] for name, ends in row.get("interval", {}).items()}
        bounds = {_name(name): _numbers(ends) for name, ends in row.get("bounds", {}).items()}
        fields = {
            **row,
            "verdict": str(verdict(row)),
            "measured": _json(_numbers(row["measured"])),
            "interval": _json(interval),
            "bounds": _json(bounds),
            "published": _json(_numbers(row.get("published", {}))),
        }
        cells = {column: fields.get(column, "") for column in CSV_COLUMNS}
        writer.writerow(
            {name: as_cell(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
        )
    return text.getvalue()


def _json(numbers: Mapping[str, Any]) -> str:
    return json.dumps(numbers, ensure_ascii=False)


def _numbers(numbers: Mapping[str, Any]) -> dict[str, float | str]:
    return {_name(name): _number(value) for name, value in numbers.items()}


def _name(name: str) -> str:
    """A number's name that is still the same JSON when it is a cell."""
    return printable(name, keep=BREAKS)


def _number(value: Any) -> float | str:
    """A number as JSON has it."""
    number = as_number(value)
    if not math.isfinite(number):
        return str(number)
    return value if isinstance(value, int | float) else number


def to_latex(rows: Iterable[Mapping[str, Any]]) -> str:
    r"""A scorecard as a LaTeX table that breaks across pages, for ``\input`` in a manuscript.

    It needs the packages amssymb, array, booktabs and longtable, and compiles with pdflatex, whatever the texts are: no
    character of theirs is an instruction. A text of more than 2,000 characters is cut.

    Args:
        rows: the scorecard, from :meth:`Result.scorecard() <normscope.protocol.Result.scorecard>` or from the file.
    """
    groups = itertools.groupby(
        rows, key=lambda row: (row["experiment"], row["scale"], row.get("data_note", ""))
    )
    bodies = [_latex_group(*name, list(group)) for name, group in groups]
    return _HEAD + "\\midrule\n".join(bodies) + _FOOT


def _latex_group(experiment: str, scale: str, data_note: str, rows: Sequence[Mapping[str, Any]]) -> str:
    heads = [rf"\texttt{{{_latex(experiment)}}}, {_latex(scale)} scale", *filter(None, [_latex(data_note)])]
    # Each is as wide as the page: LaTeX stops at a column that is wider than 5.7 m.
    lines = [
        rf"\multicolumn{{3}}{{@{{}}p{{\linewidth}}@{{}}}}{{\raggedright {head}}} \\*[2pt]" for head in heads
    ]
    return "\n".join([*lines, ""]) + "\\addlinespace\n".join(_latex_row(row) for row in rows)


def _latex_row(row: Mapping[str, Any]) -> str:
    claim = (
        f"{_latex(row['text'])}\n({_latex(row['source'])})\n"
        rf"\newline \emph{{Test:}} {_latex(row['expected'])}"
    )
    if row["reason"]:
        claim += "\n" rf"\newline \emph{{Note:}} {_latex(row['reason'])}"
    measured = " \\newline\n".join(_latex_number(number) for number in measured_numbers(row))
    return rf"{claim} & {_MARKS[verdict(row)]} & {measured} \\" "\n"


def _latex_number(number: MeasuredNumber) -> str:
    words = " ".join(rf"\mbox{{{escape(part)}}}" for part in (number.value, number.interval) if part)
    published = rf" \mbox{{(published {escape(number.published)})}}" if number.published else ""
    return rf"{_latex(number.name)} \hspace*{{\fill}}{words}{published}"


def _latex(text: str) -> str:
    """A text as LaTeX; a longer one than any of ours is cut, since TeX reads no line of more than 200,000 letters."""
    return escape(text if len(text) <= _LONGEST_LATEX else f"{text[:_LONGEST_LATEX]}…")
