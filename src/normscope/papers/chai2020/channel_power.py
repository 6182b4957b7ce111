"""The cell of Fig. 5: the power of each channel before and after each norm, at the start and after a few steps."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from normscope.papers.chai2020.lenet import EarlySpectrum
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

LAYERS = {"conv1": "norm1", "conv2": "norm2"}
"""The convolutions, and the LeNet's modules that stand after them."""


def _datasets(config: EarlySpectrum) -> tuple[str, ...]:
    return (config.data,)


def _cost(config: EarlySpectrum) -> float:
    return 0.3


@cell(name="normscope.papers.chai2020.channel_power:channel_power", version=1, cost=_cost, data=_datasets)
def channel_power(config: EarlySpectrum) -> pa.Table:
    """Channel power ``E[x²]`` of both convolutions' outputs before and after the norm, before training and after it.

    Training and the measured batch are those of :func:`normscope.papers.chai2020.lenet.early_spectrum`: the first
    training batch in the file's order, in training mode and float64.

    Rows, at step 0 and after the last, by layer and channel: ``power_in`` and ``variance_in`` of the convolution's
    output; ``power_out`` of the norm's before its affine map (the norm's own forward with γ = 1, β = 0);
    ``power_affine`` after it. Without a norm the three powers are one. A run that diverges has step 0 alone, and
    ``diverged``, its last loss.
    """
    import torch

    from normscope import networks, training
    from normscope.papers.chai2020 import recipe

    train_split, _ = recipe.splits(config.data, config.images)
    with training.seeded(config.seed):
        model = networks.lenet(norm=config.norm, place="after", image=recipe.IMAGE)
    optimizer = recipe.sgd(model, config.rate, config.fixed_rate)
    fixed_batch, _ = train_split.batch(torch.arange(config.batch))
    rows = Rows()

    _measure(rows, model, fixed_batch, step=0)
    epochs = recipe.epochs(train_split, config.steps, config.batch, config.seed)
    divergence = training.train(model, optimizer, epochs, max_steps=config.steps)
    if divergence is None:
        _measure(rows, model, fixed_batch, step=config.steps)
    else:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


def _measure(rows: Rows, model: nn.Module, batch: Tensor, step: int) -> None:
    """Add the powers that a batch has around the model's norms; the model is left as it is."""
    from normscope.probes import capture

    double = copy.deepcopy(model).double().train()
    norms = {layer: double.get_submodule(norm) for layer, norm in LAYERS.items()}
    inputs: dict[str, Tensor] = {}

    def keep(layer: str, _: nn.Module, x: Tensor) -> None:
        inputs[layer] = x

    capture.forward(double, batch.double(), norms, keep)
    for layer, x in inputs.items():
        found = {
            "power_in": _power(x),
            "variance_in": x.var((0, 2, 3), correction=0),
            "power_out": _power(_without_affine(norms[layer])(x)),
            "power_affine": _power(norms[layer](x)),
        }
        for measure, values in found.items():
            for channel, value in enumerate(values.tolist()):
                rows.add(measure, value, step=step, layer=layer, channel=channel)


def _power(x: Tensor) -> Tensor:
    return x.detach().square().mean((0, 2, 3))


def _without_affine(norm: nn.Module) -> nn.Module:
    """The norm with γ = 1 and β = 0."""
    import torch

    plain = copy.deepcopy(norm)
    for name, value in (("weight", 1.0), ("bias", 0.0)):
        parameter = getattr(plain, name, None)
        if isinstance(parameter, torch.nn.Parameter):
            torch.nn.init.constant_(parameter, value)
    return plain
