"""The cell of Fig. 5: the power of each channel before and after each norm, at the start and after a few steps."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from normscope.papers.chai2020.cells.lenet import EarlySpectrum
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

LAYERS = {"conv1": "norm1", "conv2": "norm2"}
"""The convolutions, and the LeNet's modules that come after them."""


@cell(name="normscope.papers.chai2020.channel_power:channel_power", version=1, cost=lambda run: 0.3)
def channel_power(config: EarlySpectrum) -> pa.Table:
    """Channel power ``E[x²]`` of both convolutions' outputs before and after the norm, before training and after it.

    Training and the measured batch are those of :func:`normscope.papers.chai2020.cells.lenet.early_spectrum`: the first
    training batch in the file's order, in training mode and float64.

    Rows, at step 0 and after the last, by layer and channel: ``power_in`` and ``variance_in`` of the convolution's
    output; ``power_out`` of the norm's before its affine map (the norm's own forward with γ = 1, β = 0);
    ``power_affine`` after it. Without a norm the three powers are equal. A run that diverges has step 0 alone, and
    ``diverged``, its last loss.
    """
    from normscope.papers.chai2020.cells import recipe

    run = recipe.start(config, norm=config.norm)
    fixed_batch = run.fixed_batch()
    rows = Rows()
    _measure(rows, run.model, fixed_batch, step=0)
    if run.record(rows, config.steps, max_steps=config.steps) is None:
        _measure(rows, run.model, fixed_batch, step=config.steps)
    return rows.table()


def _measure(rows: Rows, model: nn.Module, batch: Tensor, step: int) -> None:
    """Add the powers that a batch has around the model's norms; the model is left as it is."""
    import torch

    from normscope.probes import capture

    double = copy.deepcopy(model).double().train()
    norms = {layer: double.get_submodule(norm) for layer, norm in LAYERS.items()}
    inputs: dict[str, Tensor] = {}
    capture.forward(double, batch.double(), norms, lambda layer, _, x: inputs.update({layer: x}))
    for layer, x in inputs.items():
        norm = norms[layer]
        plain = {"weight": torch.ones_like, "bias": torch.zeros_like}
        without_affine = {name: plain[name](value) for name, value in norm.named_parameters()}
        found = {
            "power_in": _power(x),
            "variance_in": x.var((0, 2, 3), correction=0),
            "power_out": _power(torch.func.functional_call(norm, without_affine, x)),
            "power_affine": _power(norm(x)),
        }
        for measure, values in found.items():
            rows.add_each(measure, values.tolist(), by="channel", step=step, layer=layer)


def _power(x: Tensor) -> Tensor:
    return x.detach().square().mean((0, 2, 3))
