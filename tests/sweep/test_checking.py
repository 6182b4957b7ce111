"""What is refused before any run of a sweep starts."""

import pytest
import torch

from normscope.errors import InputError, UnknownNameError
from normscope.sweep import Sweep
from normscope.sweep.checking import check

REFUSED = [
    ("own_networks:that_raises", {}, "cannot be made: RuntimeError: there is"),
    ("own_networks:that_leaves", {}, "cannot be made: SystemExit"),
    ("own_networks:of_no_module", {}, "made a dict: a factory returns a torch.nn.Module"),
    ("own_networks:finished", {}, "finished network"),
    ("own_networks:number", {}, "is a int"),
    ("no_such_module_at_all:make", {}, "cannot be imported"),
    ("own_networks:plain(depth=3)", {}, "unexpected keyword argument 'depth'"),
    ("own_networks:plain(classes=3)", {}, "the sweep sets 'classes'"),
    ("own_networks:of_colour", {}, "does not take the images of mnist5k, 1×28×28"),
    ("own_networks:of_seven_classes", {}, r"gives shape \(2, 7\).*logits of shape \(2, 10\)"),
    ("own_networks:of_two_answers", {}, "gives tuple"),
    ("own_networks:of_no_parameters", {}, "no parameters to train"),
    ("own_networks:frozen", {}, "no parameters to train"),
    ("own_networks:of_sparse_gradients", {"optimizer": "adam"}, "cannot be trained: .*sparse gradients"),
    ("own_networks:drawing_everywhere", {"lr_for": "convolutions"}, "no convolutions to train"),
    ("own_networks:that_is_detached", {}, "cannot be trained"),
    ("resnet(depth=9)", {}, r"depth is 6n\+2"),
    ("lenet", {"norm": "suppress(threshold=-1)"}, "threshold must be"),
    ("lenet", {"norm": "group(groups=4)"}, "cannot split 6 channels"),
    ("lenet", {"norm": "own_networks:HalvingNorm(part=1)"}, "argument of norm"),
    ("lenet", {"norm": "own_networks:HalvingNorm(factor='a')"}, "does not take the images"),
    # Without a norm no run has a place, but a misspelt place is still refused.
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


def test_an_unknown_attribute_of_a_users_module_offers_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown attribute of own_networks.*did you mean plain"):
        check(Sweep.of("own_networks:plian"))
