"""Tables as the Chai cells fill them: from numbers that a test chooses, or from the cells run on a few images."""

import dataclasses
import json
import math

import pandas as pd

from normscope.papers.chai2020.cells.gates import gate_activity
from normscope.papers.chai2020.cells.lenet import early_spectrum, train_lenet
from normscope.papers.chai2020.cells.powers import channel_power
from normscope.papers.chai2020.cells.scaled_inputs import SCALINGS, scale_channels
from normscope.papers.chai2020.profiles import CORRELATIONS
from normscope.protocol import Scale, known_cell

EPOCHS = 2


def scattered(value, seed, seeds, place=0, scatter=0.0):
    """``value`` with a seed's own factor. The factors' geometric mean over the seeds is 1, whatever the place.

    The place, such as a variant's number, sets the phase: ratios of two places have a spread over seeds.
    """
    return value * math.exp(scatter * math.cos(2 * math.pi * seed / seeds + place))


def over_seeds(rows, by_variant, *, seeds=3, scatter=1e-4, **arguments):
    """The ``rows`` of every seed, whose numbers differ by ``scatter``.

    ``by_variant``: variant → number, list of numbers by epoch, or ``None``.
    """

    def of(seed, place, numbers):
        if isinstance(numbers, list):
            return [of(seed, place, number) for number in numbers]
        return None if numbers is None else scattered(numbers, seed, seeds, place, scatter)

    tables = []
    for seed in range(seeds):
        values = {name: of(seed, place, v) for place, (name, v) in enumerate(by_variant.items())}
        tables.append(rows(values, seed=seed, **arguments))
    return join(*tables)


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


def spectrum_rows(values, rate, measure, seed=0):
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


def gate_rows(by_step, rate=0.01, seeds=3, norms=("amplify", "suppress")):
    """``by_step``: the share of channels above the threshold at each step, from the first."""
    return pd.DataFrame(
        [
            {
                "function": gate_activity.name,
                "measure": "share_above",
                "norm": norm,
                "rate": rate,
                "seed": seed,
                "step": step,
                "value": share,
            }
            for norm in norms
            for seed in range(seeds)
            for step, share in enumerate(by_step, start=1)
        ]
    )


LAWS = {
    "none": lambda p: p,
    "batch": lambda p: 1.0,
    "amplify": lambda p: max(p, 1.0),
    "suppress": lambda p: min(p, 1.0),
}
"""What each norm makes of a channel's power."""


def power_rows(
    powers=(0.1, 0.9, 1.1, 8.0), out=None, variance=lambda power: power, norms=tuple(LAWS), seeds=2
):
    """Channels of the given powers; ``out`` is the power after each norm, by default what its law says."""
    rows = []
    for norm in norms:
        law = out or LAWS[norm]
        for seed in range(seeds):
            for step in (0, 5):
                run = {"function": channel_power.name, "norm": norm, "rate": 1.0, "seed": seed, "step": step}
                for channel, power in enumerate(powers):
                    found = {"power_in": power, "variance_in": variance(power), "power_out": law(power)}
                    for measure, value in found.items():
                        where = {"layer": "conv1", "channel": channel, **run}
                        rows.append({"measure": measure, "value": value, **where})
    return pd.DataFrame(rows)


OWN_EIGENVALUES = (1e-9, 1.0, 10.0)


def scaling_table(
    block_error=0.0,
    spread=lambda share: share,
    nudge=lambda value: value,
    seeds=3,
    scatter=1e-3,
    scalings=tuple(SCALINGS),
    correlations=CORRELATIONS,
):
    """Runs whose eigenvalues are the blocks' own, apart by ``spread`` of the correlation, then nudged."""
    rows = []
    for scaling in scalings:
        for place, share in enumerate(correlations):
            for seed in range(seeds):
                run = {
                    "function": scale_channels.name,
                    "scaling": scaling,
                    "correlation": share,
                    "seed": seed,
                }
                rows.append({"measure": "block_error", "channel": 0, "value": block_error, **run})
                low, middle, top = OWN_EIGENVALUES
                moved = scattered(0.5 * spread(share), seed, seeds, place, scatter)
                for index, value in enumerate((low, middle - moved, top * (1 + moved))):
                    rows.append({"measure": "eigenvalue", "index": index, "value": nudge(value), **run})
                for index, value in enumerate(OWN_EIGENVALUES):
                    where = {"index": index, "channel": index, **run}
                    rows.append({"measure": "block_eigenvalue", "value": value, **where})
    return pd.DataFrame(rows)


def variants(none, batch, amplify, suppress):
    return {"none": none, "batch": batch, "amplify": amplify, "suppress": suppress}


def without(table, **where):
    """The table without the rows whose columns equal the values."""
    found = pd.Series(True, index=table.index)
    for column, value in where.items():
        found &= table[column] == value
    return table[~found]


def join(*tables):
    return pd.concat(tables, ignore_index=True)


def tiny(experiment, **changes):
    """The experiment's quick profile, made smaller."""
    return dataclasses.replace(experiment.profile(Scale.QUICK), **changes)


def real_table(experiment, profile, **changes):
    """The table of the profile's cells, each run in this process; ``changes`` go into every configuration they fit."""
    tables = []
    for cell in experiment.list_cells(profile):
        fitting = {name: value for name, value in changes.items() if hasattr(cell.config, name)}
        config = dataclasses.replace(cell.config, **fitting)
        fields = dataclasses.asdict(config).items()
        columns = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in fields}
        tables.append(known_cell(cell.name)(config).to_pandas().assign(function=cell.name, **columns))
    return join(*(table.dropna(axis=1, how="all") for table in tables))
