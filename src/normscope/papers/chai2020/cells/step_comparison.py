"""The cells of §4: plain steps behind a norm, each compared with the step that NLMS would have made.

``compare_steps`` does it on digits; ``balanced_step`` on an input that meets the paper's assumption, and on inputs that
miss it by a known amount.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from normscope.papers.chai2020.cells.arrangements import FIXED_RATE, start
from normscope.papers.shared.steps import ever_rarer
from normscope.protocol import EVERY_DEVICE, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    import torch
    from torch import Tensor

_EPS = 1e-30
"""So small that it vanishes beside any power: ε → 0, in the norm and in NLMS."""


@dataclasses.dataclass(frozen=True)
class StepComparison:
    """The first epoch of a run without noise, each step compared with NLMS's."""

    arrangement: str
    rate: float
    seed: int
    data: str
    images: int
    batch: int = 64
    fixed_rate: float = FIXED_RATE


@cell(
    name="normscope.papers.chai2020.noise:compare_steps",
    version=2,
    cost=lambda run: 0.3 + 1.4e-4 * run.images + 0.03 * len(compared_steps(run.images // run.batch)),
    devices=lambda run: EVERY_DEVICE,
)
def compare_steps(config: StepComparison) -> pa.Table:
    """How close each plain step of the second convolution is to NLMS's from the same input and local error.

    Rows, by the number of steps taken before:

    * ``cosine_mean`` and ``cosine_sum``: the cosine similarity between the plain weight step ``Σ e·x`` and NLMS_L2's
      ``Σ e·x/(ε + ‖x‖²)`` in both readings of the power, x the convolution's own input.
    * ``cosine_before_norm``, for BN_Prior: the same with both steps in the space of weights on the input before the
      norm; see :class:`~normscope.papers.chai2020.cells.step_watch.StepWatch`.
    * ``length``: the plain step's length over NLMS's (``mean``).
    * ``power_variation``: the coefficient of variation of the patches' power, the mean over channels.
    * ``gain_distance`` and ``bias_distance``, with a norm: the root mean squares over channels of γ − 1 and of β.

    Also ``diverged`` as in :func:`~normscope.papers.chai2020.cells.noise.train_arrangement`.
    """
    from normscope.papers.chai2020.cells.step_watch import StepWatch

    run = start(config)
    watch = StepWatch(run.model)
    wanted = set(compared_steps(len(run.images) // config.batch))
    rows = Rows()

    def compare(step: int, loss: float) -> None:
        if step - 1 in wanted:
            for measure, value in watch.compare().items():
                rows.add(measure, value, step=step - 1)

    run.record(rows, 1, after_step=compare)
    return rows.table()


def compared_steps(count: int) -> tuple[int, ...]:
    """Which of an epoch's ``count`` steps are compared, from 0: the first fifty, then ten a doubling, and the last."""
    return ever_rarer(count, dense=50, per_doubling=10)


@dataclasses.dataclass(frozen=True)
class BalancedStep:
    """One step behind batch normalization on an input of ±a_c pixels.

    ``variation`` is the coefficient of variation of the patches' power, which varies from image to image; at 0 every
    patch has its channel's power, as the paper assumes (eq. 10).
    """

    variation: float
    seed: int
    images: int = 64


@cell(name="chai2020.balanced_step", version=1, cost=lambda run: 0.2)
def balanced_step(config: BalancedStep) -> pa.Table:
    """Compare BN_Prior's first step with NLMS's on the input before the norm, in the space of weights on that input.

    Behind a norm with γ = 1, β = 0 and ε → 0 the weights W act on ``x/σ_c``, so that a step ΔW is a step ``ΔW/σ_c`` of
    the weights on x. NLMS's, ``Σ e·x/‖x_{c,m}‖``, divides by each patch's own power instead of the channel's. The
    network is the LeNet of the seed from its second convolution on, in float64; the local error is that of its
    cross-entropy on labels drawn by the seed.

    Rows: ``distance``, ‖ΔW/σ_c − NLMS‖/‖NLMS‖; ``cosine`` of the angle between the two; ``power_variation`` as measured
    on the input.
    """
    import torch
    from torch import nn

    from normscope import training
    from normscope.nn import BatchNorm
    from normscope.papers.chai2020.cells import recipe
    from normscope.papers.chai2020.cells.step_watch import NLMS, power_variation

    network = recipe.lenet(config.seed, norm="none").double()
    generator = torch.Generator().manual_seed(config.seed)
    weight = network.get_parameter("conv2.weight")
    outputs, channels, height, width = weight.shape
    x = _balanced_input(config, channels, generator).to(weight)
    labels = torch.randint(network.fc.out_features, (len(x),), generator=generator).to(x.device)
    norm = BatchNorm(channels, eps=_EPS, gain=False, bias=False, dtype=torch.float64).to(x.device)

    out = network.conv2(norm(x))
    logits = network.fc(network.pool(torch.relu(out)).flatten(1))
    loss = nn.functional.cross_entropy(logits, labels)
    gradient, error = torch.autograd.grad(loss, (weight, out))
    plain = gradient / x.std((0, 2, 3), correction=0).view(1, -1, 1, 1)
    with training.seeded(0):  # its weights do not matter: NLMS's step depends on input and error alone
        nlms = NLMS(channels, outputs, (height, width), eps=_EPS, power="mean", dtype=torch.float64).to(x)
    (update,) = torch.autograd.grad(nlms(x), nlms.weight, error)

    rows = Rows()
    rows.add("distance", ((plain - update).norm() / update.norm()).item())
    rows.add("cosine", nn.functional.cosine_similarity(plain.flatten(), update.flatten(), dim=0).item())
    rows.add("power_variation", power_variation(x, (height, width)).item())
    return rows.table()


def _balanced_input(config: BalancedStep, channels: int, generator: torch.Generator) -> Tensor:
    """Images of ±a_c m_n pixels, each with its negative; m_n² is log-normal over images with mean 1."""
    import torch

    half = config.images // 2
    signs = torch.randint(2, (half, channels, 14, 14), generator=generator).double() * 2 - 1
    amplitudes = torch.randn(channels, generator=generator, dtype=torch.float64).exp()
    spread = math.sqrt(math.log1p(config.variation**2))
    quantiles = torch.special.ndtri((torch.arange(half, dtype=torch.float64) + 0.5) / half)
    powers = (spread * quantiles).exp()
    images = signs * amplitudes.view(1, -1, 1, 1) * (powers / powers.mean()).sqrt().view(-1, 1, 1, 1)
    return torch.cat([images, -images])
