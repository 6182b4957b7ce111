"""Tables as the cells of Bjorck et al.'s gradients fill them, from numbers that a test chooses."""

import numpy as np
import pandas as pd
from chai_tables import scattered

from normscope.papers.bjorck2018.cells.gradients import (
    channel_contributions,
    kernel_gradients,
    layer_gradients,
)
from normscope.papers.bjorck2018.layers import layer_name

CHANNELS = 16


def _run(function, norm, seed, rows, depth=110, place="after"):
    return pd.DataFrame(rows).assign(function=function.name, norm=norm, seed=seed, depth=depth, place=place)


def _each(values, seeds, scatter):
    """norm, seed, the norm's values, and the seed's own factor."""
    for place, (norm, value) in enumerate(values.items()):
        for seed in range(seeds):
            yield norm, seed, value, scattered(1.0, seed, seeds, place, scatter)


def statistics_rows(
    statistics, layer=55, seeds=3, scatter=1e-3, edges=(-1.0, 0.0, 1.0), counts=(3, 5), **where
):
    """``statistics``: norm → measure → number; the histogram is the same in every run."""
    tables = []
    for norm, seed, numbers, factor in _each(statistics, seeds, scatter):
        rows = [{"measure": measure, "value": number * factor} for measure, number in numbers.items()]
        rows += [{"measure": "bin_edge", "value": edge, "index": index} for index, edge in enumerate(edges)]
        rows += [
            {"measure": "bin_count", "value": count, "index": index} for index, count in enumerate(counts)
        ]
        rows = [{"layer": layer_name(layer), **row} for row in rows]
        tables.append(_run(kernel_gradients, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def pair_rows(matrices, layer, seeds=3, scatter=1e-3, **where):
    """``matrices``: norm → mean |gradient| (output channels, input channels); seeds raise it to their own power."""
    tables = []
    for norm, seed, matrix, factor in _each(matrices, seeds, scatter):
        rows = [
            {
                "measure": "pair_gradient",
                "layer": layer_name(layer),
                "channel": output,
                "index": given,
                "value": value,
            }
            for (output, given), value in np.ndenumerate(np.asarray(matrix) ** factor)
        ]
        tables.append(_run(kernel_gradients, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def channel_rows(channels, layer=35, seeds=3, **where):
    """``channels``: norm → measure → number by channel."""
    tables = []
    for norm, seed, numbers, _ in _each(channels, seeds, 0.0):
        rows = [
            {"measure": measure, "layer": layer_name(layer), "channel": channel, "value": value}
            for measure, values in numbers.items()
            for channel, value in enumerate(values)
        ]
        tables.append(_run(channel_contributions, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def layer_rows(sizes, seeds=3, scatter=1e-3, layers=range(1, 110), **where):
    """``sizes``: norm → a function from a layer's number to the mean |gradient| of its biases; weights' are 123."""
    tables = []
    for norm, seed, size, factor in _each(sizes, seeds, scatter):
        rows = []
        for number in layers:
            value = size(number)
            value = value * factor if number <= 50 else value
            rows.append({"measure": "bias_gradient", "layer": layer_name(number), "value": value})
            rows.append({"measure": "weight_gradient", "layer": layer_name(number), "value": 123.0})
        tables.append(_run(layer_gradients, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def uneven(variation, count=CHANNELS):
    """Positive numbers of mean 1 whose coefficient of variation is ``variation``, below 1."""
    return 1 + variation * np.resize([1.0, -1.0], count)
