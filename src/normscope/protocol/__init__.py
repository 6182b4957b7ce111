"""What all rooms agree on: cells, the table they fill, experiments, claims, results.

A :class:`Cell` is one independent piece of work; its rows follow one :mod:`schema <normscope.protocol.table>`. An
:class:`Experiment` lists the cells it needs and turns their rows into judged claims and a figure; a :class:`Result`
holds all of these. Nothing here imports torch or matplotlib.
"""

from normscope.protocol.cells import (
    CPU_ONLY,
    EVERY_DEVICE,
    WITH_FLOAT64,
    Cell,
    CellFunction,
    canonical_config,
    cell,
    known_cell,
)
from normscope.protocol.claims import (
    IDENTITY,
    Claim,
    ClaimRule,
    Claims,
    Comparison,
    Judgement,
    NotJudgedError,
    Verdict,
    claim,
)
from normscope.protocol.experiment import (
    Experiment,
    FixedExperiment,
    GrowingExperiment,
    Profile,
    Result,
    Scale,
)
from normscope.protocol.table import COLUMNS, Rows, empty_table, select

__all__ = [
    "COLUMNS",
    "CPU_ONLY",
    "EVERY_DEVICE",
    "IDENTITY",
    "WITH_FLOAT64",
    "Cell",
    "CellFunction",
    "Claim",
    "ClaimRule",
    "Claims",
    "Comparison",
    "Experiment",
    "FixedExperiment",
    "GrowingExperiment",
    "Judgement",
    "NotJudgedError",
    "Profile",
    "Result",
    "Rows",
    "Scale",
    "Verdict",
    "canonical_config",
    "cell",
    "claim",
    "empty_table",
    "known_cell",
    "select",
]
