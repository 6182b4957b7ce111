"""The cell of the channel scaling: the second convolution's input, its channels scaled, correlated or not.

The input is real: the untrained baseline LeNet's activations on real digits, where they reach its second convolution.
Its channels are correlated. To take the correlation out without touching anything else, each image is shown several
times, its channels' signs flipped so that every two channels agree as often as they disagree (the columns of a Hadamard
matrix): every channel's own block of the autocorrelation stays what it was, and the blocks between channels cancel.
A batch that is in part the one and in part the other has its cross blocks multiplied by that part.
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

_EPS = 1e-5
_SECONDS_PER_IMAGE = 1e-3


@dataclasses.dataclass(frozen=True)
class ScaledChannels:
    """A batch: its channels' factors, the share of their correlation that is left, seed of images and network, data."""

    scaling: str
    correlation: float
    seed: int
    data: str
    images: int


def _datasets(config: ScaledChannels) -> tuple[str, ...]:
    return (config.data,)


def _cost(config: ScaledChannels) -> float:
    return 0.2 + config.images * _SECONDS_PER_IMAGE


@cell(name="normscope.papers.chai2020.scaled_channels:scale_channels", version=1, cost=_cost, data=_datasets)
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

    activations, kernel = _second_input(config)
    batch = _with_correlation(activations, config.correlation)
    channels = batch.shape[1]
    factors = _factors(config.scaling, activations)
    before = probes.autocorrelation(batch, kernel)
    after = probes.autocorrelation(batch * factors.view(-1, 1, 1), kernel)
    blocks, scaled = _diagonal_blocks(before, channels), _diagonal_blocks(after, channels)
    expected = factors.square().view(-1, 1, 1) * blocks
    rows = Rows()
    for channel in range(channels):
        rows.add("factor", factors[channel].item(), channel=channel)
        ratio = scaled[channel].trace() / blocks[channel].trace()
        rows.add("block_ratio", ratio.item(), channel=channel)
        largest = expected[channel].abs().max().clamp_min(torch.finfo(torch.float64).tiny)
        error = (scaled[channel] - expected[channel]).abs().max() / largest
        rows.add("block_error", error.item(), channel=channel)
    rows.add("cross_share", 1 - (blocks.square().sum() / before.square().sum()).item())
    own = factors.square().view(-1, 1) * torch.linalg.eigvalsh(blocks)
    for index, place in enumerate(own.flatten().argsort(stable=True).tolist()):
        rows.add("block_eigenvalue", own.flatten()[place].item(), index=index, channel=place // own.shape[1])
    for index, value in enumerate(torch.linalg.eigvalsh(after).tolist()):
        rows.add("eigenvalue", value, index=index)
    return rows.table()


def _second_input(config: ScaledChannels) -> tuple[Tensor, int]:
    """What reaches the second convolution of the seed's baseline LeNet, (N, C, H, W), and that kernel's size."""
    import torch

    from normscope import data, networks, training
    from normscope.data.batches import Split
    from normscope.papers.chai2020 import recipe
    from normscope.probes import capture

    split = Split.of(data.load(config.data), "train", recipe.IMAGE)
    generator = torch.Generator().manual_seed(config.seed)
    images, _ = split.batch(torch.randperm(len(split), generator=generator)[: config.images])
    with training.seeded(config.seed):
        model = networks.lenet(norm="none", image=recipe.IMAGE).double()
    convolution = model.get_submodule("conv2")
    assert isinstance(convolution, torch.nn.Conv2d)
    seen: list[Tensor] = []
    capture.forward(model, images.double(), {"conv2": convolution}, lambda _, __, x: seen.append(x))
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


def _factors(scaling: str, x: Tensor) -> Tensor:
    import torch

    if scaling == "powers_of_two":
        channels = torch.arange(x.shape[1], dtype=x.dtype)
        return 2.0 ** (channels - x.shape[1] // 2)
    if scaling == "unit_power":
        return (x.square().mean((0, 2, 3)) + _EPS).rsqrt()
    raise UnknownNameError("scaling", scaling, SCALINGS)


def _diagonal_blocks(matrix: Tensor, channels: int) -> Tensor:
    """The channels' own blocks of a (C·k², C·k²) matrix, (C, k², k²)."""
    size = len(matrix) // channels
    return matrix.view(channels, size, channels, size).diagonal(dim1=0, dim2=2).movedim(-1, 0)
