"""Tables as the cells of Bjorck et al.'s alignment fill them, from numbers that a test chooses."""

import pandas as pd
from chai_tables import scattered

from normscope.papers.bjorck2018.cells.alignment import (
    PICKS,
    SUMS,
    layer_alignment,
    weight_alignment,
    weight_terms,
)
from normscope.papers.bjorck2018.layers import layer_name


def _run(function, norm, seed, rows, depth=110, batch=128):
    where = {"norm": norm, "seed": seed, "depth": depth, "batch": batch, "place": "after"}
    return pd.DataFrame(rows).assign(function=function.name, **where)


def _each(values, seeds, scatter):
    """norm, seed, the norm's values, and the seed's own factor."""
    for place, (norm, value) in enumerate(values.items()):
        for seed in range(seeds):
            yield norm, seed, value, scattered(1.0, seed, seeds, place, scatter)


def layer_rows(sums, seeds=3, scatter=1e-3, **where):
    """``sums``: norm → layer's number → the four sums in millionths; only the last of them scatters."""
    tables = []
    for norm, seed, layers, factor in _each(sums, seeds, scatter):
        rows = [
            {"measure": measure, "layer": layer_name(number), "value": value * 1e-6 * scale}
            for number, row in layers.items()
            for measure, value, scale in zip(SUMS, row, (1, 1, 1, factor), strict=True)
        ]
        tables.append(_run(layer_alignment, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def weight_rows(ratios, layer=54, seeds=3, scatter=1e-3, terms=1e-4, **where):
    """``ratios``: norm → |Σ d| / Σ|d| by weight; None is a weight without any term."""
    tables = []
    for norm, seed, by_weight, factor in _each(ratios, seeds, scatter):
        rows = []
        for index, ratio in enumerate(by_weight):
            values = (0.0, 0.0) if ratio is None else (terms, ratio * factor * terms)
            for measure, value in zip(("abs_terms", "abs_gradient"), values, strict=True):
                rows.append({"measure": measure, "layer": layer_name(layer), "index": index, "value": value})
        tables.append(_run(weight_alignment, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def term_rows(picks, layer=90, seeds=3, scatter=1e-3, **where):
    """``picks``: norm → pick → (alignment, mean); the standard deviation is 1, and the histogram always the same."""
    tables = []
    for norm, seed, by_pick, factor in _each(picks, seeds, scatter):
        rows = []
        for pick in PICKS:
            alignment, mean = by_pick[pick]
            numbers = {
                "weight": 7,
                "alignment": alignment * factor,
                "mean": mean * factor,
                "std": 1.0,
                "zeros": 0.25,
            }
            rows += [{"measure": f"{pick}_{name}", "value": value} for name, value in numbers.items()]
            for name, values in (("bin_edge", (-2.0, 0.0, 2.0)), ("bin_count", (30.0, 98.0))):
                rows += [
                    {"measure": f"{pick}_{name}", "index": i, "value": value}
                    for i, value in enumerate(values)
                ]
        rows = [{"layer": layer_name(layer), **row} for row in rows]
        tables.append(_run(weight_terms, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)
