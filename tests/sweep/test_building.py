"""How a run's network and optimiser are made."""

import dataclasses

import pytest
import torch
from torch import nn

import normscope as ns
from normscope import training
from normscope.errors import InputError
from normscope.nn import SuppressNorm
from normscope.sweep import Sweep
from normscope.sweep.building import build, make_optimizer


def run(network, norm="as-is", place="after", **changes):
    asked = Sweep.of(network, norm=norm, place=place, lr=0.5, seeds=1)
    return dataclasses.replace(next(asked.runs()), **changes)


def made(network, norm="as-is", place="after", seed=0):
    with training.seeded(seed):
        return build(run(network, norm, place))


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


def test_a_factory_gets_what_it_has_parameters_for():
    model = made("own_networks:plain(width=5)")
    assert (model[0].in_channels, model[0].out_channels, model[-1].in_features) == (1, 5, 5 * 49)


def test_a_network_without_norms_has_them_inserted_at_all_layers_but_the_last():
    after, before = (made("own_networks:plain", "suppress", place) for place in ("after", "before"))
    assert kinds(after).count("SuppressNorm") == kinds(before).count("SuppressNorm") == 2
    assert [layer.place for layer in (after[0], before[0])] == ["after", "before"]
    assert kinds(made("own_networks:plain")).count("SuppressNorm") == 0


def test_a_network_with_norms_has_them_replaced_in_place():
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
    with pytest.raises(InputError, match="replaced in place"):
        made("own_networks:normed", "batch", "before")


def test_a_norm_that_would_change_nothing_is_refused_and_none_is_not():
    with pytest.raises(
        InputError, match=r"'own_networks:of_one_layer' stays as it is with norm 'batch': .*no layer"
    ):
        made("own_networks:of_one_layer", "batch")
    assert kinds(made("own_networks:of_one_layer", "none")) == ["Flatten", "Linear"]


def test_a_factory_that_takes_a_norm_gets_it_and_keeps_its_own_when_as_is():
    assert isinstance(made("own_networks:TakesNorm", "suppress").norm, SuppressNorm)
    assert isinstance(made("own_networks:TakesNorm").norm, ns.nn.BatchNorm)
    with pytest.raises(InputError, match="takes a norm but no place"):
        made("own_networks:TakesNorm", "suppress", "before")


@pytest.mark.parametrize(
    "network",
    ["lenet", "resnet(depth=8)", "own_networks:plain", "own_networks:normed", "own_networks:TakesNorm"],
)
def test_a_users_norm_goes_into_any_network(network):
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


def test_the_optimiser_can_train_only_the_convolutions_weights_at_the_rate():
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
