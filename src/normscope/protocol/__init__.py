"""What the rooms agree on: cells, the table they fill, experiments, claims, results.

A :class:`Cell` is one independent piece of work; its rows follow one :mod:`schema <normscope.protocol.table>`. An
:class:`Experiment` says which cells it needs and turns their rows into :class:`Claim` verdicts and a figure; a
:class:`Result` holds what came of it. Nothing here imports torch or matplotlib.
"""

from normscope.protocol.cell import Cell, CellFunction, canonical_config, cell, resolve_function
from normscope.protocol.claim import VERDICTS, Claim, ClaimRule, Judgement, NotJudgedError, claim
from normscope.protocol.experiment import Experiment, FixedExperiment, Profile, Result, Scale
from normscope.protocol.table import COLUMNS, Rows, empty_table, select

__all__ = [
    "COLUMNS",
    "VERDICTS",
    "Cell",
    "CellFunction",
    "Claim",
    "ClaimRule",
    "Experiment",
    "FixedExperiment",
    "Judgement",
    "NotJudgedError",
    "Profile",
    "Result",
    "Rows",
    "Scale",
    "canonical_config",
    "cell",
    "claim",
    "empty_table",
    "resolve_function",
    "select",
]
