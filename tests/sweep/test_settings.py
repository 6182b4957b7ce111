"""The words of a sweep: what is read, and what is refused in one sentence."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.errors import InputError, UnknownNameError
from normscope.protocol import Scale, empty_table
from normscope.sweep import Sweep, SweepExperiment
from normscope.sweep.parsing import read_rates, split_list


def sweep(network="lenet", **words):
    return Sweep.of(network, **words)


def test_a_range_is_spaced_in_equal_ratios_and_comes_out_clean():
    rates = read_rates("0.01:10:7")
    np.testing.assert_allclose(rates, np.geomspace(0.01, 10, 7), rtol=1e-11)
    assert (rates[0], rates[2], rates[4], rates[6]) == (0.01, 0.1, 1.0, 10.0)


@settings(deadline=None)
@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.001, 1e6), count=st.integers(2, 40))
def test_a_range_keeps_its_ends_rises_and_has_as_many_rates_as_asked(low, factor, count):
    high = low * factor
    rates = read_rates(f"{low!r}:{high!r}:{count}")
    assert (rates[0], rates[-1], len(rates)) == (low, high, count)
    ratios = np.diff(np.log(rates))
    np.testing.assert_allclose(ratios, math.log(high / low) / (count - 1), rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        ("0.1", (0.1,)),
        (0.1, (0.1,)),
        (1, (1.0,)),
        ("0.1, 1e-2", (0.1, 0.01)),
        ([0.1, "0.01:1:3"], (0.1, 0.01, 1.0)),
        (["0.5,0.25", 0.5], (0.5, 0.25)),
        (np.array([0.1, 0.2]), (0.1, 0.2)),
    ],
    ids=str,
)
def test_numbers_and_lists_are_read_and_each_rate_stands_once(words, rates):
    assert read_rates(words) == rates


@pytest.mark.parametrize(
    "words",
    [
        "a:b", "a:b:c", "0.01:10", "0.01:10:0", "0.01:10:1", "0.01:10:-3", "0.01:10:2.5", "10:0.01:7", "1:1:3",
        "0:10:3", "-1:1:3", "0.01:inf:3", "nan:1:3", "0.01:10:7:2", "0.01:10:1000000000", "0.01:10:٣", ":", "", ",",
        "0.1,", "0", "-0.1", "nan", "inf", "1e400", "zero", 0, -1, math.nan, math.inf, True, None, [], [None], [[0.1]],
    ],
    ids=repr,
)  # fmt: skip
def test_rates_that_make_no_sense_are_refused_in_a_sentence(words):
    with pytest.raises(InputError, match=r"lr .*(\.|$)") as caught:
        sweep(lr=words)
    assert "\n" not in str(caught.value)


def test_lists_are_split_outside_brackets_and_quotes():
    assert split_list("batch, lp(p=1,centered=false),a:B(s='x,y',t=[1,2])") == [
        "batch",
        "lp(p=1,centered=false)",
        "a:B(s='x,y',t=[1,2])",
    ]


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        ({"network": "letne"}, UnknownNameError, "did you mean lenet"),
        ({"network": "lenet(depth=8)"}, UnknownNameError, "argument of network 'lenet'"),
        ({"network": "resnet(8)"}, InputError, "without a name"),
        ({"network": "resnet(depth=8"}, InputError, "does not end in"),
        ({"network": "my.net:"}, InputError, "not an import path"),
        ({"network": ""}, InputError, "network must be a text"),
        ({"network": []}, InputError, "network"),
        ({"network": len}, InputError, "network must be a text"),
        ({"norm": "bacth"}, UnknownNameError, "did you mean batch"),
        ({"norm": "batch,"}, InputError, "empty entry"),
        ({"data": "mnits"}, UnknownNameError, "did you mean mnist"),
        ({"data": 5}, InputError, "data must be a text"),
        ({"probe": "spectra"}, UnknownNameError, "did you mean spectrum"),
        ({"seeds": 0}, InputError, "seeds must be a whole number of at least 1"),
        ({"seeds": -2}, InputError, "seeds"),
        ({"seeds": 2.0}, InputError, "seeds"),
        ({"seeds": True}, InputError, "seeds"),
        ({"epochs": 0}, InputError, "epochs"),
        ({"batch": 0}, InputError, "batch"),
        ({"images": 0}, InputError, "images"),
        ({"images": 63}, InputError, "do not fill one batch of 64"),
        ({"batch": 4001}, InputError, "do not fill one batch"),
        ({"image_size": 20}, InputError, "28×28"),
        ({"optimizer": "sdg"}, UnknownNameError, "did you mean sgd"),
        ({"optimizer": "sgd(lr=1)"}, UnknownNameError, "argument of optimizer"),
        ({"lr_for": "conv"}, UnknownNameError, "did you mean convolutions"),
        ({"other_lr": 0.0}, InputError, "other_lr"),
        ({"other_lr": math.nan}, InputError, "other_lr"),
        ({"layer": "conv2"}, InputError, "probe 'spectrum'"),
    ],
    ids=str,
)
def test_words_that_make_no_sense_are_refused_in_a_sentence(words, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        sweep(**{"network": "lenet"} | words)
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


def test_a_built_in_network_as_it_is_has_batch_norm_and_a_users_own_none_of_ours():
    assert [line[1] for line in sweep("lenet,my.net:make").arrangements()] == ["batch", "as-is"]
    assert len(sweep("lenet", norm="as-is,batch").arrangements()) == 1


def test_a_spec_written_in_another_way_is_the_same_run():
    one, other = (
        sweep(network, norm=norm)
        for network, norm in (
            ("lenet(layers=[2])", "lp(p=1, eps=0.1)"),
            (" lenet( layers = [2] )", "lp(eps=0.1,p=1)"),
        )
    )
    assert one == other


def test_the_lenet_sees_digits_padded_to_32_and_others_see_them_as_they_are():
    sizes = {run.network: run.image_size for run in sweep("lenet,resnet(depth=8)").runs()}
    assert sizes == {"lenet": 32, "resnet(depth=8)": 28}
    assert {run.image_size for run in sweep("lenet", image_size=30).runs()} == {30}


def test_a_sweep_comes_back_from_json_as_it_was():
    asked = sweep(norm="batch", lr="0.01:10:7", probe="spectrum", layer="conv2", images=500)
    assert Sweep.from_json(asked.to_json()) == asked


@pytest.mark.parametrize("name", ["", "cells", "../up", "a/b", "a.b", ".hidden", "two words"])
def test_a_name_that_is_no_folder_of_ours_is_refused(name):
    with pytest.raises(InputError, match="sweep's name"):
        SweepExperiment(name, sweep())


def test_the_experiment_says_what_it_does():
    experiment = SweepExperiment("mine", sweep(probe="spectrum", layer="conv1"))
    assert "conv1" in experiment.method
    assert experiment.question.endswith("?")
    assert "lenet" in experiment.question
    assert "64" in experiment.profile(Scale.QUICK).describe()["training"]
    assert experiment.claims(empty_table()) == []


def test_reading_words_imports_nothing_heavy():
    code = """
import sys
from normscope.sweep import Sweep, SweepExperiment
from normscope.protocol import Scale
Sweep.of("lenet,resnet(depth=8)", norm="batch,my:Norm", probe="spectrum").describe()
print([name for name in ("torch", "pandas", "matplotlib") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_cells_of_an_experiment_are_those_of_its_runs():
    from normscope.sweep.training_cell import train_network

    asked = sweep(["lenet", "own_networks:plain"], norm="batch,own_networks:HalvingNorm", lr="0.1,1", seeds=2)
    cells = SweepExperiment("mine", asked).cells(Scale.QUICK, empty_table())
    assert list(cells) == [train_network.cell(run) for run in asked.runs()]
    assert [len(cell.files) for cell in cells[::4]] == [0, 1, 1, 1]
