"""Sweeps on a user's own data: what is refused, the key of a run, and what a sweep says of its data."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from normscope import data
from normscope.errors import InputError, UnknownNameError
from normscope.protocol import Scale, canonical_config, empty_table
from normscope.sweep import Sweep, SweepExperiment
from normscope.sweep.checking import check

SUPPORT = Path(__file__).parents[1] / "support" / "own_data.py"


def sweep(network, name, **words):
    words = {"lr": 0.05, "seeds": 1, "epochs": 2, "batch": 16} | words
    return Sweep.of(f"own_data:{network}", data=f"own_data:{name}", **words)


REFUSED = [
    ("colour", "table", {}, "needs 'in_channels', which own_data:table does not have: features is 6"),
    ("square", "blobs", {}, "needs 'image', which own_data:blobs does not have: in_channels is 3"),
    ("temporal", "table", {}, "needs 'in_channels', which own_data:table does not have"),
    ("Reader", "table", {}, "needs 'classes', which"),
    ("dense", "sentences", {}, "the inputs of own_data:sentences, 8: .*return measured numbers as floats"),
    ("dense(outputs=2)", "table", {}, r"gives shape \(2, 2\) for 2 examples of own_data:table; it must give numbers"),
    ("dense(outputs=2)", "blobs", {}, r"must give logits of shape \(2, 4\), one per class"),
    ("Reader", "sentences(each=true)", {}, r"must give logits of shape \(2, 3, 8\)"),
    ("dense", "table", {"loss": "own_data:each_example"}, r"each_example' gives shape \(2,\): it must give one"),
    ("dense", "table", {"loss": "own_data:broken"}, "cannot be trained: RuntimeError: no loss today"),
    ("dense", "table", {"loss": "own_data:np"}, "is a module: name a function"),
    ("dense", "table", {"loss": "no_such_module_at_all:f"}, "cannot be imported"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "name", "words", "sentence"), REFUSED, ids=[sentence[:50] for *_, sentence in REFUSED]
)
def test_what_does_not_fit_the_data_is_refused_before_anything_runs(network, name, words, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        check(sweep(network, name, **words))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words", "error", "sentence"),
    [
        (
            "table",
            {"loss": "cross_entropy"},
            InputError,
            "own_data:table has a regression target, and cross_entropy",
        ),
        ("binary", {"loss": "multi_margin"}, InputError, "has a regression target, and multi_margin"),
        ("table", {"loss": "msee"}, UnknownNameError, "unknown loss 'msee': did you mean mse"),
        ("table", {"loss": "mse(reduction='sum')"}, InputError, "loss 'mse' takes no arguments"),
        ("table", {"loss": "huber(beta=1)"}, UnknownNameError, "argument of loss 'huber'"),
        ("table", {"loss": 3}, InputError, "loss must be a text"),
        ("table", {"image_size": 32}, InputError, "the inputs of own_data:table are 6, no images"),
        ("blobs", {"image_size": 14}, InputError, "12×16: pad them to at least 16"),
        (
            "blobs",
            {"images": 97},
            InputError,
            "97 training images of own_data:blobs are wanted, but it has 96",
        ),
        ("blobs", {"batch": 100}, InputError, "96 training images do not fill one batch of 100"),
        ("blobs(classes=1)", {}, InputError, "name a single class"),
        ("nothing", {}, UnknownNameError, "attribute of own_data"),
    ],
)
def test_words_that_do_not_fit_the_data_are_refused_in_a_sentence(name, words, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        sweep("dense", name, **words)
    assert "#" not in str(caught.value), "the digits of the content help nobody here"


def test_a_factory_may_go_to_another_folder_but_takes_nobody_there(tmp_path, monkeypatch):
    (tmp_path / "wanderer.py").write_text(
        "import os\nfrom own_data import dense\n"
        "def made(features, outputs):\n    os.chdir('/')\n    return dense(features, outputs)\n"
        "def panics(features):\n    os.chdir('/')\n    raise GeneratorExit\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = {"data": "own_data:table", "lr": 0.05, "seeds": 1, "batch": 16}
    check(Sweep.of("wanderer:made", **words))
    assert Path.cwd() == tmp_path
    with pytest.raises(InputError, match=r"'wanderer:panics' cannot be made: GeneratorExit$"):
        check(Sweep.of("wanderer:panics", **words))
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("given", [np.zeros((2, 2)), (torch.zeros(3), torch.zeros(3)), None, ""])
def test_data_in_memory_are_refused_with_the_way_out(given):
    with pytest.raises(InputError, match="write a function that returns them and name it") as caught:
        Sweep.of("lenet", data=given)
    assert "\n" not in str(caught.value)


def test_the_key_of_a_run_holds_the_content_of_its_data_and_the_code_of_its_loss(tmp_path, monkeypatch):
    for name in ("edited_data", "edited_loss"):
        shutil.copy(SUPPORT, tmp_path / f"{name}.py")
    monkeypatch.syspath_prepend(tmp_path)

    def key(**words):
        words = {"data": "edited_data:table", "loss": "edited_loss:quartic", "lr": 0.05, "batch": 16} | words
        (cell, *_) = SweepExperiment("a", Sweep.of("own_data:dense", **words)).cells(
            Scale.QUICK, empty_table()
        )
        return cell.key(data.digest)

    before, others = (
        key(),
        [key(data="edited_data:table(train=95)"), key(loss="edited_loss:quartic(power=6)"), key(loss="mse")],
    )
    assert len({before, *others}) == 4
    assert key() == before
    path = tmp_path / "edited_data.py"
    path.write_text(path.read_text() + "# a remark\n")
    assert key() == before, "the same content"
    path.write_text(path.read_text().replace("0.1 * torch.randn", "0.2 * torch.randn"))
    assert key() != before
    path.write_text(SUPPORT.read_text())
    assert key() == before
    path = tmp_path / "edited_loss.py"
    path.write_text(path.read_text() + "# a remark\n")
    assert key() != before
    for name in ("edited_data", "edited_loss"):
        sys.modules.pop(name, None)


def test_the_usual_loss_is_no_part_of_a_configuration():
    (one,) = Sweep.of("lenet", lr=0.1, seeds=1).runs()
    assert "loss" not in canonical_config(one)
    assert canonical_config(dataclasses.replace(one, loss="mse"))["loss"] == "mse"


def test_a_sweep_comes_back_from_json_without_its_data():
    for network, name in (("dense", "table"), ("colour", "blobs")):
        asked = sweep(network, name)
        assert Sweep.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_a_sweep_describes_its_data_and_its_loss():
    words = sweep("dense", "table", images=64).describe()
    for part in ("own_data:table: inputs of 6 (floats, standardized per feature", "regression target of 1",
                 "96 training and 32 validation examples; content ", "the first 64 for training"):  # fmt: skip
        assert part in words["data"]
    assert "sgd on mse" in words["training"]
    experiment = SweepExperiment("a", sweep("colour", "blobs"))
    assert experiment.title == "own_data:colour on own_data:blobs: validation error by learning rate"
