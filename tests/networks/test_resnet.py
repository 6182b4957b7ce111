import math

import pytest
import torch
from torch import nn

from normscope import networks
from normscope.errors import InputError, UnknownNameError
from normscope.nn.descriptions import NORMS
from normscope.training import seeded

F = nn.functional
IN_GROUPS = {"group": "group(groups=1)"}  # of the image's three channels there are no two groups


def convolutions(model):
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def norms(model):
    return [name for name, module in model.named_modules() if type(module).__name__ == "BatchNorm"]


@pytest.mark.parametrize("depth", [8, 20, 32, 56, 110])
def test_depth_counts_the_convolutions_and_the_linear_layer(depth):
    model = networks.resnet(depth)
    assert len(convolutions(model)) == len(norms(model)) == depth - 1


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.7")]
)
def test_parameters_are_as_many_as_the_original_papers(depth, millions):
    """He et al. 2016, Table 6, to the published digits."""
    count = sum(p.numel() for p in networks.resnet(depth).parameters())
    assert f"{count / 1e6:.{len(millions) - 2}f}" == millions


@pytest.mark.parametrize("depth", [8, 20, 110])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_parameters_are_those_of_the_layers_that_the_paper_lists(depth, norm):
    """He et al. 2016, section 4.2: 2n layers for each map size; a norm has gain and bias, else a layer has a bias."""
    n = (depth - 2) // 6
    pairs = [(3, 16)] + [(16, 16)] * 2 * n
    pairs += [(16, 32)] + [(32, 32)] * (2 * n - 1) + [(32, 64)] + [(64, 64)] * (2 * n - 1)
    expected = sum(9 * before * after + (2 if norm == "batch" else 1) * after for before, after in pairs)
    assert sum(p.numel() for p in networks.resnet(depth, norm).parameters()) == expected + 64 * 10 + 10


@pytest.mark.parametrize("depth", [8, 20])
def test_maps_halve_where_the_channels_double(depth):
    """He et al. 2016, section 4.2: maps of 32, 16 and 8 with 16, 32 and 64 channels; 3×3 throughout."""
    n, model, shapes = (depth - 2) // 6, networks.resnet(depth), []
    for conv in convolutions(model):
        assert conv.kernel_size == (3, 3)
        conv.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.zeros(2, 3, 32, 32))
    assert shapes == [(16, 32, 32)] * (2 * n + 1) + [(32, 16, 16)] * 2 * n + [(64, 8, 8)] * 2 * n


@pytest.mark.parametrize("depth", [8, 14])
@pytest.mark.parametrize("side", [16, 15])
def test_the_forward_pass_is_the_residual_networks(depth, side):
    model = networks.resnet(depth, norm="none").double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    weights = [(conv.weight, conv.bias) for conv in convolutions(model)]
    h = F.conv2d(x, *weights[0], padding=1).clamp(min=0)
    n = (depth - 2) // 6
    for block in range(3 * n):
        stride = 2 if block in (n, 2 * n) else 1
        first, second = weights[1 + 2 * block : 3 + 2 * block]
        branch = F.conv2d(F.conv2d(h, *first, padding=1, stride=stride).clamp(min=0), *second, padding=1)
        shortcut = torch.zeros_like(branch)
        shortcut[:, : h.shape[1]] = h[:, :, ::stride, ::stride]
        h = (branch + shortcut).clamp(min=0)
    expected = h.mean((2, 3)) @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(
    ("place", "layers", "expected"),
    [
        ("after", None, 7),
        ("before", None, 7),
        ("prior", None, 6),
        ("top", None, 1),
        ("after", [2, 3], 2),
    ],
)
def test_a_place_puts_norms_where_it_says(place, layers, expected):
    model = networks.resnet(8, place=place, layers=layers)
    assert len(norms(model)) == expected
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_a_norm_before_the_first_convolution_is_the_images():
    assert networks.resnet(8, place="before").stem.before.weight.shape == (3,)


def test_the_norm_on_top_is_the_only_one_and_its_output_is_what_is_pooled():
    model, seen = networks.resnet(8, place="top"), []
    assert norms(model) == ["top"]
    assert model.top.weight.shape == (64,)
    model.top.register_forward_hook(lambda _, inputs, output: seen.append(output))
    model.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.randn(4, 3, 8, 8))
    torch.testing.assert_close(seen[1], seen[0].mean((2, 3)))


@pytest.mark.parametrize("place", networks.PLACES)
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_at_every_place_takes_a_step_from_the_same_weights(norm, place):
    with seeded(3):
        bare = convolutions(networks.resnet(8, norm="none"))
    with seeded(3):
        model = networks.resnet(8, IN_GROUPS.get(norm, norm), place)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(bare, convolutions(model), strict=True))
    x, y = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = model.stem.conv.weight.detach().clone()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert model.stem.conv.weight.isfinite().all()
    assert not torch.equal(model.stem.conv.weight, before)


def test_only_a_convolution_that_no_norm_follows_has_a_bias():
    model = networks.resnet(8, layers=[1, 2])
    assert [conv.bias is not None for conv in convolutions(model)] == [False, False] + [True] * 5
    assert all(conv.bias is not None for conv in convolutions(networks.resnet(8, norm="none")))


def test_weights_follow_xaviers_rule():
    torch.manual_seed(0)
    weight = convolutions(networks.resnet(20))[-1].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9 + 64 * 9)), rel=0.02)


@pytest.mark.parametrize("depth", [2, 9, 19, 51])
def test_another_depth_is_refused(depth):
    with pytest.raises(InputError, match=r"6n\+2"):
        networks.resnet(depth)


@pytest.mark.parametrize("name", ["depth", "in_channels", "classes"])
@pytest.mark.parametrize("wrong", [0, -1, 8.0, True, "8", None, math.nan, [8]], ids=str)
def test_a_size_that_is_none_is_refused(name, wrong):
    with pytest.raises(InputError, match=f"{name} must be a whole number of at least 1"):
        networks.resnet(**{"depth": 8, name: wrong})


@pytest.mark.parametrize("make", [networks.resnet, networks.deep_linear])
@pytest.mark.parametrize("layers", [3, "12", ["a"], [None], [1.5], math.nan], ids=str)
def test_layers_that_are_no_numbers_are_refused(make, layers):
    with pytest.raises(InputError, match="layers must be numbers of layers from 1 to 7"):
        make(8, layers=layers)


@pytest.mark.parametrize("make", [networks.resnet, networks.deep_linear])
@pytest.mark.parametrize("place", [None, 3], ids=str)
def test_a_place_that_is_no_word_is_refused(make, place):
    with pytest.raises(UnknownNameError, match="unknown place"):
        make(8, place=place)
