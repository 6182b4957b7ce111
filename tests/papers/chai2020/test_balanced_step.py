"""The cell of the paper's assumption: one step on inputs of ±a pixels, and on inputs whose power varies."""

import math

import pytest
import torch
from scipy.special import ndtri
from torch import nn

from normscope.papers.chai2020.cells.step_comparison import BalancedStep, _balanced_input, balanced_step

CHANNELS = 6


def measures(variation, seed=0, images=64):
    return (
        balanced_step(BalancedStep(variation, seed, images))
        .to_pandas()
        .set_index("measure")["value"]
        .to_dict()
    )


def input_of(config):
    generator = torch.Generator().manual_seed(config.seed)
    return _balanced_input(config, CHANNELS, generator), generator


def by_brute_force(config):
    """The cell's three measures from unfolded patches and moments written out; only the input is the cell's."""
    x, generator = input_of(config)
    labels = torch.randint(10, (len(x),), generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        _, second, head = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5).double(), nn.Linear(400, 10).double()
    sigma = (x - x.mean((0, 2, 3), keepdim=True)).square().mean((0, 2, 3), keepdim=True).sqrt()
    normalized = (x - x.mean((0, 2, 3), keepdim=True)) / sigma
    patches = nn.functional.unfold(normalized, 5)
    out = torch.einsum("ok,nkm->nom", second.weight.flatten(1), patches).view(-1, 16, 10, 10)
    out = (out + second.bias.view(1, -1, 1, 1)).detach().requires_grad_()
    logits = head(nn.functional.avg_pool2d(torch.relu(out), 2).flatten(1))
    nn.functional.cross_entropy(logits, labels).backward()
    error = out.grad.flatten(2)

    raw = nn.functional.unfold(x, 5).view(len(x), CHANNELS, 25, -1)
    powers = raw.square().mean(2)
    update = torch.einsum("nom,nckm->ock", error, raw / powers.unsqueeze(2)).flatten()
    plain = torch.einsum("nom,nkm->ok", error, patches).view(16, CHANNELS, 25) / sigma.view(1, -1, 1)
    by_channel = powers.transpose(0, 1).flatten(1)
    return {
        "distance": ((plain.flatten() - update).norm() / update.norm()).item(),
        "cosine": nn.functional.cosine_similarity(plain.flatten(), update, dim=0).item(),
        "power_variation": (by_channel.std(1, correction=0) / by_channel.mean(1)).mean().item(),
    }


@pytest.mark.parametrize("seed", range(8))
def test_where_every_patch_has_its_channels_power_the_step_is_exactly_nlmss(seed):
    found = measures(0.0, seed)
    assert found["distance"] < 1e-9
    assert found["cosine"] == pytest.approx(1.0, abs=1e-12)
    assert found["power_variation"] == 0


@pytest.mark.parametrize("variation", [0.01, 0.25, 0.8, 2.0])
@pytest.mark.parametrize("seed", range(2))
def test_elsewhere_it_is_not(variation, seed):
    assert measures(variation, seed)["distance"] > 0.1 * min(variation, 1)


def test_the_step_departs_from_nlmss_as_the_power_varies_more():
    found = [measures(variation) for variation in (0.0, 0.1, 0.25, 0.5, 0.8, 1.0, 1.5, 2.0)]
    distances, cosines = ([one[name] for one in found] for name in ("distance", "cosine"))
    assert distances == sorted(distances)
    assert cosines == sorted(cosines, reverse=True)


@pytest.mark.parametrize("variation", [0.0, 0.25, 1.5])
@pytest.mark.parametrize("seed", range(2))
def test_every_measure_is_that_of_brute_force(variation, seed):
    expected = by_brute_force(BalancedStep(variation, seed))
    assert measures(variation, seed) == pytest.approx(expected, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("variation", [0.0, 0.5, 2.0])
def test_the_input_is_pixels_of_one_size_an_image_and_channel_in_balance(variation):
    x, _ = input_of(BalancedStep(variation, seed=3, images=40))
    assert x.shape == (40, CHANNELS, 14, 14)
    assert torch.equal(x[20:], -x[:20])
    sizes = x.abs().flatten(2)
    assert torch.equal(sizes.amin(2), sizes.amax(2))
    relative = sizes[..., 0] / sizes[:1, :, 0]
    assert torch.allclose(relative, relative[:, :1].expand_as(relative))


@pytest.mark.parametrize("variation", [0.25, 0.5, 1.0, 2.0])
def test_the_power_varies_as_the_quantiles_of_a_log_normal_of_that_variation(variation):
    """Its own coefficient of variation is √(exp s² − 1); that of its quantiles comes close with many images."""
    spread = math.sqrt(math.log(1 + variation**2))
    powers = [math.exp(spread * ndtri((k + 0.5) / 32)) for k in range(32)]
    mean = sum(powers) / 32
    deviation = math.sqrt(sum((power - mean) ** 2 for power in powers) / 32)
    assert measures(variation)["power_variation"] == pytest.approx(deviation / mean, rel=1e-10)
    many = input_of(BalancedStep(variation, 0, images=20_000))[0][:, 0, 0, 0].square()
    assert (many.std(correction=0) / many.mean()).item() == pytest.approx(variation, rel=0.05)


def test_the_same_cell_gives_the_same_bits_whatever_ran_before():
    torch.manual_seed(5)
    first = balanced_step(BalancedStep(0.5, 1))
    torch.manual_seed(99)
    assert balanced_step(BalancedStep(0.5, 1)).equals(first)
    assert not balanced_step(BalancedStep(0.5, 2)).equals(first)


def test_a_cell_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    balanced_step(BalancedStep(0.5, 1))
    assert torch.equal(torch.rand(2), expected)


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {"distance": 0.600920, "cosine": 0.799905, "power_variation": 0.732103}


def test_the_rows_of_this_version_have_not_moved():
    assert balanced_step.version == 1
    assert measures(0.8) == pytest.approx(FINGERPRINT, rel=1e-5)
