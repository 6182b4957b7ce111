"""Folding modules that are not what their class says: computed, patched, nested, or kept outside the registry."""

import types

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from wired import Wired, checked_fold

import normscope as ns
from normscope.errors import InputError

IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


class Twice(nn.Module):
    def forward(self, tensor):
        return 2 * tensor


class ReluNorm(nn.BatchNorm2d):
    """A norm with an activation as its child."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(super().forward(x))


class NormedConv2d(nn.Conv2d):
    """A convolution that calls a norm of its own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.norm = nn.BatchNorm2d(self.out_channels)

    def forward(self, x):
        return self.norm(super().forward(x))


@pytest.mark.parametrize("given", [None, torch.randn(4, 8)], ids=["guessed", "given"])
def test_a_linear_layer_takes_over_a_batch_norm_for_flat_inputs_only(given, lived_in):
    model = lived_in(nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)))
    new = checked_fold(model, torch.randn(5, 8), given)
    assert isinstance(new[1], nn.Identity)
    with pytest.raises(
        InputError, match=r"'1' was folded for inputs \(N, features\).*x=an input of this shape"
    ):
        new(torch.randn(4, 6, 8))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_place_that_refuses_other_inputs_can_be_traced_scripted_and_copied(lived_in):
    model = lived_in(nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6)))
    x = torch.randn(4, 8)
    new = ns.fold(model)
    for other in (torch.fx.symbolic_trace(new), torch.jit.trace(new, x), torch.jit.script(new)):
        torch.testing.assert_close(other(x), model(x))


def test_behind_a_convolution_the_dimensions_are_known(lived_in):
    layers = [nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6)]
    assert type(ns.fold(lived_in(nn.Sequential(*layers)))[4]) is nn.Identity


@pytest.mark.parametrize(
    "kept",
    [
        lambda conv, norm: [conv, norm],
        lambda conv, norm: (conv, norm),
        lambda conv, norm: {0: conv, 1: norm},
    ],
    ids=["list", "tuple", "dict"],
)
@pytest.mark.parametrize("registered", [True, False])
def test_modules_called_through_a_plain_container_fold(kept, registered, lived_in):
    norm = lived_in(nn.BatchNorm2d(4))
    model = Wired(lambda m, x: m.kept[1](m.kept[0](x)), kept=kept(nn.Conv2d(3, 4, 1), norm))
    del model.norm
    if registered:
        model.one, model.two = model.kept[0], model.kept[1]
    new = checked_fold(model.eval(), IMAGES)
    assert isinstance(new.kept[1], nn.Identity)


def test_a_norm_that_evaluation_mode_does_not_reach_is_refused():
    model = Wired(lambda m, x: m.kept[0](m.conv(x)), kept=[nn.BatchNorm2d(3)])
    del model.norm
    with pytest.raises(InputError, match=r"'kept\.0'.*stays in training mode"):
        ns.fold(model)


@pytest.mark.parametrize("symbolic", [True, False])
def test_a_norm_registered_twice_folds_under_both_names(symbolic, lived_in):
    model = Wired(lambda m, x: m.again(m.conv(x)) if symbolic or len(x) < 1e9 else x)
    model.again = model.norm
    new = checked_fold(lived_in(model), IMAGES)
    assert new.norm is new.again


@pytest.mark.parametrize(
    ("compute", "kind"),
    [
        (lambda conv: parametrize.register_parametrization(conv, "bias", Twice()), "bias"),
        (lambda conv: parametrize.register_parametrization(conv, "weight", Twice()), "weight"),
        (parametrizations.spectral_norm, "weight"),
        (nn.utils.weight_norm, "weight"),
        (nn.utils.spectral_norm, "weight"),
        (lambda conv: prune.l1_unstructured(conv, "weight", 2), "weight"),
    ],
    ids=["bias", "weight", "spectral norm", "older weight norm", "older spectral norm", "pruned"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_computed_parameter_is_refused_by_name(compute, kind, lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    compute(model[0])
    with pytest.raises(InputError, match=rf"'1'.*the {kind} of '0' is computed"):
        ns.fold(model)


def test_a_parametrized_norm_folds_by_what_it_computes(lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    parametrize.register_parametrization(model[1], "weight", Twice())
    checked_fold(model, IMAGES)


def test_a_layer_with_a_forward_of_its_own_is_tried_before_its_weights_change(lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    conv = model[0]
    conv.forward = types.MethodType(lambda self, x: nn.Conv2d.forward(self, x).relu(), conv)
    with pytest.raises(
        InputError, match=r"'1'.*'0' \(Conv2d\) does not use its weights as its base class does"
    ):
        ns.fold(model)
    conv.forward = types.MethodType(lambda self, x: nn.Conv2d.forward(self, x + 0), conv)
    checked_fold(model, IMAGES)


def test_a_module_that_passes_its_input_on_does_not_with_a_forward_of_its_own(lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Identity(), nn.BatchNorm2d(4)))
    model[1].forward = types.MethodType(lambda self, x: x.relu(), model[1])
    with pytest.raises(InputError, match=r"'2'.*comes from '1'"):
        ns.fold(model)


def test_a_model_with_a_forward_of_its_own_is_followed_through_it(lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    model.forward = types.MethodType(lambda self, x: self[1](self[0](x)) + self[0](x), model)
    with pytest.raises(InputError, match=r"'1'.*output of '0' also goes to add"):
        ns.fold(model)
    model.forward = types.MethodType(lambda self, x: 2 * self[1](self[0](x)), model)
    checked_fold(model, IMAGES)


def test_a_block_with_a_forward_of_its_own_is_followed_through_it(lived_in):
    model = lived_in(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), nn.ReLU()))
    model[0].forward = types.MethodType(lambda self, x: self[1](self[0](x).relu()), model[0])
    with pytest.raises(InputError, match=r"'0\.1'.*comes from relu"):
        ns.fold(model)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("given", [None, IMAGES], ids=["guessed", "given"])
def test_a_scripted_activation_is_one_operation(given, lived_in):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), torch.jit.script(nn.ReLU()))
    checked_fold(lived_in(model), IMAGES, given)


def test_a_norm_inside_a_layer_is_said_to_be_inside(lived_in):
    with pytest.raises(
        InputError, match=r"'0\.norm'.*part of the layer '0' \(NormedConv2d\), which calls it itself"
    ):
        ns.fold(lived_in(nn.Sequential(NormedConv2d(3, 4, 1), nn.ReLU())))
    with pytest.raises(InputError, match=r"'0\.norm'.*part of the layer '0'"):
        ns.equivalent_network(nn.Sequential(NormedConv2d(3, 4, 1), nn.ReLU()), IMAGES)


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning")
def test_quantizations_fused_layer_is_named():
    from torch.ao import quantization

    model = quantization.fuse_modules_qat(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train(), [["0", "1"]]
    )
    model.qconfig = quantization.get_default_qat_qconfig("x86")
    quantization.prepare_qat(model, inplace=True)
    with pytest.raises(InputError, match=r"norm '0\.bn' .*part of a ConvBn2d"):
        ns.fold(model)


def test_a_norm_with_modules_of_its_own_is_refused_with_the_reason(lived_in):
    model = lived_in(nn.Sequential(nn.Conv2d(3, 4, 1), ReluNorm(4)))
    for surgery in (ns.fold, lambda m: ns.equivalent_network(m, IMAGES)):
        with pytest.raises(InputError, match=r"'1' \(ReluNorm\) cannot be folded: it has modules of its own"):
            surgery(model)


class TransposedLinear(nn.Module):
    """As the Conv1D of transformers' GPT-2: y = x w + b with w of shape (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


TransposedLinear.__name__ = "Conv1D"


@pytest.mark.parametrize("make", ["ours", "transformers"])
def test_a_linear_layer_with_a_transposed_weight_takes_over_a_norm_after_or_before_it(make, lived_in):
    kind = TransposedLinear
    if make == "transformers":
        kind = pytest.importorskip("transformers.pytorch_utils").Conv1D
    x = torch.randn(5, 4)
    after = lived_in(nn.Sequential(kind(6, 4), nn.BatchNorm1d(6))).double()
    a = after[1].weight / (after[1].running_var + after[1].eps).sqrt()
    new = checked_fold(after, x.double())
    torch.testing.assert_close(new[0].weight, after[0].weight * a)
    torch.testing.assert_close(new[0].bias, a * (after[0].bias - after[1].running_mean) + after[1].bias)
    checked_fold(lived_in(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4), kind(6, 4))), x)
