"""Tables as the cells of Bjorck et al.'s Figs. 3, 4, 13, 14, 20 and 21 fill them, from numbers that a test chooses."""

import numpy as np
import pandas as pd
from chai_tables import scattered

from normscope.papers.bjorck2018.cells.activations import LAYERS, activation_histograms, branch_name, sum_name
from normscope.papers.bjorck2018.cells.classes import QUANTILES, kernel_by_class
from normscope.papers.bjorck2018.cells.moments import channel_moments
from normscope.papers.bjorck2018.cells.outputs import logit_gradients
from normscope.papers.bjorck2018.layers import layer_name


def _run(function, norm, seed, rows, depth=110, **config):
    config = {"norm": norm, "seed": seed, "depth": depth, "place": "after", **config}
    return pd.DataFrame(rows).assign(function=function.name, **config)


def _runs(by_norm, seeds, scatter):
    """norm, seed, what the norm has, and the seed's own factor."""
    for place, (norm, value) in enumerate(by_norm.items()):
        for seed in range(seeds):
            yield norm, seed, value, scattered(1.0, seed, seeds, place, scatter)


def moment_rows(mean_abs, variance, seeds=3, scatter=1e-3, **where):
    """``mean_abs`` and ``variance``: norm → a function of a layer's number."""
    tables = []
    for measure, by_norm in (("mean_abs", mean_abs), ("variance", variance)):
        for norm, seed, moment, factor in _runs(by_norm, seeds, scatter):
            rows = [
                {"measure": name, "layer": layer_name(number), "value": share * factor * moment(number)}
                for number in range(1, 110)
                for name, share in ((measure, 1.0), (f"{measure}_spread", 0.5))
            ]
            tables.append(_run(channel_moments, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def logit_rows(gradients, logits, labels, seeds=5, **where):
    """``gradients`` and ``logits``: norm → a function of the seed that gives a matrix (images, classes)."""
    tables = []
    for norm in gradients:
        for seed in range(seeds):
            rows = [
                {"measure": measure, "index": image, "channel": number, "value": value}
                for measure, of_seed in (("gradient", gradients[norm]), ("logit", logits[norm]))
                for (image, number), value in np.ndenumerate(of_seed(seed))
            ]
            rows += [
                {"measure": "label", "index": image, "value": label} for image, label in enumerate(labels)
            ]
            tables.append(_run(logit_gradients, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)


def class_rows(sizes, favourite=4, seeds=3, scatter=1e-3, kernel=52, **where):
    """``sizes``: norm → |gradient| by class, of every weight alike; ``favourite`` gets most images."""
    tables = []
    for norm, seed, by_class, factor in _runs(sizes, seeds, scatter):
        rows = []
        for number, size in enumerate(by_class):
            own = {"layer": layer_name(kernel), "channel": number}
            value = size * (factor if number == favourite else 1.0)
            rows += [{"measure": measure, "value": value, **own} for measure in ("mean_abs", "median_abs")]
            rows += [
                {"measure": "quantile_abs", "value": value * index / 100, "index": index, **own}
                for index in range(QUANTILES + 1)
            ]
            rows.append(
                {"measure": "favoured", "value": 0.55 if number == favourite else 0.05, "channel": number}
            )
        tables.append(_run(kernel_by_class, norm, seed, rows, kernel=kernel, **where))
    return pd.concat(tables, ignore_index=True)


def activation_rows(channels, seeds=3, scatter=1e-3, bins=(0, 3, 7, 2), **where):
    """``channels``: norm → a function of layer and seed: for each channel (positive, negative, mean, std).

    The means are multiplied by the seed's factor. Only the sums are as the test says; the layers' own outputs are not.
    """
    tables = []
    for norm, seed, of_layer, factor in _runs(channels, seeds, scatter):
        rows = []
        for layer in LAYERS:
            for name in (sum_name(layer), branch_name(layer)):
                found = of_layer(layer, seed) if name == sum_name(layer) else [(0.5, 0.5, 77.0, 1.0)]
                edges = range(len(bins) + 1)
                rows += [
                    {"measure": "edge", "layer": name, "index": edge, "value": edge - 2.0} for edge in edges
                ]
                for channel, (positive, negative, mean, std) in enumerate(found):
                    own = {"layer": name, "channel": channel}
                    numbers = {"positive": positive, "negative": negative, "mean": mean * factor, "std": std}
                    rows += [
                        {"measure": measure, "value": value, **own} for measure, value in numbers.items()
                    ]
                    rows += [
                        {"measure": "count", "index": index, "value": count, **own}
                        for index, count in enumerate(bins)
                    ]
        tables.append(_run(activation_histograms, norm, seed, rows, **where))
    return pd.concat(tables, ignore_index=True)
