import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError
from normscope.nn import factory, specs


class OwnNorm(nn.Module):
    def __init__(self, C: int, power: float = 1.0) -> None:
        super().__init__()
        self.C, self.power = C, power


def anything(C: int, **options: float) -> nn.Module:
    return OwnNorm(C, **options)


@pytest.fixture
def own_module(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("own_norms")
    vars(module).update(OwnNorm=OwnNorm, anything=anything, number=3, not_a_layer=lambda C: C)
    monkeypatch.setitem(sys.modules, "own_norms", module)
    return "own_norms"


def test_none_is_the_identity() -> None:
    x = torch.randn(2, 3, 4)
    assert ns.nn.make("none", 3)(x) is x


def test_batch_amplify_and_suppress_carry_their_arguments() -> None:
    layer = ns.nn.make("batch(center=false, eps=0.5, bias=false)", 3)
    assert isinstance(layer, ns.nn.BatchNorm)
    assert (layer.rule.center, layer.eps, layer.bias, layer.num_features) == (False, 0.5, None, 3)
    amplify, suppress = ns.nn.make("amplify", 3), ns.nn.make("suppress(threshold=2)", 3)
    assert isinstance(amplify, ns.nn.AmplifyNorm)
    assert amplify.rule.below == 1.0
    assert isinstance(suppress, ns.nn.SuppressNorm)
    assert suppress.rule.above == 2.0


def test_lp_alternating_and_noisy_carry_their_arguments() -> None:
    lp = ns.nn.make("lp(p=1,centered=false)", 3)
    assert isinstance(lp, ns.nn.LpNorm)
    assert (lp.p, lp.centered) == (1.0, False)
    assert ns.nn.make("lp(p=inf)", 3).p == float("inf")
    alternating = ns.nn.make("alternating(period=3)", 3)
    assert isinstance(alternating, ns.nn.AlternatingNorm)
    assert alternating.period == 3
    assert isinstance(ns.nn.make("noisy", 3), ns.nn.NoisyNorm)


def test_group_layer_and_instance_are_the_frameworks() -> None:
    x = torch.randn(4, 6, 5, 5)
    torch.testing.assert_close(ns.nn.make("group(groups=3)", 6)(x), F.group_norm(x, 3))
    torch.testing.assert_close(ns.nn.make("layer", 6)(x), F.layer_norm(x, x.shape[1:]))
    torch.testing.assert_close(ns.nn.make("instance", 6)(x), F.instance_norm(x))
    assert not list(ns.nn.make("instance(affine=false)", 6).parameters())


def test_a_users_class_is_found_by_its_import_path(own_module: str) -> None:
    layer = ns.nn.make(f"{own_module}:OwnNorm(power=2)", 7)
    assert isinstance(layer, OwnNorm)
    assert (layer.C, layer.power) == (7, 2)
    assert isinstance(ns.nn.make(f"{own_module}:anything(power=3)", 7), OwnNorm)


def test_an_entry_point_is_a_name(monkeypatch: pytest.MonkeyPatch, own_module: str) -> None:
    points = EntryPoints([EntryPoint("own", f"{own_module}:OwnNorm", specs.ENTRY_POINTS)])
    for module in (specs, factory):
        monkeypatch.setattr(module, "entry_points", points.select)
    layer = ns.nn.make("own(power=2)", 5)
    assert isinstance(layer, OwnNorm)
    assert layer.power == 2
    with pytest.raises(UnknownNameError, match="did you mean own"):
        ns.nn.make("onw", 5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("own_norms:OwnNrom", "did you mean OwnNorm?"),
        ("own_norms:OwnNorm(pwoer=1)", "did you mean power?"),
        ("own_norms:number", "must be a class or function"),
        ("own_norms:not_a_layer", "must make a torch.nn.Module"),
        ("no_such_module_here:Norm", "cannot be imported"),
        ("group(groups=4)", "a divisor of 6 is allowed"),
        ("group(groups=0)", "a divisor of 6 is allowed"),
        ("batch(eps=-1)", "eps must be a finite number of at least 0, not -1"),
        ("batch(eps='a')", "eps must be"),
        ("batch(momentum=2)", "momentum must be a finite number in [0, 1], not 2"),
        ("lp(p=0.5)", "p must be a number of at least 1, not 0.5"),
        ("alternating(period=0)", "period must be a whole number of at least 1, not 0"),
        ("suppress(threshold=-1)", "threshold must be a number of at least 0, not -1"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(own_module: str, spec: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        ns.nn.make(spec, 6)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [0, -1, 2.0, True])
def test_a_bad_number_of_channels_is_refused(channels: int) -> None:
    with pytest.raises(InputError, match="number of channels must be a whole number of at least 1"):
        ns.nn.make("none", channels)


def test_a_callable_is_called_with_the_number_of_channels() -> None:
    assert ns.nn.make(OwnNorm, 7).C == 7
    with pytest.raises(InputError, match=r"made a int; it must make a torch\.nn\.Module"):
        ns.nn.make(lambda C: C, 7)
    with pytest.raises(InputError, match="a spec such as 'batch' or a callable, not 3"):
        ns.nn.make(3, 7)
