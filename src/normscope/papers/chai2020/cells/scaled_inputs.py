"""The cell of Fig. 4: the second convolution's input, its channels scaled, correlated or not.

The input is real: what reaches the second convolution of the untrained baseline LeNet on real digits. Its channels are
correlated. To remove the correlation and nothing else, each image is shown several times with its channels' signs
flipped, so that any two channels agree as often as they disagree (the columns of a Hadamard matrix). Every channel's
own block of the autocorrelation stays as it was, and the blocks between channels cancel. A batch that mixes both kinds
of images keeps the corresponding share of its cross blocks.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.errors import UnknownNameError
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

SCALINGS = {"powers_of_two": "powers of two", "unit_power": "to power 1"}
"""The channels' factors: exact in floating point; or ``1/√(P_c + ε)``, as normalization scales them."""


@dataclasses.dataclass(frozen=True)
class ScaledChannels:
    """A batch: its channels' factors, the share of their correlation that remains, the seed of images and network."""

    scaling: str
    correlation: float
    seed: int
    data: str
    images: int


@cell(
    name="normscope.papers.chai2020.scaled_channels:scale_channels",
    version=1,
    cost=lambda run: 0.2 + 1e-3 * run.images,
)
def scale_channels(config: ScaledChannels) -> pa.Table:
    """The input's autocorrelation before and after its channels are scaled, both measured, in float64.

    Rows: by channel c ``factor`` a_c; ``block_ratio``, the trace of block (c, c) of R after over before; and
    ``block_error``, the block's largest deviation from a_c² times what it was, over its largest entry. ``cross_share``,
    that of ‖R‖² in the blocks between channels, before. Eigenvalues by ``index``, ascending: ``eigenvalue`` of R
    after; ``block_eigenvalue``, those of all the blocks before, times a_c², with their ``channel``. A channel that is
    zero throughout has no ratio (NaN).
    """
    import torch

    from normscope import probes

    if config.scaling not in SCALINGS:
        raise UnknownNameError("scaling", config.scaling, SCALINGS)
    activations, kernel = _second_input(config)
    batch = _with_correlation(activations, config.correlation)
    channels = batch.shape[1]
    factors = 2.0 ** (torch.arange(channels, dtype=torch.float64, device=batch.device) - channels // 2)
    if config.scaling == "unit_power":
        factors = (activations.square().mean((0, 2, 3)) + 1e-5).rsqrt()  # a norm's ε
    before = probes.autocorrelation(batch, kernel)
    after = probes.autocorrelation(batch * factors.view(-1, 1, 1), kernel)
    blocks, scaled = _diagonal_blocks(before, channels), _diagonal_blocks(after, channels)
    expected = factors.square().view(-1, 1, 1) * blocks
    rows = Rows()
    for channel in range(channels):
        rows.add("factor", factors[channel].item(), channel=channel)
        rows.add("block_ratio", (scaled[channel].trace() / blocks[channel].trace()).item(), channel=channel)
        largest = expected[channel].abs().max().clamp_min(torch.finfo(torch.float64).tiny)
        error = (scaled[channel] - expected[channel]).abs().max() / largest
        rows.add("block_error", error.item(), channel=channel)
    rows.add("cross_share", 1 - (blocks.square().sum() / before.square().sum()).item())
    own = factors.square().view(-1, 1) * torch.linalg.eigvalsh(blocks)
    for index, place in enumerate(own.flatten().argsort(stable=True).tolist()):
        rows.add("block_eigenvalue", own.flatten()[place].item(), index=index, channel=place // own.shape[1])
    rows.add_each("eigenvalue", torch.linalg.eigvalsh(after).tolist())
    return rows.table()


def _second_input(config: ScaledChannels) -> tuple[Tensor, int]:
    """What reaches the second convolution of the seed's baseline LeNet, (N, C, H, W), and that kernel's size."""
    import torch

    from normscope.papers.chai2020.cells import recipe
    from normscope.papers.shared.images import IMAGE
    from normscope.papers.shared.training_run import drawn_images
    from normscope.probes import capture

    generator = torch.Generator().manual_seed(config.seed)
    images = drawn_images(config.data, config.images, IMAGE, generator).double()
    model = recipe.lenet(config.seed, config.data, norm="none").double()
    convolution = model.get_submodule("conv2")
    assert isinstance(convolution, torch.nn.Conv2d)
    seen: list[Tensor] = []
    capture.forward(model, images, {"conv2": convolution}, lambda _, __, x: seen.append(x))
    return seen[0], convolution.kernel_size[0]


def _with_correlation(x: Tensor, share: float) -> Tensor:
    """``x`` with the blocks between its channels multiplied by ``share`` and its channels' own left as they are."""
    import torch
    from scipy.linalg import hadamard

    channels = x.shape[1]
    order = 1 << (channels - 1).bit_length()
    signs = torch.from_numpy(hadamard(order)[:, :channels]).to(x)
    copies = [(share, torch.ones_like(signs[0])), *(((1 - share) / order, pattern) for pattern in signs)]
    used = [(weight, pattern) for weight, pattern in copies if weight]
    return torch.cat([(weight * len(used)) ** 0.5 * pattern.view(-1, 1, 1) * x for weight, pattern in used])


def _diagonal_blocks(matrix: Tensor, channels: int) -> Tensor:
    """The channels' own blocks of a (C·k², C·k²) matrix, (C, k², k²)."""
    size = len(matrix) // channels
    return matrix.view(channels, size, channels, size).diagonal(dim1=0, dim2=2).movedim(-1, 0)
