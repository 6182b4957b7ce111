import math

import pytest
import torch
from torch import nn

from normscope import networks
from normscope.errors import InputError
from normscope.training import seeded

F = nn.functional


def convolutions(model):
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def norms(model):
    return [name for name, module in model.named_modules() if type(module).__name__ == "BatchNorm"]


@pytest.mark.parametrize("depth", [8, 20, 32, 56, 110])
def test_depth_counts_the_convolutions_and_the_linear_layer(depth):
    model = networks.resnet(depth)
    assert len(convolutions(model)) == len(norms(model)) == depth - 1


def test_parameters_are_as_many_as_the_original_papers():
    """He et al. 2016, Table 6: 0.27 M for ResNet-20, 1.7 M for ResNet-110."""
    count = {depth: sum(p.numel() for p in networks.resnet(depth).parameters()) for depth in (20, 110)}
    assert round(count[20] / 1e6, 2) == 0.27
    assert round(count[110] / 1e6, 1) == 1.7


def test_the_forward_pass_is_the_residual_networks():
    model = networks.resnet(8, norm="none").double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    weights = [(conv.weight, conv.bias) for conv in convolutions(model)]
    h = F.conv2d(x, *weights[0], padding=1).clamp(min=0)
    for block, stride in enumerate((1, 2, 2)):
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
    assert networks.resnet(8, place="top").top.weight.shape == (64,)


def test_only_a_convolution_that_no_norm_follows_has_a_bias():
    model = networks.resnet(8, layers=[1, 2])
    assert [conv.bias is not None for conv in convolutions(model)] == [False, False] + [True] * 5
    assert all(conv.bias is not None for conv in convolutions(networks.resnet(8, norm="none")))


def test_weights_follow_xaviers_rule():
    torch.manual_seed(0)
    weight = convolutions(networks.resnet(20))[-1].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9 + 64 * 9)), rel=0.02)


@pytest.mark.parametrize(("norm", "place"), [("batch", "after"), ("suppress", "before"), ("batch", "top")])
def test_every_variant_starts_from_the_same_weights(norm, place):
    with seeded(3):
        bare = convolutions(networks.resnet(8, norm="none"))
    with seeded(3):
        normed = convolutions(networks.resnet(8, norm=norm, place=place))
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(bare, normed, strict=True))


@pytest.mark.parametrize("depth", [2, 9, 19, 51])
def test_another_depth_is_refused(depth):
    with pytest.raises(InputError, match=r"6n\+2"):
        networks.resnet(depth)
