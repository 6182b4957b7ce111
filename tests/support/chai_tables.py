"""Tables as the Chai cells would fill them, from numbers that a test chooses."""

import pandas as pd

from normscope.papers.chai2020.cells.lenet import early_spectrum, train_lenet

EPOCHS = 2


def training_rows(errors, rate, seed=0, epochs=EPOCHS):
    """``errors``: norm → validation error by epoch; a list that ends early is a run that diverged."""
    rows = []
    for norm, by_epoch in errors.items():
        run = {"function": train_lenet.name, "norm": norm, "rate": rate, "seed": seed, "epochs": epochs}
        for epoch, error in enumerate(by_epoch, start=1):
            rows.append({"measure": "validation_error", "epoch": epoch, "value": error, **run})
        if len(by_epoch) < epochs:
            rows.append({"measure": "diverged", "step": 9, "value": float("inf"), **run})
    return pd.DataFrame(rows)


def spectrum_rows(measure, values, rate, seed=0):
    """``values``: norm → eigenvalue after five steps; ``None`` is a run that diverged before."""
    rows = []
    for norm, value in values.items():
        run = {"function": early_spectrum.name, "norm": norm, "rate": rate, "seed": seed}
        rows.append({"measure": measure, "step": 0, "layer": "conv2", "value": 123.0, **run})
        if value is None:
            rows.append({"measure": "diverged", "step": 4, "value": float("nan"), **run})
        else:
            rows.append({"measure": measure, "step": 5, "layer": "conv2", "value": value, **run})
            rows.append({"measure": measure, "step": 5, "layer": "conv1", "value": 456.0, **run})
    return pd.DataFrame(rows)


def variants(none, batch, amplify, suppress):
    return {"none": none, "batch": batch, "amplify": amplify, "suppress": suppress}


def join(*tables):
    return pd.concat(tables, ignore_index=True)
