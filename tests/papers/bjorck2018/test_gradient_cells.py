"""The cells of Figs. 2, 7, 15, 18 and 19, run for real on shallow networks, against a few lines of torch."""

import dataclasses

import numpy as np
import pytest
import torch

from normscope.papers.bjorck2018.cells import recipe
from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.gradients import layer_gradients

CONFIG = AtInitialisation("batch", seed=1, data="mnist5k", images=64, depth=8, batch=8)
NETWORKS = {"unnormalized": ("none", "after"), "BN": ("batch", "after"), "BN at the top": ("batch", "top")}


def setting(network, **changes):
    norm, place = NETWORKS[network]
    return dataclasses.replace(CONFIG, norm=norm, place=place, **changes)


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


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINTS = {layer_gradients: {"weight_gradient": 0.0954134, "bias_gradient": 0.0986371}}


@pytest.mark.parametrize("function", FINGERPRINTS, ids=lambda function: function.name)
def test_the_rows_of_this_version_have_not_moved(function):
    assert function.version == 1
    table = function(CONFIG).to_pandas()
    found = {
        measure: table.loc[table["measure"] == measure, "value"].sum() for measure in FINGERPRINTS[function]
    }
    assert found == pytest.approx(FINGERPRINTS[function], rel=2e-3)
