import math

import pytest
import torch
from torch import nn

from normscope import networks
from normscope.errors import InputError, UnknownNameError
from normscope.training import seeded


def norms(model):
    return [name for name, module in model.named_modules() if type(module).__name__ == "BatchNorm"]


def test_without_norms_it_is_the_product_of_its_matrices():
    model = networks.deep_linear(5, 7, "none", in_features=4, classes=3).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    product = torch.eye(4, dtype=torch.float64)
    for layer in model.linear_layers:
        product = layer.weight @ product
    torch.testing.assert_close(model(x), x @ product.T)
    assert sum(p.numel() for p in model.parameters()) == 4 * 7 + 3 * 7 * 7 + 7 * 3


@pytest.mark.parametrize(("depth", "shapes"), [(1, [(8, 8)]), (3, [(8, 8)] * 3)])
def test_depth_counts_its_matrices_which_are_square_unless_said_otherwise(depth, shapes):
    model = networks.deep_linear(depth, 8, "none")
    assert [tuple(layer.weight.shape) for layer in model.linear_layers] == shapes


@pytest.mark.parametrize(
    ("place", "layers", "expected"),
    [
        ("after", None, ["hidden.0.norm", "hidden.1.norm", "hidden.2.norm"]),
        ("before", None, ["hidden.0.before", "hidden.1.before", "hidden.2.before"]),
        ("prior", None, ["hidden.1.before", "hidden.2.before"]),
        ("top", None, ["top"]),
        ("after", [2], ["hidden.1.norm"]),
    ],
)
def test_a_place_puts_norms_where_it_says(place, layers, expected):
    model = networks.deep_linear(4, 6, "batch", place, layers, in_features=5, classes=2)
    assert norms(model) == expected
    assert model(torch.randn(3, 5)).shape == (3, 2)


@pytest.mark.parametrize("place", ["after", "before", "prior", "top"])
def test_a_norm_normalizes_what_its_layer_gets_or_gives(place):
    torch.manual_seed(0)
    model = networks.deep_linear(3, 6, "batch", place)
    seen = []
    for name, module in model.named_modules():
        if name in norms(model):
            module.register_forward_hook(lambda *hooked: seen.append(hooked[2]))
    model(torch.randn(50, 6))
    assert seen
    for output in seen:
        torch.testing.assert_close(output.var(0, correction=0), torch.ones(6), rtol=1e-3, atol=1e-3)


def test_weights_of_square_layers_have_the_variance_of_theorem_1():
    torch.manual_seed(0)
    for layer in networks.deep_linear(3, 200, "none").linear_layers:
        assert layer.weight.std().item() == pytest.approx(200**-0.5, rel=0.02)


def test_weights_follow_xaviers_rule():
    torch.manual_seed(0)
    first, *_ = networks.deep_linear(2, 100, "none", in_features=500).linear_layers
    assert first.weight.std().item() == pytest.approx(math.sqrt(2 / 600), rel=0.02)


class Drawing(nn.Module):
    """A norm that draws from torch's generator."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels))

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize(("norm", "place"), [("batch", "after"), ("rms", "top"), (Drawing, "before")])
def test_every_variant_starts_from_the_same_weights(norm, place):
    with seeded(3):
        bare = networks.deep_linear(4, 5, "none").linear_layers
    with seeded(3):
        normed = networks.deep_linear(4, 5, norm, place).linear_layers
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(bare, normed, strict=True))
    assert not torch.equal(bare[0].weight, bare[1].weight)


def test_images_are_flattened():
    model = networks.deep_linear(2, 9, "none", in_features=12, classes=10)
    x = torch.randn(4, 3, 2, 2)
    assert torch.equal(model(x), model(x.reshape(4, 12)))


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "3"])
@pytest.mark.parametrize("name", ["depth", "width", "in_features", "classes"])
def test_a_size_that_is_none_is_refused(name, wrong):
    with pytest.raises(InputError, match=f"{name} must be a whole number of at least 1"):
        networks.deep_linear(**{name: wrong})


def test_unknown_layers_places_and_norms_are_refused():
    with pytest.raises(InputError, match="layers"):
        networks.deep_linear(3, 4, layers=[3])
    with pytest.raises(UnknownNameError, match="place"):
        networks.deep_linear(3, 4, place="beside")
    with pytest.raises(UnknownNameError, match="norm"):
        networks.deep_linear(3, 4, norm="bach")
