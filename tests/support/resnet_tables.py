"""Tables as the training cells of Bjorck et al. fill them, from numbers that a test chooses."""

import math

import pandas as pd

from normscope.papers.bjorck2018.cells.gradients import layer_gradients
from normscope.papers.bjorck2018.cells.rate_trial import try_rate
from normscope.papers.bjorck2018.cells.training import train_resnet
from normscope.papers.bjorck2018.layers import layer_name

EPOCHS = 16
SEEDS = 3


def join(*tables):
    return pd.concat(tables, ignore_index=True)


def scattered(value, seed, place=0, scatter=1e-3):
    """A seed's own number; the geometric mean over the seeds is ``value``."""
    return value * math.exp(scatter * math.cos(2 * math.pi * seed / SEEDS + place))


def run_rows(
    norm, rate, *, test=0.3, train=0.2, loss=0.5, place="after", falls=0.0, epochs=EPOCHS, until=None
):
    """Runs whose measures stay at their last values but for the training loss, which ``falls`` by a share an epoch.

    ``until``: the epoch before which the runs diverge.
    """
    rows = []
    for seed in range(SEEDS):
        run = {
            "function": train_resnet.name,
            "norm": norm,
            "place": place,
            "rate": rate,
            "seed": seed,
            "epochs": epochs,
        }
        for epoch in range(1, epochs + 1):
            if until is not None and epoch >= until:
                rows.append({"measure": "diverged", "step": 9, "value": math.inf, **run})
                break
            values = {
                "validation_error": scattered(test, seed, len(norm)),
                "train_error": scattered(train, seed, len(norm)),
                "train_loss": scattered(loss, seed, len(norm)) * (1 - falls) ** (epoch - epochs),
            }
            rows += [
                {"measure": name, "epoch": epoch, "value": value, **run} for name, value in values.items()
            ]
    return pd.DataFrame(rows)


def trial_rows(norm, stable, grid, *, depth=20, place="after", warm_steps=0, fails="exceeded", seeds=SEEDS):
    """Trials of a search that ends at the highest rate that survives; ``stable``: that rate, or one for each seed."""
    rows = []
    for seed in range(seeds):
        highest = stable[seed] if isinstance(stable, list) else stable
        setting = {"norm": norm, "place": place, "depth": depth, "warm_steps": warm_steps, "seed": seed}
        for rate in sorted((one for one in grid if one >= highest), reverse=True):
            outcome = "survived" if rate == highest else fails
            trial = {"function": try_rate.name, "rate": rate, **setting}
            for measure in ("survived", "exceeded", "at_chance"):
                rows.append({"measure": measure, "value": float(measure == outcome), **trial})
            rows += [{"measure": "batch_loss", "step": step, "value": 2.0, **trial} for step in range(1, 41)]
    return pd.DataFrame(rows)


def gradient_rows(by_network, layers=20):
    """``by_network``: (norm, place) → mean |gradient|, a number or a function of the layer's number."""
    rows = []
    for (norm, place), values in by_network.items():
        for seed in range(SEEDS):
            for number in range(1, layers + 1):
                value = values(number) if callable(values) else values
                row = {"function": layer_gradients.name, "norm": norm, "place": place, "seed": seed}
                rows.append(
                    {"measure": "weight_gradient", "layer": layer_name(number), "value": value, **row}
                )
    return pd.DataFrame(rows)
