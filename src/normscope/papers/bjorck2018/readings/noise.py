"""What eq. 2's claim and figure read from the table: the sampled noise and the law."""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.noise import law_at, noise_at, sample_noise
from normscope.protocol import select


def noises(table: pd.DataFrame, rate: float, *, law: bool = False) -> pd.DataFrame:
    """The noise at a rate, sampled or by the law: seed, index (the number of examples in a batch), value.

    Raises:
        NotJudgedError: when there is none.
    """
    measure = law_at(rate) if law else noise_at(rate)
    return select(sample_noise.rows(table), measure=measure)[["seed", "index", "value"]].astype(
        {"index": int}
    )


def rates(table: pd.DataFrame) -> list[float]:
    """The rates at which the noise was sampled, from the highest down."""
    measures = sample_noise.rows(table)["measure"].unique()
    prefix = noise_at(1.0).removesuffix("1")
    return sorted(
        (float(one.removeprefix(prefix)) for one in measures if one.startswith(prefix)), reverse=True
    )


def slopes(runs: pd.DataFrame) -> pd.Series:
    """The slope of log noise against log |B| of each seed, by least squares."""

    def slope(run: pd.DataFrame) -> float:
        positive = run[run["value"] > 0]
        if positive["index"].nunique() < 2:
            return np.nan
        logs = np.log(positive[["index", "value"]].to_numpy(dtype=float))
        return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])

    return pd.Series({seed: slope(run) for seed, run in runs.groupby("seed")}, dtype=float)
