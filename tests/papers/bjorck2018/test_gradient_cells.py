"""The cells of Figs. 2, 7, 15, 18 and 19, run for real on shallow networks, against a few lines of torch."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from normscope.papers.bjorck2018.cells import recipe
from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.gradients import (
    BINS,
    ChannelContributions,
    KernelGradients,
    channel_contributions,
    kernel_gradients,
    layer_gradients,
)

CONFIG = AtInitialisation("batch", seed=1, data="mnist5k", images=64, depth=8, batch=8)
NETWORKS = {"unnormalized": ("none", "after"), "BN": ("batch", "after"), "BN at the top": ("batch", "top")}


def setting(network, kind=AtInitialisation, **more):
    norm, place = NETWORKS[network]
    return kind(**dataclasses.asdict(CONFIG) | {"norm": norm, "place": place} | more)


def differentiated(config):
    """The cell's network after ``loss.backward()``."""
    start = recipe.start(config)
    torch.nn.functional.cross_entropy(start.model(start.x), start.y).backward()
    return start.model


@pytest.mark.parametrize("network", NETWORKS)
def test_a_layers_gradients_are_those_that_backward_leaves(network):
    config = setting(network)
    found = layer_gradients(config).to_pandas().set_index(["measure", "layer"])["value"]
    model = differentiated(config)
    units = {"stem": model.stem} | {
        f"blocks.{place}.{name}": getattr(block, name)
        for place, block in enumerate(model.blocks)
        for name in ("first", "second")
    }
    assert len(found) == 2 * len(units) == 2 * 7
    for name, unit in units.items():
        bias = unit.norm.bias if network == "BN" else unit.conv.bias
        expected = [unit.conv.weight.grad.abs().mean().item(), bias.grad.abs().mean().item()]
        measured = [found[measure, f"{name}.conv"] for measure in ("weight_gradient", "bias_gradient")]
        np.testing.assert_allclose(measured, expected, rtol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_kernels_rows_are_the_statistics_pairs_and_histogram_of_its_gradients(network):
    config = setting(network, KernelGradients, layers=(3, 6))
    table = kernel_gradients(config).to_pandas()
    model = differentiated(config)
    kernels = {"blocks.0.second.conv": model.blocks[0].second, "blocks.2.first.conv": model.blocks[2].first}
    assert set(table["layer"]) == set(kernels)
    for name, unit in kernels.items():
        g = unit.conv.weight.grad.double().numpy()
        rows = table[table["layer"] == name]
        found = rows[rows["index"].isna()].set_index("measure")["value"]
        expected = {
            "count": g.size,
            "mean": g.mean(),
            "mean_abs": abs(g).mean(),
            "std": g.std(),
            "rms": np.sqrt((g**2).mean()),
            "kurtosis": stats.kurtosis(g.ravel(), fisher=False),
            "max_abs": abs(g).max(),
            "nonfinite": 0,
        }
        assert found.to_dict() == pytest.approx(expected, rel=1e-4, abs=1e-7)
        pairs = rows[rows["measure"] == "pair_gradient"].pivot(
            index="channel", columns="index", values="value"
        )
        np.testing.assert_allclose(pairs, abs(g).mean((2, 3)), rtol=1e-5)
        edges, counts = (
            rows.loc[rows["measure"] == m, "value"].to_numpy() for m in ("bin_edge", "bin_count")
        )
        assert (len(edges), len(counts), counts.sum()) == (BINS + 1, BINS, g.size)
        assert (edges[0], edges[-1]) == pytest.approx((-abs(g).max(), abs(g).max()))


@pytest.mark.parametrize("network", ["unnormalized", "BN"])
@pytest.mark.parametrize("number", [3, 5, 7])
def test_a_channels_contribution_is_what_the_layer_makes_of_it_alone(network, number):
    """From the patches of the layer's own input; and its mean is that in front of the ReLU."""
    config = setting(network, ChannelContributions, layer_number=number)
    found = channel_contributions(config).to_pandas().set_index(["measure", "channel"])["value"]
    start, seen = recipe.start(config), {}
    block = start.model.blocks[(number - 3) // 2]
    block.first.register_forward_hook(lambda unit, args, output: seen.update(before=output.detach()))
    block.second.register_forward_hook(lambda unit, args, output: seen.update(x=args[0].detach()))
    start.model(start.x)
    kernel = block.second.conv.weight.detach()
    np.testing.assert_allclose(found["channel_mean"], seen["before"].mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    for channel in range(kernel.shape[1]):
        patches = torch.nn.functional.unfold(seen["x"][:, [channel]], 3, padding=1)
        part = torch.einsum("ok,bkp->bop", kernel[:, channel].flatten(1), patches)
        assert found["contribution", channel] == pytest.approx(part.abs().mean().item(), rel=1e-4)


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINTS = {
    layer_gradients: ({}, {"weight_gradient": 0.0267144, "bias_gradient": 0.132954}),
    kernel_gradients: (
        {"layers": (3, 6)},
        {"pair_gradient": 3.17295, "kurtosis": 56.6809, "bin_edge": 2.59973},
    ),
    channel_contributions: ({"layer_number": 5}, {"contribution": 0.715695}),
}


@pytest.mark.parametrize("function", FINGERPRINTS, ids=lambda function: function.name)
def test_the_rows_of_this_version_have_not_moved(function):
    more, expected = FINGERPRINTS[function]
    assert function.version == 1
    table = function(setting("unnormalized", function.config_type, **more)).to_pandas()
    sizes = table["value"].abs().groupby(table["measure"]).sum()
    assert {measure: sizes[measure] for measure in expected} == pytest.approx(expected, rel=2e-3)
