"""What a sweep's probes read by depth: for each line of the figure, one early run at its best rate.

The panels are those of :func:`normscope.plot`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import SubFigure

from normscope.protocol import select
from normscope.report.depth.layers import Layers, explain
from normscope.report.depth.moments import SCALE_INCHES, draw_power, label_fills, show_scale
from normscope.report.depth.spectra import draw_eigenvalues, label_eigenvalues
from normscope.report.labels import fitted, literal, shortened
from normscope.report.plots import Panel, bare, legend_below
from normscope.sweep.readings import early_step, final_errors, labels, runs_of
from normscope.sweep.settings import Sweep
from normscope.sweep.training_cell import train_network

_MEASURES: Mapping[str, Mapping[str, str]] = {
    "spectrum": {"lambda_min": "lambda_min", "lambda_max": "lambda_max"},
    "moments": {"output_mean": "mean", "output_variance": "variance"},
}
"""The measures that each probe's panels show, and the columns of :func:`normscope.plot`'s tables that they become."""

_PLACES = {"spectrum": "index", "moments": "channel"}
_NAME_INCHES = 1.7
_TITLE_INCHES, _TITLE_POINTS = 3.0, 10.0
_AROUND_INCHES = 0.85
_MOST_LINES = 12


@dataclasses.dataclass(frozen=True)
class EarlyRun:
    """The run whose panels stand for a line of the figure.

    Attributes:
        label: the line's entry in the legend, to be made :func:`~normscope.report.labels.literal`.
        rate: the rate with the smallest median error or loss of the line.
        seed: the first seed at that rate with readings at the early step; ``None`` when every run had diverged.
        tables: what each probe read, in the columns of :func:`normscope.plot`'s tables; empty without a seed.
    """

    label: str
    rate: float
    seed: int | None
    tables: Mapping[str, pd.DataFrame]


def early_runs(table: pd.DataFrame, sweep: Sweep) -> list[EarlyRun]:
    """One run for every line that has runs, in the order of the legend."""
    rows = select(table, function=train_network.name)
    early = rows[rows["step"] == early_step(sweep)]
    errors, names, found = final_errors(table, sweep), labels(sweep), []
    for arrangement, label in zip(names, fitted(names.values()), strict=True):
        runs = runs_of(errors, arrangement)
        if runs.empty:
            continue
        medians = runs.groupby("rate")["value"].median()
        rate = float(medians.index[int(medians.argmin())])
        read = runs_of(early[early["rate"] == rate], arrangement)
        read = read[read["measure"].isin([name for probe in sweep.probes for name in _MEASURES[probe]])]
        seed = None if read.empty else int(read["seed"].min())
        tables = {
            probe: _table(read[read["seed"] == seed], probe) for probe in sweep.probes if seed is not None
        }
        filled = {probe: one for probe, one in tables.items() if not one.empty}
        found.append(EarlyRun(label, rate, seed, filled))
    return found


_Panel = tuple[Panel, Layers, pd.DataFrame]

Row = Sequence[tuple[str, EarlyRun]]
"""Panels side by side: of each, the probe and the run."""


def panel_rows(runs: Sequence[EarlyRun], probes: Sequence[str], columns: int) -> list[Row]:
    """The panels in rows of at most ``columns``: all in one row, or else a row a probe, its lines side by side.

    Of many lines, the first twelve have panels.
    """
    runs = runs[:_MOST_LINES]
    probes = [probe for probe in _MEASURES if probe in probes]
    if len(runs) * len(probes) <= columns:
        return [[(probe, run) for probe in probes for run in runs]]
    blocks = [runs[start : start + columns] for start in range(0, len(runs), columns)]
    return [[(probe, run) for run in block] for block in blocks for probe in probes]


def row_inches(row: Row) -> float:
    """The height of a row of panels, with its titles and labels."""
    panels = [_layers(run.tables[probe]).inches for probe, run in row if probe in run.tables]
    scale = SCALE_INCHES if any(probe == "moments" for probe, _ in row) else 0
    return max(panels, default=1.0) + _AROUND_INCHES + scale


def after_early_step(sweep: Sweep) -> str:
    """When the early readings are taken, in words."""
    step = early_step(sweep)
    return f"after {step} step{'s' if step > 1 else ''}"


def draw_rows(figure: SubFigure, rows: Sequence[Row], sweep: Sweep) -> None:
    """Draw the panels, with one scale of eigenvalues and one of colours for all of them, and a legend below."""
    shown, count = len({run.label for row in rows for _, run in row}), len(sweep.arrangements())
    few = f" (the first {shown} of {count} lines)" if shown == _MOST_LINES < count else ""
    figure.suptitle(f"By depth {after_early_step(sweep)}, each line at its best rate{few}", fontsize=11)
    columns = max(map(len, rows))
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=[row_inches(row) for row in rows])
    spectra: list[_Panel] = []
    heat_maps: list[list[_Panel]] = []
    for panels, row in zip(grid, rows, strict=True):
        for axes in panels[len(row) :]:
            axes.remove()
        drawn = {
            probe: [
                _panel(axes, one, run) for axes, (one, run) in zip(panels, row, strict=False) if one == probe
            ]
            for probe in _MEASURES
        }
        spectra += [panel for panel in drawn["spectrum"] if panel is not None]
        heat_maps.append([panel for panel in drawn["moments"] if panel is not None])
    _draw_spectra(spectra)
    _draw_moments(figure, [row for row in heat_maps if row])
    legend_below(figure, [axes for axes, _, _ in itertools.chain(spectra, *heat_maps)])


def _panel(axes: Panel, probe: str, run: EarlyRun) -> _Panel | None:
    """A panel with its title and its axis of layers; ``None`` where there is nothing to draw in it."""
    title = literal(shortened(run.label, _TITLE_INCHES, _TITLE_POINTS))
    if probe not in run.tables:
        axes.set_title(f"{title}\nrate {run.rate:g}", fontsize=_TITLE_POINTS)
        axes.set_axis_off()
        why = "every run had diverged" if run.seed is None else "no layer was measured"
        axes.text(0.5, 0.5, why, ha="center", transform=axes.transAxes)
        return None
    axes.set_title(f"{title}\nrate {run.rate:g}, seed {run.seed}", fontsize=_TITLE_POINTS)
    bare(axes)
    layers = _layers(run.tables[probe])
    layers.show(axes)
    return axes, layers, run.tables[probe]


def _draw_spectra(panels: Sequence[_Panel]) -> None:
    edges: set[str] = set()
    for axes, layers, table in panels:
        if axes is not panels[0][0]:
            axes.sharex(panels[0][0])
        edges |= draw_eigenvalues(axes, layers, table)
    if panels:
        label_eigenvalues(panels[0][0])
        explain(panels[0][0], edges)


def _draw_moments(figure: SubFigure, rows: Sequence[Sequence[_Panel]]) -> None:
    tables = [table for row in rows for _, _, table in row]
    for row in rows:
        scale = show_scale(figure, [axes for axes, _, _ in row], tables)
        for axes, layers, table in row:
            draw_power(axes, layers, table, scale)
    if rows:
        label_fills(rows[0][0][0], tables)


def _layers(table: pd.DataFrame) -> Layers:
    return Layers.of(table, _NAME_INCHES)


def _table(rows: pd.DataFrame, probe: str) -> pd.DataFrame:
    """What a probe read in one run, as a table of :func:`normscope.plot`'s: layers in the order in which they ran."""
    names, place = _MEASURES[probe], _PLACES[probe]
    rows = rows[rows["measure"].isin(list(names))]
    if rows.empty:
        return rows
    places = rows[["layer", place]].drop_duplicates()
    found = rows.pivot(index=["layer", place], columns="measure", values="value").rename(columns=dict(names))
    found = places.merge(found.reset_index(), how="left")
    return found.assign(power=found["mean"] ** 2 + found["variance"]) if probe == "moments" else found
