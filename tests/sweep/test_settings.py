"""How a sweep's settings are read, and which runs they make."""

import pytest

from normscope.errors import InputError, UnknownNameError
from normscope.sweep import Sweep


def sweep(network="lenet", **words):
    return Sweep.of(network, **words)


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        ({"network": "letne"}, UnknownNameError, "did you mean lenet"),
        ({"network": "lenet(depth=8)"}, UnknownNameError, "argument of network 'lenet'"),
        ({"network": "resnet(8)"}, InputError, "without a name"),
        ({"network": "resnet(depth=8"}, InputError, "does not end in"),
        ({"network": "my.net:"}, InputError, "not an import path"),
        ({"network": ""}, InputError, "network must be a text"),
        ({"network": []}, InputError, "network .*empty entry"),
        ({"network": len}, InputError, "network must be a text"),
        ({"norm": "bacth"}, UnknownNameError, "did you mean batch"),
        ({"norm": "batch,"}, InputError, "empty entry"),
        ({"data": "mnits"}, UnknownNameError, "did you mean mnist"),
        ({"data": 5}, InputError, "data must be a text"),
        ({"lr": "10:1:3"}, InputError, "low < high"),
        ({"probe": "spectra"}, UnknownNameError, "did you mean spectrum"),
        ({"seeds": 0}, InputError, "seeds must be a whole number of at least 1"),
        ({"seeds": 2.0}, InputError, "seeds"),
        ({"seeds": True}, InputError, "seeds"),
        ({"epochs": 0}, InputError, "epochs"),
        ({"batch": 0}, InputError, "batch"),
        ({"images": 0}, InputError, "images"),
        ({"images": 63}, InputError, "do not fill one batch of 64"),
        ({"batch": 4001}, InputError, "4,000 training images do not fill one batch"),
        ({"image_size": 0}, InputError, "image_size must be a whole number"),
        ({"image_size": 20}, InputError, "28×28"),
        ({"optimizer": "sdg"}, UnknownNameError, "did you mean sgd"),
        ({"optimizer": "sgd(lr=1)"}, UnknownNameError, "argument of optimizer"),
        ({"lr_for": "conv"}, UnknownNameError, "did you mean convolutions"),
        ({"other_lr": 0.0}, InputError, "other_lr"),
        ({"layer": "conv2"}, InputError, "probe 'spectrum'"),
    ],
    ids=str,
)
def test_words_that_make_no_sense_are_refused_in_a_sentence(words, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        sweep(**words)
    assert "\n" not in str(caught.value)


def test_every_combination_is_a_run_once():
    asked = sweep(
        ["lenet", "resnet(depth=8)"], norm="batch,suppress", place="after,before", lr="0.1,1", seeds=3
    )
    runs = list(asked.runs())
    assert len(runs) == len(set(runs)) == 2 * 2 * 2 * 2 * 3


def test_without_a_norm_there_is_no_place_to_vary():
    arrangements = sweep(norm="none,batch", place="before,after").arrangements()
    assert [line[1:] for line in arrangements] == [("none", "after"), ("batch", "before"), ("batch", "after")]


def test_as_is_means_batch_for_a_built_in_network_and_the_factorys_own_norm_for_a_users():
    assert [line.norm for line in sweep("lenet,my.net:make").arrangements()] == ["batch", "as-is"]
    assert len(sweep("lenet", norm="as-is,batch").arrangements()) == 1


def test_a_spec_written_in_another_way_is_the_same_run():
    assert sweep("lenet(layers=[2])", norm="lp(p=1, eps=0.1)", optimizer="sgd", lr_for="all") == sweep(
        " lenet( layers = [2] )", norm="lp(eps=0.1,p=1)", optimizer="sgd()", lr_for=" all "
    )


def test_the_lenet_sees_digits_padded_to_32_and_others_see_them_as_they_are():
    sizes = {run.network: run.image_size for run in sweep("lenet,resnet(depth=8)").runs()}
    assert sizes == {"lenet": 32, "resnet(depth=8)": 28}
    assert {run.image_size for run in sweep("lenet", image_size=30).runs()} == {30}


def test_a_sweep_comes_back_from_json_as_it_was():
    asked = sweep(norm="batch", lr="0.01:10:7", probe="spectrum", layer="conv2", images=500)
    assert Sweep.from_json(asked.to_json()) == asked


def test_a_sweep_that_an_earlier_version_stored_is_still_read():
    stored = {
        "networks": ["lenet"], "norms": ["batch", "none"], "places": ["after"], "rates": [0.1, 1.0], "seeds": 2,
        "data": "mnist5k", "epochs": 1, "probes": ["spectrum", "moments"], "batch": 64, "images": 256,
        "optimizer": "sgd", "lr_for": "all", "other_lr": 0.1, "image_size": None, "layer": None,
    }  # fmt: skip
    assert Sweep.from_json(stored) == sweep(
        norm="batch,none", lr="0.1:1:2", seeds=2, images=256, epochs=1, probe="spectrum,moments"
    )
