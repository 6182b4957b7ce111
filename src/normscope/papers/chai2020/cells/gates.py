"""The cell that counts how often the gates of Amplify and Suppress act while a LeNet trains (Figs. 6 and 7).

Where no channel's power passes the threshold, Amplify normalizes every channel and is BatchNorm, and Suppress
normalizes none and is Baseline but for its γ and β, which it trains: what the figures then say of the two being equal
is an identity, not a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.chai2020.cells.lenet import EarlySpectrum
from normscope.papers.chai2020.cells.powers import LAYERS
from normscope.protocol import EVERY_DEVICE, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

THRESHOLD = 1.0
"""The power above which Amplify leaves a channel alone and Suppress normalizes it."""


@cell(
    name="chai2020.gate_activity",
    version=1,
    cost=lambda run: 0.3 + 0.01 * run.steps,
    devices=lambda run: EVERY_DEVICE,
)
def gate_activity(config: EarlySpectrum) -> pa.Table:
    """Train for ``steps`` steps as :func:`normscope.papers.chai2020.cells.lenet.train_lenet` does.

    Rows: by step, from 1, ``share_above``: of the output channels of both convolutions, the share whose power E[x²] on
    the step's own training batch is above the threshold, just before the norm. Also ``diverged``.
    """
    from normscope.papers.chai2020.cells import recipe

    run = recipe.start(config, norm=config.norm)
    above: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        above.append(inputs[0].detach().square().mean((0, 2, 3)) > THRESHOLD)

    for norm in LAYERS.values():
        run.model.get_submodule(norm).register_forward_pre_hook(keep)
    rows = Rows()

    def record(step: int, loss: float) -> None:
        flags = [flag for layer in above for flag in layer.tolist()]
        rows.add("share_above", sum(flags) / len(flags), step=step)
        above.clear()

    run.record(rows, 1, max_steps=config.steps, after_step=record)
    return rows.table()
