"""How a network is made, and what is seen of a sweep before it runs."""

import dataclasses

import pytest
import torch
from torch import nn

import normscope as ns
from normscope import training
from normscope.errors import InputError, UnknownNameError
from normscope.nn import SuppressNorm
from normscope.sweep import Sweep
from normscope.sweep.building import build, make_optimizer
from normscope.sweep.checking import check
from normscope.sweep.training_cell import fit


def run(network, norm="as-is", place="after", **changes):
    asked = Sweep.of(network, norm=norm, place=place, lr=0.5, seeds=1)
    return dataclasses.replace(next(asked.runs()), **changes)


def made(network, norm="as-is", place="after", seed=0):
    wanted = run(network, norm, place)
    with training.seeded(seed):
        return build(wanted, fit(wanted))


def kinds(model):
    return [type(module).__name__ for module in model.modules() if not list(module.children())]


def test_the_lenet_is_the_lenet():
    with training.seeded(3):
        expected = ns.networks.lenet("suppress", "before", layers=[2])
    model = made("lenet(layers=[2])", "suppress", "before", seed=3)
    assert str(model) == str(expected)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)


def test_the_resnet_takes_its_depth_and_the_datas_channels():
    model = made("resnet(depth=14)", "layer")
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == 13
    assert model.stem.conv.in_channels == 1


def test_a_factory_is_told_of_the_data_what_it_asks_for():
    model = made("own_networks:plain(width=5)")
    assert (model[0].in_channels, model[0].out_channels, model[-1].in_features) == (1, 5, 5 * 49)


def test_a_network_without_norms_has_them_inserted_at_all_layers_but_the_last():
    after, before = (made("own_networks:plain", "suppress", place) for place in ("after", "before"))
    assert kinds(after).count("SuppressNorm") == kinds(before).count("SuppressNorm") == 2
    assert [layer.place for layer in (after[0], before[0])] == ["after", "before"]
    assert kinds(made("own_networks:plain")).count("SuppressNorm") == 0


def test_a_network_with_norms_has_them_replaced_where_they_stand():
    assert kinds(made("own_networks:normed")) == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Dropout",
        "Flatten",
        "Linear",
    ]
    replaced = made("own_networks:normed", "suppress(threshold=2)")
    assert isinstance(replaced[1], SuppressNorm)
    assert replaced[1].threshold == 2
    assert isinstance(made("own_networks:normed", "none")[1], nn.Identity)
    with pytest.raises(InputError, match="replaced where they stand"):
        made("own_networks:normed", "batch", "before")


def test_a_factory_that_takes_a_norm_is_given_it_and_as_is_means_its_own():
    assert isinstance(made("own_networks:Asking", "suppress").norm, SuppressNorm)
    assert isinstance(made("own_networks:Asking").norm, ns.nn.BatchNorm)
    with pytest.raises(InputError, match="takes a norm but no place"):
        made("own_networks:Asking", "suppress", "before")


def test_a_users_norm_goes_into_any_network():
    for network in (
        "lenet",
        "resnet(depth=8)",
        "own_networks:plain",
        "own_networks:normed",
        "own_networks:Asking",
    ):
        assert "HalvingNorm" in kinds(made(network, "own_networks:HalvingNorm(factor=2)"))


def test_whatever_a_factory_draws_comes_from_the_seed():
    first, again, other = (made("own_networks:drawing_everywhere", seed=seed)[1].bias for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first != other).all()


def test_the_optimiser_trains_everything_at_the_rate():
    wanted = run("lenet", optimizer="sgd(momentum=0.9, nesterov=true)", rate=0.5)
    model = made("lenet")
    optimizer = make_optimizer(model, wanted)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5]
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert {id(p) for p in optimizer.param_groups[0]["params"]} == {id(p) for p in model.parameters()}


def test_the_optimiser_trains_the_convolutions_weights_alone_at_the_rate():
    model = made("own_networks:plain", "batch")
    wanted = run("own_networks:plain", "batch", lr_for="convolutions", other_lr=0.25, rate=8.0)
    rates = {
        id(p): group["lr"] for group in make_optimizer(model, wanted).param_groups for p in group["params"]
    }
    assert [name for name, p in model.named_parameters() if rates[id(p)] == 8.0] == [
        "0.layer.weight",
        "3.layer.weight",
    ]
    assert {rates[id(p)] for name, p in model.named_parameters() if p.ndim < 4} == {0.25}


REFUSED = [
    ("own_networks:that_raises", {}, "RuntimeError: there is"),
    ("own_networks:that_leaves", {}, "cannot be made: SystemExit"),
    ("own_networks:of_no_module", {}, "made a dict: a factory returns a torch.nn.Module"),
    ("own_networks:finished", {}, "finished network"),
    ("own_networks:number", {}, "is a int"),
    ("own_networks:nosuch", {}, "unknown attribute of own_networks"),
    ("no_such_module_at_all:make", {}, "cannot be imported"),
    ("own_networks:plain(depth=3)", {}, "unexpected keyword argument 'depth'"),
    ("own_networks:plain(classes=3)", {}, "'classes' is the sweep's to give"),
    ("own_networks:of_colour", {}, "does not take the images of mnist5k, 1×28×28"),
    ("own_networks:of_seven_classes", {}, r"gives shape \(2, 7\).*logits of shape \(2, 10\)"),
    ("own_networks:of_two_answers", {}, "gives tuple"),
    ("own_networks:of_no_parameters", {}, "no parameters to train"),
    ("own_networks:drawing_everywhere", {"lr_for": "convolutions"}, "no convolutions to train"),
    ("own_networks:that_is_detached", {}, "cannot be trained"),
    ("resnet(depth=9)", {}, r"depth is 6n\+2"),
    ("lenet", {"norm": "suppress(threshold=-1)"}, "threshold must be"),
    ("lenet", {"norm": "group(groups=4)"}, "cannot split 6 channels"),
    ("lenet", {"norm": "own_networks:HalvingNorm(part=1)"}, "argument of norm"),
    ("lenet", {"norm": "own_networks:HalvingNorm(factor='a')"}, "does not take the images"),
    ("lenet", {"place": "sideways"}, "unknown place 'sideways'"),
    ("lenet", {"norm": "none", "place": "sideways"}, "unknown place 'sideways'"),
    ("own_networks:plain", {"norm": "batch", "place": "top"}, "unknown place 'top'"),
    ("lenet", {"optimizer": "sgd(momentum=-1)"}, "momentum"),
    ("lenet", {"optimizer": "adam(betas=5)"}, "optimizer"),
    ("lenet", {"probe": "spectrum", "layer": "conv9"}, "unknown layer 'conv9'"),
]


@pytest.mark.parametrize(("network", "words", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_run_is_refused_before_it_does(network, words, sentence):
    with pytest.raises(InputError, match=sentence):
        check(Sweep.of(network, **words))


def test_a_sweep_that_can_run_passes_and_leaves_the_generators_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    check(Sweep.of("lenet,own_networks:normed,own_networks:plain", norm="batch,lp(p=1),none"))
    assert torch.equal(torch.rand(2), expected)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean plain"):
        check(Sweep.of("own_networks:plian"))
