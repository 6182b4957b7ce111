"""The figure of :mod:`normscope.papers.chai2020.fig10`: curves, noise amplification, jitter."""

import contextlib
import dataclasses

import pandas as pd

from normscope.papers import shared
from normscope.papers.chai2020.cells.arrangements import (
    ARRANGEMENTS,
    FIRST_FIXED,
    LABELS,
    LARGE_EPS,
    PAPERS_FIVE,
    SUM,
)
from normscope.papers.chai2020.profiles import PAPER_NOISE
from normscope.papers.chai2020.readings.noise import amplification, curves_of, error_curves, noise_levels
from normscope.papers.shared import Contrast, contrasts, curves
from normscope.protocol import NotJudgedError
from normscope.report import plots

_PAPERS = {
    "baseline": plots.Look(plots.BLACK, "o", "--"),
    "batch": plots.Look(plots.VERMILION, "s", "-"),
    "prior": plots.Look(plots.BLUE, "v", "-."),
    "nlms_l1": plots.Look("#B8860B", "^", "-."),
    "nlms_l2": plots.Look(plots.GREEN, "D", "-"),
}
"""The colours of Figs. 6 to 8 where an arrangement is theirs."""

LOOKS = {
    **_PAPERS,
    **{
        name: dataclasses.replace(_PAPERS[name.rpartition("_")[0]], marker=marker)
        for reading, marker in ((SUM, "P"), (LARGE_EPS, "X"), (FIRST_FIXED, "<"))
        for name in reading
    },
}
"""Every arrangement; a reading has the colour of the paper's arrangement, and a marker of its own."""


def draw(table: pd.DataFrame) -> plots.Figure:
    """Columns are rates; rows the curves without and with noise, the noise amplification, and the jitter's change."""
    errors, chance = error_curves(table), shared.chance_error(table)
    by_epoch = errors.melt(ignore_index=False).reset_index()
    rates, noises = list(errors.index.unique("rate")), (0.0, PAPER_NOISE)
    figure, panels = plots.new_figure(len(rates) * 4, columns=len(rates))
    letters = iter("abcdefgh")
    rows = [panels[start : start + len(rates)] for start in range(0, len(panels), len(rates))]
    for noise, row in zip(noises, rows, strict=False):
        for axes, rate in zip(row, rates, strict=True):
            axes.sharey(panels[0])
            lines = by_epoch[(by_epoch["rate"] == rate) & (by_epoch["noise"] == noise)]
            shared.epoch_axis(axes)
            shared.error_axis(axes, chance)
            shared.draw_lines(axes, lines, "epoch", LABELS, _PAPERS, "arrangement")
            axes.set_title(f"({next(letters)}) rate {rate:g}, {f'noise {noise:g}' if noise else 'no noise'}")
            plots.label_edges(axes, left=axes is row[0], bottom=noise == noises[-1])
    for axes, rate in zip(rows[2], rates, strict=True):
        found = [_amplifications(table, rate, noise) for noise in noise_levels(table)]
        axes.set(xscale="log", xlabel="noise amplification D")
        shared.draw_contrasts(axes, found, LABELS, LOOKS)
        axes.set_title(f"({next(letters)}) noise amplification, rate {rate:g}")
    for axes, rate in zip(rows[3], rates, strict=True):
        axes.set(xscale="log", xlabel="jitter with noise / without")
        shared.draw_contrasts(axes, [_jitters(errors, rate, chance)], LABELS, LOOKS)
        axes.axvline(1, color="0.6", linewidth=0.8, zorder=0)
        axes.set_title(f"({next(letters)}) jitter, rate {rate:g}")
    for axes in (*rows[2], *rows[3]):
        plots.plain_numbers(axes.xaxis)
    plots.legend_below(figure)
    return figure


def _amplifications(table: pd.DataFrame, rate: float, noise: float) -> dict[str, Contrast]:
    """D of every arrangement that has one."""
    found = {}
    for name in ARRANGEMENTS:
        with contextlib.suppress(NotJudgedError):
            samples = amplification(table, [name], rate, noise)[name]
            found[name] = contrasts.ratio(LABELS[name], samples, dict.fromkeys(samples.index, 1.0))
    return found


def _jitters(errors: pd.DataFrame, rate: float, chance: float) -> dict[str, Contrast]:
    """The jitter with the paper's noise over that without, of every arrangement that has one."""
    found = {}
    for name in PAPERS_FIVE:
        with contextlib.suppress(NotJudgedError):
            noisy, quiet = (
                curves.jitter(curves_of(errors, name, rate, noise), chance) for noise in (PAPER_NOISE, 0.0)
            )
            found[name] = contrasts.ratio(LABELS[name], noisy, quiet)
    return found
