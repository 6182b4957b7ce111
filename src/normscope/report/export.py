"""The scorecard for other programs: CSV for spreadsheets and scripts, a LaTeX table for a manuscript."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from normscope.protocol import Verdict
from normscope.report.latex import escape
from normscope.report.scorecard import MeasuredNumber, measured_numbers, verdict

CSV_COLUMNS = (
    "experiment", "claim", "verdict", "measured", "interval", "expected", "text", "source", "reason", "scale", "seeds",
    "data", "data_note",
)  # fmt: skip

_MARKS = {
    Verdict.HOLDS: r"$\checkmark$", Verdict.FAILS: r"$\times$", Verdict.UNDECIDED: "?", Verdict.NOT_JUDGED: "--",
}  # fmt: skip

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
    """A scorecard as CSV, one line a claim.

    The field ``measured`` is a JSON object of the measured numbers by name, unrounded, and ``interval`` one of the 95 %
    intervals over seeds, ``[low, high]``, by the same names; non-finite numbers are strings, as in ``scorecard.json``.

    Args:
        rows: the scorecard, from :meth:`Result.scorecard() <normscope.protocol.Result.scorecard>` or from the file.
    """
    text = io.StringIO(newline="")
    text.write(",".join(CSV_COLUMNS) + "\n")
    # Every text is quoted: the module's own choice leaves out texts with a carriage return, which then end a line.
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        measured, interval = (
            json.dumps(row.get(field, {}), ensure_ascii=False) for field in ("measured", "interval")
        )
        fields = {**row, "verdict": verdict(row), "measured": measured, "interval": interval}
        writer.writerow({column: fields.get(column, "") for column in CSV_COLUMNS})
    return text.getvalue()


def to_latex(rows: Iterable[Mapping[str, Any]]) -> str:
    r"""A scorecard as a LaTeX table that breaks across pages, for ``\input`` in a manuscript.

    It needs the packages amssymb, array, booktabs and longtable, and compiles with pdflatex.

    Args:
        rows: the scorecard, from :meth:`Result.scorecard() <normscope.protocol.Result.scorecard>` or from the file.
    """
    groups = itertools.groupby(
        rows, key=lambda row: (row["experiment"], row["scale"], row.get("data_note", ""))
    )
    bodies = [_latex_group(*name, list(group)) for name, group in groups]
    return _HEAD + "\\midrule\n".join(bodies) + _FOOT


def _latex_group(experiment: str, scale: str, data_note: str, rows: Sequence[Mapping[str, Any]]) -> str:
    head = (
        rf"\multicolumn{{3}}{{@{{}}l}}{{\texttt{{{escape(experiment)}}}, {escape(scale)} scale}} \\*[2pt]"
        "\n"
    )
    if data_note:
        head += (
            rf"\multicolumn{{3}}{{@{{}}p{{\linewidth}}}}{{\raggedright {escape(data_note)}}} \\*[2pt]" "\n"
        )
    return head + "\\addlinespace\n".join(_latex_row(row) for row in rows)


def _latex_row(row: Mapping[str, Any]) -> str:
    claim = (
        rf"{escape(row['text'])} ({escape(row['source'])})\newline \emph{{Test:}} {escape(row['expected'])}"
    )
    if row["reason"]:
        claim += rf"\newline \emph{{Note:}} {escape(row['reason'])}"
    measured = r" \newline ".join(_latex_number(number) for number in measured_numbers(row))
    return rf"{claim} & {_MARKS[verdict(row)]} & {measured} \\" "\n"


def _latex_number(number: MeasuredNumber) -> str:
    words = " ".join(rf"\mbox{{{escape(part)}}}" for part in (number.value, number.interval) if part)
    return rf"{escape(number.name)} \hspace*{{\fill}}{words}"
