"""Tables as a sweep's cells fill them, from numbers that a test chooses."""

import itertools
import math

import pandas as pd

from normscope.sweep import Sweep
from normscope.sweep.training_cell import train_network


def sweep(network="lenet", **words):
    return Sweep.of(network, **{"lr": "0.1,1,10", "seeds": 2, "epochs": 2, "probe": "spectrum"} | words)


def table(asked, error, diverged=lambda run: False, layers=("conv", "conv2", "fc")):
    """A table such as the cells would fill; ``error`` and ``diverged`` are functions of a run."""
    rows = []
    for run in asked.runs():
        words = {"function": train_network.name} | {
            name: getattr(run, name) for name in ("network", "norm", "place", "rate", "seed")
        }
        if diverged(run):
            rows.append({"measure": "diverged", "step": 3, "value": math.inf, **words})
        else:
            for epoch in (1, 2):
                rows.append(
                    {"measure": "validation_error", "epoch": epoch, "value": error(run) * 2 / epoch, **words}
                )
        for step, layer in itertools.product((0,) if diverged(run) else (0, 5, 20), layers):
            for measure in ("lambda_min", "lambda_max"):
                value = step + len(layer) * 100 + run.rate
                rows.append(
                    {"measure": measure, "step": step, "layer": layer, "index": 0, "value": value, **words}
                )
    return pd.DataFrame(rows)
