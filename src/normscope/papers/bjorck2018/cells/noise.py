"""The cell of eq. 2: the noise of stochastic gradients against the size of the batch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class SampledNoise(AtInitialisation):
    """A network at its initialisation; ``batch`` is the number of examples in the whole data set."""

    sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    rates: tuple[float, ...] = (1.0,)
    draws: int = 1_000


def noise_at(rate: float) -> str:
    """The name of the measured noise at a rate."""
    return f"noise at rate {rate:g}"


def law_at(rate: float) -> str:
    """The name of the noise that the law predicts at a rate."""
    return f"law at rate {rate:g}"


@cell(
    name="bjorck2018.sample_noise",
    version=1,
    # An example by itself takes twice the time of an example in a batch.
    cost=lambda config: 1 + 2 * step_seconds(config.depth, config.batch),
)
def sample_noise(config: SampledNoise) -> pa.Table:
    """Sample batches with replacement from the first batch of images, and compare their gradients with its gradient.

    Rows, by the number of examples in a sampled batch (``index``): ``noise at rate …``, the mean over the draws of
    ‖α∇f − α∇_SGD‖², and ``law at rate …``, α²M/|B|.
    """
    import torch

    from normscope import probes
    from normscope.papers.bjorck2018.cells import recipe

    start, rows = recipe.start(config), Rows()
    table = probes.gradient_noise(
        start.model,
        start.x,
        start.y,
        config.sizes,
        config.rates,
        config.draws,
        generator=torch.Generator().manual_seed(config.seed),
    )
    for row in table.to_dict("records"):
        rows.add(noise_at(row["rate"]), row["noise"], index=row["batch_size"])
        rows.add(law_at(row["rate"]), row["law"], index=row["batch_size"])
    return rows.table()
