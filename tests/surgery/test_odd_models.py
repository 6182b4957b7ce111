"""Models built in odd ways: the operation does what it does on a plain one, or names what it cannot do."""

import functools
import types

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, NormscopeWarning
from normscope.nn.module_kinds import norms
from normscope.surgery import changes

OPERATIONS = {
    "replace": lambda model: ns.replace_norms(model, "group(groups=2)"),
    "remove": ns.remove_norms,
    "insert": lambda model: ns.insert_norms(model, "batch"),
    "calibrate": lambda model: ns.calibrate(model, [torch.ones(2, 3, 4, 5).cumsum(1).cumsum(3)]),
    "fold": ns.fold,
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def _conv_and_norm() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))


@each_operation
def test_a_forward_that_closes_over_the_model_is_refused(operation):
    model = _conv_and_norm()
    old = model.forward
    model.forward = lambda x: old(x)
    with pytest.raises(InputError, match="a forward of its own that refers to the model from outside"):
        operation(model)


def test_a_method_that_wraps_a_closure_is_refused_under_the_modules_name():
    model = _conv_and_norm()
    old = model[1].forward

    def wrapped(self, x):
        return old(x) + 1

    model[1].forward = types.MethodType(wrapped, model[1])
    with pytest.raises(InputError, match="module '1' has a forward of its own"):
        ns.remove_norms(model)


def test_a_forward_that_names_the_model_as_a_global_is_refused():
    names = {"model": _conv_and_norm()}
    exec("model.forward = lambda x: model[1](model[0](x))", names)
    with pytest.raises(InputError, match="the model has a forward of its own"):
        ns.remove_norms(names["model"])


class Lambda(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.scaled = lambda x: 2 * self.bn(x)
        self.harmless = lambda x: 2 * x

    def forward(self, x):
        return self.harmless(self.scaled(x))


def test_another_function_that_closes_over_the_model_is_refused_by_name():
    with pytest.raises(InputError, match="the model has a scaled of its own"):
        ns.remove_norms(nn.Sequential(Lambda())[0])


def test_a_partial_of_a_plain_function_is_bound_to_the_copy():
    def traced(module, x):
        return module.own_forward(x)

    model = _conv_and_norm()
    model.own_forward = model.forward
    model.forward = functools.update_wrapper(functools.partial(traced, model), model.forward)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(ns.remove_norms(model)(x), model[2](model[0](x)))


@each_operation
def test_a_scripted_model_is_refused(operation):
    with pytest.raises(InputError, match="is scripted, which fixes its code: do the surgery first"):
        operation(torch.jit.script(_conv_and_norm()))


def test_a_scripted_block_is_refused_by_name():
    with pytest.raises(InputError, match="module '1' is scripted"):
        ns.replace_norms(nn.Sequential(nn.ReLU(), torch.jit.script(nn.BatchNorm2d(3))), "layer")


class Steps(nn.Module):
    """Its norms are called through a list, a dictionary and a bound method; some are registered, some are not."""

    def __init__(self, registered: bool) -> None:
        super().__init__()
        self.steps = [nn.BatchNorm2d(3), nn.Tanh()]
        self.named = {"last": (nn.BatchNorm2d(3),)}
        if registered:
            self.first, self.last = self.steps[0], self.named["last"][0]
        self.method = nn.BatchNorm2d(3)
        self.call = self.method.forward

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return self.call(self.named["last"][0](x))


@pytest.mark.parametrize("registered", [True, False])
def test_norms_are_exchanged_everywhere_they_are_called_from(registered):
    model, x = Steps(registered), torch.randn(4, 3, 5, 5)
    assert len(list(norms(model))) == 3
    torch.testing.assert_close(ns.remove_norms(model)(x), torch.tanh(x))
    twice = ns.replace_norms(model, lambda C: nn.Hardtanh())
    torch.testing.assert_close(twice(x), F.hardtanh(torch.tanh(F.hardtanh(x))))


def test_a_norm_held_in_a_list_is_calibrated():
    x = 5 + torch.randn(8, 3, 5, 5)
    with pytest.warns(
        NormscopeWarning, match="'method' .*the model did not call it"
    ):  # but its forward, past hooks
        new = ns.calibrate(Steps(False), [x])
    torch.testing.assert_close(new.steps[0].running_mean, x.mean((0, 2, 3)))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.batch_norm = nn.ReLU()  # an attribute of that name is no function of torch

    def forward(self, x):
        return F.batch_norm(self.batch_norm(self.norm(x)), None, None, training=True)


class Innocent(Functional):
    def forward(self, x):
        return self.batch_norm(self.norm(x))


class NormAct(nn.BatchNorm2d):
    def __init__(self, C):
        super().__init__(C)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(super().forward(x))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = GatedRMSNorm()

    def forward(self, x):
        return self.norm(x, x)


class GatedRMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x, gate=None):
        return F.rms_norm(x * gate, (3,), self.weight)


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (Functional(), "''", "calls batch_norm"),
        (nn.Sequential(nn.Conv2d(3, 3, 1), NormAct(3)), "'1'", "has modules of its own"),
        (Gated(), "'norm'", "takes more than one input"),
    ],
    ids=["functional", "with an activation", "gated"],
)
@pytest.mark.parametrize("operation", ["replace", "remove"])
def test_what_normalizes_and_stays_is_named_with_the_reason(model, name, reason, operation):
    operate = {"replace": lambda: ns.replace_norms(model, "batch"), "remove": lambda: ns.remove_norms(model)}
    with pytest.warns(NormscopeWarning, match=f"{name}.*{reason}"):
        new = operate[operation]()
    (skipped,) = (change for change in changes(new) if change.action == "skipped")
    assert reason in skipped.reason
    assert skipped.name == name.strip("'")


def test_an_attribute_named_like_a_function_is_no_functional_norm():
    assert [change.action for change in changes(ns.remove_norms(Innocent()))] == ["removed"]


def test_a_batch_norm_with_an_activation_is_calibrated_on_its_input():
    model, x = nn.Sequential(nn.Conv2d(3, 4, 1), NormAct(4)), torch.randn(8, 3, 4, 4)
    torch.testing.assert_close(ns.calibrate(model, [x])[1].running_mean, model[0](x).mean((0, 2, 3)))


class Normalize(nn.Module):
    """An image normalization in front of a network."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]))

    def forward(self, x):
        return x - self.mean.view(1, 3, 1, 1)


def test_an_image_normalization_is_no_norm():
    model = nn.Sequential(Normalize(), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    x = torch.randn(2, 3, 5, 5)
    assert [name for name, _ in norms(model)] == ["2"]
    torch.testing.assert_close(ns.replace_norms(model, "batch")(x), model(x))


@each_operation
def test_a_compiled_model_gives_a_plain_model_that_says_so(operation):
    model = _conv_and_norm().eval()
    compiled = torch.compile(model, backend="eager")
    new, wanted = operation(compiled), operation(model)
    assert type(new) is type(wanted)
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(new(x), wanted(x))
    assert changes(new)[-1].reason == "it is no longer compiled"


def test_a_compiled_block_is_looked_into():
    model = nn.Sequential(torch.compile(_conv_and_norm(), backend="eager"), nn.ReLU())
    new = ns.remove_norms(model)
    assert [change.name for change in changes(new) if change.action == "removed"] == ["0.1"]
    assert type(new[0]) is nn.Sequential


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, pixels):
        return self.bn(input=self.conv(input=pixels))


def test_keyword_calls_reach_every_kind_of_new_module():
    model, x = Keywords(), torch.randn(4, 3, 5, 5)
    wanted = model.conv(x).mean((0, 2, 3))
    torch.testing.assert_close(ns.calibrate(model, [x]).bn.running_mean, wanted)
    torch.testing.assert_close(
        ns.calibrate(nn.DataParallel(model), [{"pixels": x, "y": 1}]).module.bn.running_mean, wanted
    )
    torch.testing.assert_close(ns.replace_norms(model, "batch")(x), model(x))
    torch.testing.assert_close(ns.remove_norms(model)(x), model.conv(x))
    for place in ("after", "before"):
        inserted = ns.insert_norms(model, lambda C: nn.Identity(), place, ["conv"], x=x)
        torch.testing.assert_close(inserted(x), model(x))


@pytest.mark.parametrize("inplace", [True, False])
def test_without_its_norm_an_activation_in_place_leaves_the_shortcut(inplace):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn, self.act, self.conv = nn.BatchNorm2d(3), nn.ReLU(inplace), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return x + self.conv(self.act(self.bn(x)))

    model, x = Block(), torch.randn(2, 3, 4, 4)
    wanted = x + model.conv(x.relu())
    for new in (ns.remove_norms(model), ns.replace_norms(model, "none")):
        torch.testing.assert_close(new(x.clone()), wanted)


def test_noise_is_off_while_statistics_are_measured():
    model, x = nn.Sequential(ns.nn.NoisyNorm(3), nn.BatchNorm2d(3)), torch.randn(64, 3, 8, 8)
    quiet = F.batch_norm(x, None, None, training=True)
    torch.testing.assert_close(ns.calibrate(model, [x])[1].running_var, quiet.var((0, 2, 3)))


def test_constant_statistics_stay_and_are_named():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    model[1].track_running_stats = False
    with pytest.warns(NormscopeWarning, match="'1' .*does not track its statistics"):
        new = ns.calibrate(model, [5 + torch.randn(4, 3, 5, 5)])
    torch.testing.assert_close(new[1].running_mean, torch.zeros(3))


class ReadsItsNorm(nn.Module):
    """Reads the type of its norm's weight, as Mamba's block does."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x).to(self.norm.weight.dtype)


@pytest.mark.parametrize(
    "operation", [ns.remove_norms, *(lambda m, s=s: ns.replace_norms(m, s) for s in ("batch", "none"))]
)
def test_a_model_may_read_its_norms_weight(operation):
    assert operation(ReadsItsNorm().half())(torch.randn(2, 4).half()).dtype == torch.float16


@pytest.mark.parametrize(
    "wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm]
)
def test_a_copy_of_a_computed_layer_with_a_norm_keeps_the_norm(wrap):
    model = ns.insert_norms(nn.Sequential(wrap(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2)), "batch")
    assert [name for name, _ in norms(ns.calibrate(model, [torch.randn(5, 3)]))] == ["0.norm"]
