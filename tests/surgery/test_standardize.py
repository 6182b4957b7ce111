import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, weight_norm

import normscope as ns
from normscope.errors import InputError, NormscopeWarning, UnknownNameError

CONVOLUTIONS = {
    "1-D": lambda: nn.Conv1d(4, 6, 3),
    "2-D": lambda: nn.Conv2d(4, 6, (3, 2)),
    "3-D": lambda: nn.Conv3d(4, 6, 2),
    "groups": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3),
    "transposed groups": lambda: nn.ConvTranspose1d(4, 6, 3, groups=2),
    "adaptive": lambda: ns.nn.AdaptiveConv2d(4, 6, 3, normalizer="l2"),
}


def filters(layer: nn.Module, weight: Tensor) -> list[Tensor]:
    """The filter of every output channel: the weights that its value is a sum over, one output channel at a time."""
    if not isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return [one.flatten() for one in weight]
    per_group = layer.out_channels // layer.groups
    inputs = layer.in_channels // layer.groups
    return [
        weight[g * inputs : (g + 1) * inputs, o].flatten()
        for g in range(layer.groups)
        for o in range(per_group)
    ]


@pytest.mark.parametrize("make", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_every_filter_has_mean_zero_and_variance_one_up_to_eps(make: object) -> None:
    layer = make()
    new = ns.standardize_weights(layer, eps=1e-3)
    for old, standardized in zip(
        filters(layer, layer.weight.double()), filters(layer, new.weight.double()), strict=True
    ):
        expected = (old - old.mean()) / (old.var(correction=0) + 1e-3).sqrt()
        torch.testing.assert_close(standardized, expected, rtol=1e-4, atol=1e-5)
    x = torch.randn(2, 4, *(6,) * (layer.weight.ndim - 2))
    reference = copy.deepcopy(layer)
    reference.weight.data.copy_(new.weight)
    torch.testing.assert_close(new(x), reference(x))


def test_the_gradient_reaches_the_weight_through_the_standardization_and_both_derivatives_are_right() -> None:
    model = ns.standardize_weights(nn.Conv2d(2, 3, 2).double())
    original = model.parametrizations.weight.original
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64)

    def call(weight: Tensor, bias: Tensor) -> Tensor:
        state = {"parametrizations.weight.original": weight, "bias": bias}
        return torch.func.functional_call(model, state, (x,))

    inputs = (original.detach().requires_grad_(), model.bias.detach().requires_grad_())
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)
    model(x).square().sum().backward()
    # A scale of the whole filter changes nothing, up to ε, so the gradient has no part along the filter.
    along = (original.grad * (original - original.mean((1, 2, 3), keepdim=True))).sum((1, 2, 3))
    assert (along.abs() < 1e-3 * original.grad.abs().sum((1, 2, 3))).all()


def test_a_model_keeps_its_function_where_a_norm_follows_filters_of_mean_zero() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3), ns.nn.BatchNorm(5, eps=0.0), nn.ReLU())
    with torch.no_grad():
        model[0].weight -= model[0].weight.mean((1, 2, 3), keepdim=True)
    new = ns.standardize_weights(model, eps=0.0)
    x = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(new(x), model(x), rtol=1e-4, atol=1e-4)


def test_the_original_is_untouched_and_the_changes_name_the_layers() -> None:
    model = ns.networks.lenet("batch")
    before = copy.deepcopy(model.state_dict())
    new = ns.standardize_weights(model.eval())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert [one.name for one in ns.surgery.changes(new)] == convolutions
    assert {one.action for one in ns.surgery.changes(new)} == {"standardized"}
    assert str(ns.surgery.changes(new)[0]) == f"standardized {convolutions[0]} (Conv2d of 6)"
    assert not any(module.training for module in new.modules())


def test_linear_layers_are_standardized_where_they_are_named() -> None:
    class Conv1D(nn.Module):
        """As in transformers: the weight is (in, out)."""

        def __init__(self) -> None:
            super().__init__()
            self.nf, self.nx = 3, 4
            self.weight = nn.Parameter(torch.randn(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    model = nn.Sequential(nn.Linear(5, 4), Conv1D())
    new = ns.standardize_weights(model, layers=["0", "1"], eps=0.0)
    rows, columns = new[0].weight, new[1].weight.T
    for weights, original in ((rows, model[0].weight), (columns, model[1].weight.T)):
        expected = F.layer_norm(original, original.shape[1:], eps=0.0)
        torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-5)


def test_a_second_time_changes_nothing_and_says_so() -> None:
    once = ns.standardize_weights(nn.Sequential(nn.Conv2d(2, 3, 2)))
    with pytest.warns(NormscopeWarning, match=r"'0' .*standardized already"):
        twice = ns.standardize_weights(once)
    assert torch.equal(twice[0].weight, once[0].weight)
    assert [one.action for one in ns.surgery.changes(twice)] == ["standardized", "skipped"]
    with pytest.raises(InputError, match=r"'0' .*standardized already"):
        ns.standardize_weights(once, layers=["0"])


def test_the_others_can_be_standardized_later() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Conv2d(3, 3, 2))
    both = ns.standardize_weights(ns.standardize_weights(model, layers=["1"]))
    assert [parametrize.is_parametrized(layer) for layer in both] == [True, True]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_layers_that_cannot_be_standardized_are_named() -> None:
    hooked = weight_norm(nn.Conv2d(2, 3, 2))
    model = nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), hooked, nn.Conv2d(2, 3, 2))
    with pytest.warns(NormscopeWarning, match="'0' .*one weight each.*'1' .*a hook computes its weight"):
        new = ns.standardize_weights(model)
    assert [(one.action, one.name) for one in ns.surgery.changes(new)] == [
        ("standardized", "2"), ("skipped", "0"), ("skipped", "1"),
    ]  # fmt: skip
    for name, reason in (("0", "one weight each"), ("1", "a hook computes its weight")):
        with pytest.raises(InputError, match=f"layer '{name}' .*{reason}"):
            ns.standardize_weights(model, layers=[name])
    with pytest.warns(NormscopeWarning, match="found no convolution to standardize in Linear"):
        ns.standardize_weights(nn.Linear(3, 3))


def test_shared_layers_tied_weights_and_frozen_weights_stay_what_they_are() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
            self.two.weight = self.one.weight
            self.again = self.one
            self.steps = [nn.Conv2d(3, 3, 1)]
            self.one.weight.requires_grad_(False)

    new = ns.standardize_weights(Tied())
    original = new.one.parametrizations.weight.original
    assert new.again is new.one
    assert new.two.parametrizations.weight.original is original
    assert not original.requires_grad
    assert parametrize.is_parametrized(new.steps[0])


def test_half_precision_is_computed_in_single_and_stays_half() -> None:
    layer = nn.Conv2d(64, 4, 3).to(torch.bfloat16)
    new = ns.standardize_weights(layer)
    assert new.weight.dtype == torch.bfloat16
    wide = ns.standardize_weights(layer.float())
    torch.testing.assert_close(new.weight.float(), wide.weight, rtol=1e-2, atol=1e-2)


def test_baked_in_it_folds() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
    new = ns.standardize_weights(model)
    x = torch.randn(4, 3, 8, 8)
    new(x)
    wanted = new.eval()(x)
    parametrize.remove_parametrizations(new[0], "weight")
    torch.testing.assert_close(ns.fold(new)(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"eps": -1.0}, InputError, "eps must be a finite number of at least 0"),
        ({"layers": ["conv9"]}, UnknownNameError, "unknown convolution or linear layer 'conv9'"),
        ({"layers": "0"}, InputError, r"must be a list of names such as \['0'\]"),
    ],
)
def test_a_bad_argument_is_refused(arguments: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        ns.standardize_weights(nn.Sequential(nn.Conv2d(2, 3, 2)), **arguments)
