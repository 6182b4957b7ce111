"""The cells of Figs. 2, 7, 15, 18 and 19: gradients of parameters at initialisation."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 51
"""Of a histogram of gradients."""


@cell(
    name="bjorck2018.layer_gradients",
    version=1,
    cost=lambda config: 0.5 + step_seconds(config.depth, config.batch),
)
def layer_gradients(config: AtInitialisation) -> pa.Table:
    """The mean size of the gradients of each convolution, from one backward pass.

    Rows, by the name of the convolution: ``weight_gradient``, the mean of |∂L/∂w| over its weights, and
    ``bias_gradient``, the mean over its output channels of |∂L/∂β|, where β is the bias of the norm that follows, or
    the convolution's own bias if none follows.
    """
    from normscope.nn import module_kinds
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.probes import gradients

    start, rows = recipe.start(config), Rows()
    found = gradients(start.model, start.x, start.y).set_index(["layer", "parameter"])["mean_abs"]
    for layer, _ in module_kinds.layers(start.model):
        if layer != "fc":
            norm = f"{layer.removesuffix('conv')}norm"
            after = norm if (norm, "bias") in found.index else layer
            rows.add("weight_gradient", found[layer, "weight"], layer=layer)
            rows.add("bias_gradient", found[after, "bias"], layer=layer)
    return rows.table()


@dataclasses.dataclass(frozen=True)
class KernelGradients(AtInitialisation):
    """A network at its initialisation, and the paper's numbers of the convolutions to look at."""

    layers: tuple[int, ...] = (35, 45, 55)


@cell(
    name="bjorck2018.kernel_gradients",
    version=1,
    cost=lambda config: 0.5 + step_seconds(config.depth, config.batch) * 2 / 3,
)
def kernel_gradients(config: KernelGradients) -> pa.Table:
    """The gradients of the weights of a few convolutions, from one backward pass.

    Rows, by the name of the convolution: ``count``, ``mean_abs``, ``std``, ``rms``, ``kurtosis`` and ``max_abs`` of the
    gradients of its weights; ``pair_gradient``, the mean of |∂L/∂w| over a kernel, by its output channel (the column
    ``channel``) and its input channel (``index``); and their histogram: ``bin_edge`` by index, ``bin_count`` by index.
    """
    import torch

    from normscope.papers.bjorck2018.cells import recipe
    from normscope.papers.bjorck2018.layers import layer_name
    from normscope.probes.layers_gradients import channel_pairs, weight_gradients
    from normscope.probes.parameter_gradients import Statistics
    from normscope.probes.symmetric_bins import Histogram

    start, rows = recipe.start(config), Rows()
    names = [layer_name(number) for number in config.layers]
    loss = torch.nn.functional.cross_entropy
    for layer, gradient in weight_gradients(start.model, start.x, start.y, names, loss).items():
        assert gradient.values is not None
        for measure, value in dataclasses.asdict(Statistics.of(gradient.values)).items():
            rows.add(measure, value, layer=layer)
        outputs, inputs, kernels = channel_pairs(gradient.layer, gradient.values)
        sizes = kernels.abs().mean(1)
        for channel, index, size in zip(outputs.tolist(), inputs.tolist(), sizes.tolist(), strict=True):
            rows.add("pair_gradient", size, layer=layer, channel=channel, index=index)
        histogram = Histogram.of(gradient.values, BINS)
        rows.add_each("bin_edge", histogram.edges.tolist(), layer=layer)
        rows.add_each("bin_count", histogram.counts.tolist(), layer=layer)
    return rows.table()


@dataclasses.dataclass(frozen=True)
class ChannelContributions(AtInitialisation):
    """A network at its initialisation, and the paper's number of the second convolution of a block to look at."""

    layer_number: int = 35


@cell(
    name="bjorck2018.channel_contributions",
    version=1,
    cost=lambda config: 0.3 + step_seconds(config.layer_number, config.batch) / 3,
)
def channel_contributions(config: ChannelContributions) -> pa.Table:
    """What each input channel of a block's second convolution is, and what it adds to the layer's output.

    Rows, by the name of the convolution and its input channel ``c``: ``channel_mean``, the mean over batch and
    positions before the ReLU in front of the convolution, and ``contribution``, the mean over batch, output channels
    and positions of the size of the part of the output that comes from the channel, ``|W[:, c] * x[c]|``.
    """
    import torch

    from normscope.papers.bjorck2018.cells import recipe
    from normscope.papers.bjorck2018.layers import layer_name

    start, rows, layer = recipe.start(config), Rows(), layer_name(config.layer_number)
    place = (config.layer_number - 3) // 2
    with torch.no_grad():
        blocks: Any = start.model.blocks
        before = blocks[place].first(blocks[:place](torch.relu(start.model.stem(start.x))))
        images, kernel = torch.relu(before), blocks[place].second.conv.weight
        parts = (
            torch.nn.functional.conv2d(images[:, [channel]], kernel[:, [channel]], padding=1)
            for channel in range(images.shape[1])
        )
        contributions = [part.abs().mean(dtype=torch.float64).item() for part in parts]
    means = before.mean((0, 2, 3), dtype=torch.float64)
    rows.add_each("channel_mean", means.tolist(), by="channel", layer=layer)
    rows.add_each("contribution", contributions, by="channel", layer=layer)
    return rows.table()
