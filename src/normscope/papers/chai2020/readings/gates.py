"""What Figs. 6 and 7 say of the gates: how often they act, and whether an equality is one by identity."""

import pandas as pd

from normscope.papers.chai2020.cells.gates import gate_activity
from normscope.papers.chai2020.cells.lenet import VARIANTS, EarlySpectrum
from normscope.papers.shared import Findings, Profile, combinations
from normscope.protocol import Cell, NotJudgedError

GATED = {"amplify": "batch", "suppress": "none"}
"""The gated variants, and the variant that each is, but for Suppress's γ and β, while its gate does not act."""


def list_cells(profile: Profile, rate: float) -> list[Cell]:
    """One epoch of both gated variants at a rate."""
    return combinations(
        gate_activity, profile, norm=GATED, rate=[rate], steps=[profile.images // EarlySpectrum.batch]
    )


_SAME = {
    "amplify": "BN_Amplify is BatchNorm",
    "suppress": "BN_Suppress is Baseline but for the γ and β that it trains",
}


def report_gate(
    found: Findings,
    table: pd.DataFrame,
    norm: str,
    rate: float,
    steps: int | None = None,
    *,
    is_equality: bool = True,
) -> None:
    """Report the share of channels on which a variant's gate acted, and whether it is the other variant.

    Args:
        found: the findings of a claim.
        table: the experiment's table.
        norm: the gated variant.
        rate: the learning rate.
        steps: only the first so many steps; ``None`` for all that were recorded.
        is_equality: whether the claim says that the two variants are equal: it may then hold by identity.
    """
    try:
        rows = gate_activity.rows(table, norm=norm, rate=rate, measure="share_above")
    except NotJudgedError:
        return  # a folder from before gates were counted
    if steps is not None:
        rows = rows[rows["step"] <= steps]
    share = float(rows["value"].mean())
    found.measure({f"share of channels above the threshold, {VARIANTS[norm]}": share})
    if share == 0:
        run = f"in {int(rows['step'].max())} steps of {rows['seed'].nunique()} seeds"
        why = f"{run} no channel's power was above the threshold, so that {_SAME[norm]}"
        (found.identical if is_equality else found.remark)(why)
