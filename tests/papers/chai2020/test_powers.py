"""The cell of Fig. 5, run for real on a few images."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from normscope import networks, training
from normscope.papers.chai2020.cells.lenet import VARIANTS, EarlySpectrum, early_spectrum
from normscope.papers.chai2020.cells.powers import _measure, channel_power
from normscope.protocol import Rows

CONFIG = EarlySpectrum("batch", 0.5, seed=0, data="mnist5k", images=256)


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].to_numpy()


def model_of(norm):
    with training.seeded(0):
        model = networks.lenet(norm=norm)
        for name, parameter in model.named_parameters():
            if name.startswith("norm"):
                torch.nn.init.uniform_(parameter, 0.5, 2.0)
        model.conv1.weight.data[:3] *= 5  # some channels above the threshold, some below
    return model


@pytest.mark.parametrize("norm", VARIANTS)
def test_the_powers_are_those_of_the_layers_input_and_of_its_output_with_the_affine_map_undone(norm):
    model = model_of(norm)
    x = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    rows = Rows()
    _measure(rows, model, x, step=3)
    table = rows.table()
    seen = {}
    double = copy.deepcopy(model).double().train()
    for name in ("norm1", "norm2"):
        double.get_submodule(name).register_forward_hook(
            lambda layer, args, y, name=name: seen.update({name: (args[0].detach(), y.detach(), layer)})
        )
    double(x.double())
    for convolution, name in (("conv1", "norm1"), ("conv2", "norm2")):
        before, after, layer = seen[name]
        plain = after
        if norm != "none":
            plain = (after - layer.bias.view(-1, 1, 1)) / layer.weight.view(-1, 1, 1)
        expected = {
            "power_in": before.square().mean((0, 2, 3)),
            "variance_in": before.var((0, 2, 3), correction=0),
            "power_out": plain.detach().square().mean((0, 2, 3)),
            "power_affine": after.square().mean((0, 2, 3)),
        }
        for measure, powers in expected.items():
            found = values(table, measure, layer=convolution, step=3)
            np.testing.assert_allclose(found, powers.numpy(), rtol=1e-10)


@pytest.mark.parametrize("norm", VARIANTS)
def test_measuring_leaves_the_model_as_it_is(norm):
    model = model_of(norm)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _measure(Rows(), model, torch.randn(4, 1, 32, 32), step=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_channel_of_hardly_any_variance_ends_below_one_by_the_law():
    """σ² ≪ ε: normalized, but not to power 1; why such channels are not judged."""
    model = model_of("amplify")
    model.conv1.weight.data[5] *= 1e-4
    model.conv1.bias.data[5] = 0
    rows = Rows()
    _measure(rows, model, torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(2)), step=0)
    (variance,) = values(rows.table(), "variance_in", layer="conv1", channel=5)
    (power,) = values(rows.table(), "power_out", layer="conv1", channel=5)
    assert variance < 1e-6
    assert power == pytest.approx(variance / (variance + 1e-5))
    assert power < 0.1


def test_the_steps_are_those_of_the_early_spectra(losses_of):
    config = dataclasses.replace(CONFIG, images=512)
    losses = losses_of(channel_power, config) + losses_of(early_spectrum, config)
    assert len(losses) == 10
    assert losses[:5] == losses[5:]


def test_every_variant_starts_from_the_same_weights():
    first = [
        values(channel_power(dataclasses.replace(CONFIG, norm=norm)), "power_in", step=0, layer="conv1")
        for norm in VARIANTS
    ]
    for other in first[1:]:
        np.testing.assert_allclose(other, first[0], rtol=1e-12)


def test_a_run_that_diverges_says_so_and_keeps_its_start():
    frame = channel_power(dataclasses.replace(CONFIG, norm="none", rate=1e8)).to_pandas()
    assert set(frame.loc[frame["measure"] == "power_in", "step"]) == {0}
    assert (frame["measure"] == "diverged").sum() == 1


def test_the_same_cell_gives_the_same_bits():
    assert channel_power(CONFIG).equals(channel_power(CONFIG))


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {"power_in": 6.14626, "power_affine": 16.2374}


def test_the_rows_of_this_version_have_not_moved():
    table = channel_power(CONFIG)
    assert channel_power.version == 1
    found = {measure: values(table, measure, step=5, layer="conv2").sum() for measure in FINGERPRINT}
    assert found == pytest.approx(FINGERPRINT, rel=2e-3)
