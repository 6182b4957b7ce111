"""The cell of the natural modes: a convolution alone, trained by full-batch descent towards a known response.

The linear case of Chai et al. 2020, §3.1: real digits, as the paper's first convolution sees them (standardised,
zero-padded to 32×32), one 5×5 convolution without bias or nonlinearity, and a desired response at each of the M output
positions: that of a random filter plus white noise, so that the Wiener solution is not the filter itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from normscope.papers.shared.steps import in_equal_ratios
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from torch import Tensor, nn

_IMAGES_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class LinearDescent:
    """A descent: its learning rate in units of ``2/(Mλ_max)``, the seed of all that is random, data and length.

    ``noise`` is the desired response's, its standard deviation in units of the clean response's.
    """

    share: float
    seed: int
    data: str
    images: int
    steps: int
    kernel: int = 5
    noise: float = 0.1


@cell(
    name="normscope.papers.chai2020.linear_descent:descend",
    version=1,
    cost=lambda run: 0.3 + 1.5e-4 * run.images * run.steps,
)
def descend(config: LinearDescent) -> pa.Table:
    """Run the descent through the framework's own convolution, gradient and SGD, in float64; and the closed forms.

    The loss is ``½ Σ_m (d_m − y_m)²`` averaged over the images; nothing of the theory enters the descent but the
    learning rate.

    Rows: ``shrinkage`` ηMλ_k and ``time_constant`` −1/ln|1 − ηMλ_k| by mode (``index``, λ ascending); by recorded step
    and mode ``amplitude``, that of the measured weights' error, and ``law``, (1 − ηMλ_k)ⁿ v_k(0); by recorded step
    ``excess``, the measured loss above the Wiener solution's, and ``excess_law``.
    """
    import torch

    from normscope import training
    from normscope.theory.adaptive_filter import natural_modes, wiener_solution

    images, desired, layer = _start(config)
    moments = _moments(images, desired, config.kernel)
    autocorrelation, cross_correlation = (moment.numpy(force=True) for moment in moments)
    positions = desired[0].numel()
    modes = natural_modes(autocorrelation, positions)
    best = wiener_solution(autocorrelation, cross_correlation)
    minimum = positions * (desired.square().mean().item() - float(cross_correlation @ best)) / 2
    rate = config.share * modes.stability_bound
    recorded = in_equal_ratios(config.steps, count=40)

    def amplitudes() -> NDArray[np.float64]:
        return modes.amplitudes(best - layer.weight.flatten().numpy(force=True))

    start = amplitudes()
    weights, losses = {0: start}, {}

    def record(step: int, loss: float) -> None:
        losses[step - 1] = loss  # it was taken before the step
        if step in recorded:
            weights[step] = amplitudes()

    def loss_function(output: Tensor, response: Tensor) -> Tensor:
        return (response - output).square().sum() / (2 * len(response))

    training.train(
        layer,
        torch.optim.SGD([layer.weight], lr=rate),
        itertools.repeat([(images, desired)], config.steps),
        loss_function=loss_function,
        limit=training.NO_LIMIT,
        after_step=record,
    )
    with torch.no_grad():
        losses[config.steps] = loss_function(layer(images), desired).item()

    rows = Rows()
    for mode, values in enumerate(zip(1 - modes.factors(rate), modes.time_constants(rate), strict=True)):
        for measure, value in zip(("shrinkage", "time_constant"), values, strict=True):
            rows.add(measure, value, index=mode)
    for step in sorted(weights):
        law = modes.decay(start, rate, step)
        for mode, (amplitude, expected) in enumerate(zip(weights[step], law, strict=True)):
            rows.add("amplitude", amplitude, step=step, index=mode)
            rows.add("law", expected, step=step, index=mode)
        rows.add("excess", losses[step] - minimum, step=step)
        rows.add("excess_law", float(modes.excess_loss(law)), step=step)
    return rows.table()


def _start(config: LinearDescent) -> tuple[Tensor, Tensor, nn.Conv2d]:
    """The seed's images, their desired response, and the convolution as the framework initialises it."""
    import torch
    from torch import nn

    from normscope import training
    from normscope.papers.shared.images import IMAGE
    from normscope.papers.shared.training_run import drawn_images

    generator = torch.Generator().manual_seed(config.seed)
    images = drawn_images(config.data, config.images, IMAGE, generator).double()
    channels = images.shape[1]
    wanted = torch.randn(1, channels, config.kernel, config.kernel, generator=generator, dtype=torch.float64)
    clean = nn.functional.conv2d(images, wanted.to(images))
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64).to(images)
    with training.seeded(config.seed):
        layer = nn.Conv2d(channels, 1, config.kernel, bias=False).to(images)
    return images, clean + config.noise * clean.std() * noise, layer


def _moments(images: Tensor, desired: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """``R = E[x xᵀ]`` and ``p = E[x d]`` over images and positions."""
    import torch

    from normscope import probes

    total = images.new_zeros(images.shape[1] * kernel**2)
    parts = (torch.split(values, _IMAGES_AT_ONCE) for values in (images, desired))
    for part, responses in zip(*parts, strict=True):
        patches = torch.nn.functional.unfold(part, kernel)
        total += torch.einsum("nkm,nm->k", patches, responses.flatten(1))
    return probes.autocorrelation(images, kernel), total / desired.numel()
