"""Tables as the cells of §4 would fill them, from numbers that a test chooses."""

import pandas as pd

from normscope.papers.chai2020.cells.noise import compare_steps, train_arrangement

EPOCHS = 10


def run_table(*runs):
    """The table of several runs of :func:`run_rows`."""
    return pd.DataFrame([row for run in runs for row in run])


def run_rows(arrangement, rate, noise, seed, errors, epochs=EPOCHS):
    """One run's validation errors by epoch; a list that ends early is a run that diverged."""
    run = {
        "function": train_arrangement.name,
        "arrangement": arrangement,
        "rate": rate,
        "noise": noise,
        "seed": seed,
        "epochs": epochs,
    }
    rows = [
        {"measure": "validation_error", "epoch": epoch, "value": error, **run}
        for epoch, error in enumerate(errors, start=1)
    ]
    if len(errors) < epochs:
        rows.append({"measure": "diverged", "step": 9, "value": float("inf"), **run})
    return rows


def zigzag(level, amplitude, epochs=EPOCHS):
    """Errors that go up and down by ``amplitude`` about ``level``: their jitter is in proportion to it."""
    return [level + amplitude * (-1) ** epoch for epoch in range(epochs)]


def step_rows(arrangement, rate, seed, by_step):
    """``by_step``: step → measure → value."""
    run = {"function": compare_steps.name, "arrangement": arrangement, "rate": rate, "seed": seed}
    return pd.DataFrame(
        [
            {"measure": measure, "step": step, "value": value, **run}
            for step, measures in by_step.items()
            for measure, value in measures.items()
        ]
    )
