import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("affine", [True, False])
def test_its_numbers_gradients_and_state_are_the_frameworks(groups: int, affine: bool) -> None:
    ours, native = ns.nn.GroupNorm(groups, 6, affine=affine), nn.GroupNorm(groups, 6, affine=affine)
    native.load_state_dict(ours.state_dict())
    x = torch.randn(4, 6, 5)
    found = []
    for layer in (ours, native):
        at = x.clone().requires_grad_()
        layer(at).square().sum().backward()
        found.append([layer(x), at.grad, *(p.grad for p in layer.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert isinstance(ours, nn.GroupNorm)


def test_one_group_without_a_bias_is_a_layer_norm_without_a_bias() -> None:
    ours, native = ns.nn.make("layer(bias=false)", 6), nn.LayerNorm(6, bias=False)
    nn.init.uniform_(native.weight)
    ours.load_state_dict(native.state_dict())
    assert ours.bias is None
    x = torch.randn(4, 6)
    torch.testing.assert_close(ours(x), native(x))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("", ["weight", "bias"]),
        ("affine=false", []),
        ("bias=false", ["weight"]),
        ("gain=false", ["bias"]),
        ("affine=false,bias=true", ["bias"]),
    ],
)
@pytest.mark.parametrize("name", ["group", "layer", "instance"])
def test_gain_and_bias_are_affines_unless_they_say_otherwise(
    name: str, arguments: str, names: list[str]
) -> None:
    layer = ns.nn.make(f"{name}({arguments})", 6)
    assert [name for name, _ in layer.named_parameters()] == names
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(7)
    layer.reset_parameters()
    assert {name: set(p.tolist()) for name, p in layer.named_parameters()} == {
        name: {1.0 if name == "weight" else 0.0} for name in names
    }


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (1, 6, 1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_one_value_per_group_is_refused_in_one_sentence(shape: tuple[int, ...], training: bool) -> None:
    for layer in (ns.nn.make("instance", 6), ns.nn.make("group(groups=6)", 6)):
        with pytest.raises(InputError, match="one value per group") as caught:
            layer.train(training)(torch.randn(shape))
        assert "\n" not in str(caught.value)
    assert ns.nn.make("group(groups=3)", 6)(torch.randn(shape)).any()


def test_a_replaced_norm_of_an_mlp_refuses_what_it_would_make_constant() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    with pytest.raises(InputError, match="fewer groups or more positions"):
        ns.replace_norms(model, "instance")(torch.randn(5, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 6), "a divisor of 6 is allowed"),
        ((0, 6), "a divisor of 6 is allowed"),
        ((True, 6), "a divisor of 6 is allowed"),
        ((2, 0), "the number of channels must be a whole number of at least 1"),
        ((2, 6, -1.0), "eps must be a finite number of at least 0"),
    ],
)
def test_a_bad_argument_is_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ns.nn.GroupNorm(*arguments)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5), (6,)])
def test_other_channels_are_refused_with_and_without_a_gain(shape: tuple[int, ...], affine: bool) -> None:
    with pytest.raises(InputError, match="6 channels in dimension 1, not an input of shape"):
        ns.nn.GroupNorm(3, 6, affine=affine)(torch.randn(shape))
