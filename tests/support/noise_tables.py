"""Tables as the cells of §4 fill them, from numbers that a test chooses."""

import json
import math

import pandas as pd
from chai_tables import join, scattered

from normscope.papers.chai2020.cells.arrangements import (
    ARRANGEMENTS,
    FIRST_FIXED,
    FIXED_RATE,
    LARGE_EPS,
    PAPERS_FIVE,
    SUM,
)
from normscope.papers.chai2020.cells.noise import displacement, noise_amplification, rise, train_arrangement
from normscope.papers.chai2020.cells.step_comparison import balanced_step, compare_steps

EPOCHS, IMAGES, BATCH = 10, 6_400, 64
"""A run of 1,000 steps."""

RATES = (0.1, 1.0)
AMPLIFICATION = {"baseline": 0.065, "batch": 0.18, "prior": 0.03, "nlms_l1": 0.025, "nlms_l2": 0.02}
"""D of each arrangement at noise 1 as Fig. 10 has them: in the paper's order, and Prior's 1.5 times NLMS_L2's."""

ERRORS = {"baseline": 0.05, "batch": 0.08, "prior": 0.05, "nlms_l1": 0.05, "nlms_l2": 0.05}
"""The error at which each arrangement settles without noise."""

ZIGZAG = 0.002
"""How far it goes up and down from epoch to epoch; under noise the factor of JITTER as far."""

JITTER = {"baseline": 4.0, "batch": 5.0, "prior": 1.5, "nlms_l1": 2.0, "nlms_l2": 1.2}


def papers_name(arrangement):
    """The arrangement of the paper's five that a reading's arrangement is."""
    return arrangement if arrangement in PAPERS_FIVE else arrangement.rpartition("_")[0]


def zigzag(level, amplitude, epochs=EPOCHS):
    """Errors that go up and down by ``amplitude`` about ``level``: their jitter is in proportion to it."""
    return [level + amplitude * (-1) ** epoch for epoch in range(epochs)]


def error_rows(run, errors):
    """One run's validation errors by epoch; a list that ends early is a run that diverged."""
    rows = [
        {"measure": "validation_error", "epoch": n, "value": e, **run} for n, e in enumerate(errors, start=1)
    ]
    if len(errors) < run["epochs"]:
        rows.append({"measure": "diverged", "step": 9, "value": math.inf, **run})
    return rows


def noisy_rows(arrangement, rate, seed, errors, noise=1.0, epochs=EPOCHS):
    """A run with noise throughout."""
    run = {"function": train_arrangement.name, "arrangement": arrangement, "rate": rate, "noise": noise}
    return pd.DataFrame(error_rows({**run, "seed": seed, "epochs": epochs}, errors))


def amplification_rows(
    arrangement, rate, seed, errors, by_state=None, epochs=EPOCHS, images=IMAGES, noises=(1.0,)
):
    """A quiet run and what noise did from its states.

    ``by_state``: step → noise → D by draw. The rise is a tenth of D.
    """
    run = {
        "function": noise_amplification.name,
        "arrangement": arrangement,
        "rate": rate,
        "seed": seed,
        "epochs": epochs,
        "images": images,
        "batch": BATCH,
        "noises": json.dumps(noises),
    }
    rows = error_rows(run, errors)
    for step, by_noise in (by_state or {}).items():
        for noise, draws in by_noise.items():
            for draw, moved in enumerate(draws):
                at = {"step": step, "index": draw, **run}
                rows.append({"measure": displacement(noise), "value": moved, **at})
                rows.append({"measure": rise(noise), "value": moved / 10, **at})
    return pd.DataFrame(rows)


def states_of(d, noises=(1.0,), states=(500, 1000)):
    """Draws at two states whose root mean squares have the geometric mean ``d``, times the noise."""
    return {
        state: {noise: [noise * d * factor * math.sqrt(1 + part) for part in (-0.5, 0.5)] for noise in noises}
        for state, factor in zip(states, (1.25, 0.8), strict=True)
    }


def study(
    d=None,
    errors=None,
    *,
    seeds=3,
    scatter=1e-4,
    noises=(1.0,),
    readings=True,
    rates=RATES,
    epochs=EPOCHS,
    images=IMAGES,
    skip=(),
    diverged=(),
):
    """Fig. 10's table: the paper's numbers, but for those given by arrangement or by (arrangement, rate).

    Args:
        d: other noise amplifications at noise 1.
        errors: other errors at which quiet runs settle.
        seeds: of every run.
        scatter: how far seeds are apart, see :func:`chai_tables.scattered`.
        noises: tried from the states of the paper's five; of a reading's arrangements only noise 1.
        readings: whether the other readings were run.
        rates, epochs, images: of every run.
        skip: arrangements without rows.
        diverged: arrangements, or (arrangement, rate), whose quiet and noisy runs diverge in their first epoch.
    """
    tables = []
    for place, name in enumerate(ARRANGEMENTS):
        paper = papers_name(name)
        for rate in rates:
            if (
                name in skip
                or not (readings or name in PAPERS_FIVE)
                or (name in FIRST_FIXED and rate == FIXED_RATE)
            ):
                continue
            moved = chosen(d, name, rate, AMPLIFICATION[paper])
            level = chosen(errors, name, rate, ERRORS[paper])
            tried = noises if name in PAPERS_FIVE else (1.0,)
            for seed in range(seeds):
                factor = scattered(1.0, seed, seeds, place, scatter)
                run, size = (name, rate, seed), {"epochs": epochs, "images": images, "noises": tried}
                last = epochs * (images // BATCH)
                fails = name in diverged or (name, rate) in diverged
                states = None if fails else states_of(moved * factor, tried, states=(last // 2, last))
                curve = [] if fails else zigzag(level * factor, ZIGZAG, epochs)
                tables.append(amplification_rows(*run, curve, states, **size))
                if name in PAPERS_FIVE:
                    noisy = [] if fails else zigzag(level * factor, ZIGZAG * JITTER[name], epochs)
                    tables.append(noisy_rows(*run, noisy, epochs=epochs))
    return join(*tables)


def chosen(changes, name, rate, default):
    """What ``changes`` has for (name, rate) or for the name, else ``default``."""
    changes = changes or {}
    return changes.get((name, rate), changes.get(name, default))


def step_rows(arrangement, rate, seed, by_step):
    """Compared steps; ``by_step``: step → measure → value."""
    run = {"function": compare_steps.name, "arrangement": arrangement, "rate": rate, "seed": seed}
    return pd.DataFrame(
        [
            {"measure": measure, "step": step, "value": value, **run}
            for step, measures in by_step.items()
            for measure, value in measures.items()
        ]
    )


def balanced_rows(seed, by_variation):
    """Balanced inputs' first steps; ``by_variation``: variation → distance. The cosine falls with the distance."""
    run = {"function": balanced_step.name, "seed": seed}
    return pd.DataFrame(
        [
            {"measure": measure, "value": value, "variation": variation, **run}
            for variation, distance in by_variation.items()
            for measure, value in (
                ("distance", distance),
                ("cosine", 1 / (1 + distance)),
                ("power_variation", variation),
            )
        ]
    )


READINGS = {
    "power-as-mean": ("nlms_l1", "nlms_l2"),
    "power-as-sum": tuple(SUM),
    "large-eps": tuple(LARGE_EPS),
    "first-at-fixed-rate": tuple(FIRST_FIXED),
}
"""The claims of the readings, each with the arrangements that only it uses at rate 1."""
