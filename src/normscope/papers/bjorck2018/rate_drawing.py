"""How trials of learning rates ended: a row a setting, a marker a rate and outcome."""

from collections.abc import Mapping

import pandas as pd

from normscope.report import plots
from normscope.stability import Outcome

_LOOKS = {
    Outcome.SURVIVED: plots.Look(plots.BLUE, "o"),
    Outcome.AT_CHANCE: plots.Look(plots.ORANGE, "s"),
    Outcome.EXCEEDED: plots.Look(plots.VERMILION, "X"),
}


def draw_outcomes(ended: pd.DataFrame, column: str, names: Mapping[str, str]) -> plots.Figure:
    """One panel: rates across, settings downwards; beside each marker, how many seeds ended so.

    Args:
        ended: one row a trial, with ``rate``, ``outcome`` and the setting in a column.
        column: the column that tells settings apart.
        names: the settings in the order of the rows, with their names.
    """
    figure, (axes,) = plots.new_figure(1)
    figure.set_size_inches(7.5, 1.2 + 0.45 * len(names))
    add_outcomes(axes, ended, column, names)
    plots.legend_below(figure)
    return figure


def add_outcomes(axes: plots.Panel, ended: pd.DataFrame, column: str, names: Mapping[str, str]) -> None:
    """Draw the outcomes into a panel, as :func:`draw_outcomes` does."""
    plots.rate_axis(axes, "learning rate")
    rows = {name: row for row, name in enumerate(names)}
    counts = ended.groupby([column, "rate", "outcome"]).size().rename("seeds").reset_index()
    for shift, (outcome, look) in zip((-0.2, 0.0, 0.2), _LOOKS.items(), strict=True):
        found = counts[counts["outcome"] == outcome]
        heights = [rows[name] + shift for name in found[column]]
        if not found.empty:
            filled = outcome is Outcome.SURVIVED
            plots.markers(axes, found["rate"], heights, look, str(outcome), hollow=not filled)
        for across, height, count in zip(found["rate"], heights, found["seeds"], strict=True):
            axes.annotate(
                f"{count}", (across, height), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8,
                color="0.3",
            )  # fmt: skip
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), list(names.values()))
