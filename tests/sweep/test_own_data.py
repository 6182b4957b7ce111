"""Sweeps on a user's own data: what their networks get, and what their runs compute."""

import math
import sys

import numpy as np
import own_data
import pytest
import torch
from torch import nn

from normscope import data, training
from normscope.data.batches import Split
from normscope.data.contents import Contents
from normscope.data.preparing import prepare
from normscope.errors import InputError
from normscope.sweep import Sweep
from normscope.sweep.building import build, examples
from normscope.sweep.checking import check
from normscope.sweep.training_cell import train_network


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sweep(network, name, **words):
    words = {"lr": 0.05, "seeds": 1, "epochs": 2, "batch": 16} | words
    return Sweep.of(f"own_data:{network}", data=f"own_data:{name}", **words)


def builtin(network, name, **words):
    return Sweep.of(network, data=f"own_data:{name}", **{"lr": 0.05, "seeds": 1, "batch": 16} | words)


def run(*arguments, **words):
    return next(sweep(*arguments, **words).runs())


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


def plain_loop(model, loss, train, test, rate, epochs, batch):
    """Mean training loss of every epoch, and the outputs for the validation inputs after the last one."""
    (x, y), means = train, []
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        found = []
        order = torch.randperm(len(x), generator=generator)
        for chosen in order[: len(x) // batch * batch].split(batch):
            value = loss(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            found.append(value.item())
        means.append(math.fsum(found) / len(found))
    with torch.no_grad():
        return means, model.eval()(test[0])


def test_a_regression_is_trained_as_by_a_plain_loop_on_standardized_features():
    (x, y), (x2, y2) = own_data.table()["train"].dataset.tensors, own_data.table()["validation"].tensors
    mean, std = x.double().mean(0), x.double().std(0, correction=0)
    x, x2 = (((one.double() - mean) / std).float() for one in (x, x2))
    with training.seeded(0):
        model = own_data.dense(6, 1)
        means, output = plain_loop(
            model, lambda out, t: ((out[:, 0] - t) ** 2).mean(), (x, y), (x2, y2), 0.05, 2, 16
        )
    table = train_network(run("dense", "table"))
    assert values(table, "train_loss") == pytest.approx(means, rel=1e-4)
    expected = ((output[:, 0] - y2) ** 2).mean().item()
    assert values(table, "validation_loss", epoch=2) == pytest.approx([expected], rel=1e-4)
    assert values(table, "validation_error") == []


def test_pictures_of_three_channels_that_are_not_square_are_standardized_by_the_training_split():
    (x, y), (x2, y2) = own_data.blobs()
    mean, std = (x / 255).mean((0, 2, 3)), (x / 255).std((0, 2, 3))
    x, x2 = (
        torch.from_numpy(((one / 255 - mean[:, None, None]) / std[:, None, None]).astype(np.float32))
        for one in (x, x2)
    )
    with training.seeded(0):
        model = own_data.colour(3, (3, 12, 16), 4)
        train, test = (x, torch.from_numpy(y)), (x2, torch.from_numpy(y2))
        means, output = plain_loop(model, nn.functional.cross_entropy, train, test, 0.05, 2, 16)
    table = train_network(run("colour", "blobs"))
    assert values(table, "train_loss") == pytest.approx(means, rel=1e-4)
    wrong = (output.argmax(1) != test[1]).double().mean().item()
    assert values(table, "validation_error", epoch=2) == [wrong]
    assert values(table, "validation_loss") == []


RUNS = [
    ("squeezed", "table", {}, "validation_loss"),
    ("dense", "table(targets=(2,))", {"loss": "l1"}, "validation_loss"),
    ("dense", "binary", {"loss": "bce_with_logits"}, "validation_loss"),
    ("dense", "counts", {"loss": "mse"}, "validation_loss"),
    ("dense", "counts", {}, "validation_error"),
    ("dense", "table", {"loss": "own_data:quartic(power=2)"}, "validation_loss"),
    ("dense", "blobs", {"loss": "own_data:focal"}, "validation_error"),
    ("temporal", "series(channels=3,length=9,classes=5)", {"norm": "batch,none"}, "validation_error"),
    ("Reader", "sentences", {"norm": "as-is"}, "validation_error"),
    ("Reader(each=true)", "sentences(each=true)", {}, "validation_error"),
    ("square", "blobs(classes=2)", {"image_size": 20}, "validation_error"),
]


@pytest.mark.parametrize(("network", "name", "words", "measure"), RUNS, ids=lambda value: str(value)[:30])
@pytest.mark.filterwarnings("error")
def test_data_of_any_shape_train_a_network_that_fits_them(network, name, words, measure):
    asked = sweep(network, name, probe="spectrum,moments", **words)
    check(asked)
    assert asked.measure == measure
    for one in asked.runs():
        table = train_network(one)
        assert len(values(table, measure)) == 2
        assert all(map(math.isfinite, values(table, measure)))


@pytest.mark.parametrize("network", ["lenet", "resnet(depth=8)"])
@pytest.mark.parametrize(("words", "logits"), [("", 4), ("classes=3,height=9,width=40", 3)])
def test_the_built_in_networks_take_pictures_of_any_number_of_channels_and_size(network, words, logits):
    asked = builtin(network, f"blobs({words})", norm="batch")
    check(asked)
    (one,) = asked.runs()
    with training.seeded(0):
        assert build(one)(examples(one, 2)[0]).shape == (2, logits)
    sizes = {"lenet": 40 if words else 32, "resnet(depth=8)": 0}
    assert one.image_size == sizes[network], "only the LeNet needs squares"


@pytest.mark.parametrize("name", ["table", "series", "sentences"])
@pytest.mark.parametrize("network", ["lenet", "resnet(depth=8)"])
def test_the_built_in_networks_refuse_what_is_no_picture(network, name):
    with pytest.raises(
        InputError, match=rf"takes images \(channels, height, width\), not .* own_data:{name}, "
    ):
        check(builtin(network, name))


@pytest.mark.parametrize(
    ("name", "hint"), [("series", "1 channel, or name a network"), ("table", "6: name a network")]
)
def test_grey_pictures_without_a_dimension_of_channels_are_told_of_it(name, hint):
    (run,) = Sweep.of("lenet", data=f"own_data:{name}", lr=0.05, seeds=1, batch=16).runs()
    with pytest.raises(InputError, match=hint):
        build(run)


def test_a_regression_on_pictures_gives_a_built_in_network_one_output(tmp_path, monkeypatch):
    text = (
        "import own_data\n"
        "def load():\n    (x, y), (x2, y2) = own_data.blobs()\n    return (x, y * 1.0), (x2, y2 * 1.0)\n"
    )
    (tmp_path / "brightness.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    asked = Sweep.of("lenet,resnet(depth=8)", data="brightness:load", lr=0.05, seeds=1, batch=16)
    check(asked)
    (one, _) = asked.runs()
    assert build(one).fc.out_features == 1
    assert asked.loss == "mse"
    sys.modules.pop("brightness")


def test_digits_as_numbers_give_a_built_in_network_one_output():
    asked = Sweep.of("lenet", loss="mse", lr=0.05, seeds=1)
    check(asked)
    (one,) = asked.runs()
    assert build(one).fc.out_features == 1
    assert asked.chance == pytest.approx(8.25)  # the variance of 0 … 9, each as often


def test_padding_of_floats_is_zero_in_the_users_units():
    x = np.full((4, 2, 3, 5), 7.0)
    x[0] = 1
    ready = prepare(Contents((x, np.arange(4)), (x, np.arange(4))), "my:load")
    dataset = data.DataSet("my:load", **ready.arrays, mean=ready.mean, std=ready.std, digest="")
    images, _ = Split.of(dataset, "train", 6).batch(torch.arange(4))
    assert images.shape == (4, 2, 6, 6)
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    outside = np.zeros((4, 2, 6, 6))
    outside[:, :, 1:4, 0:5] = x
    np.testing.assert_allclose(
        images.numpy(), (outside - mean[:, None, None]) / std[:, None, None], rtol=1e-5
    )


def test_a_factory_gets_what_its_data_have(monkeypatch):
    def told(network, name, **words):
        seen = {}

        def factory(in_channels=None, classes=None, image=None, features=64, *, shape, outputs):
            seen.update(locals())
            return nn.Linear(1, 1)

        monkeypatch.setattr(own_data, "told", factory, raising=False)
        build(run("told", name, **words))
        return {key: seen[key] for key in ("in_channels", "classes", "image", "features", "shape", "outputs")}

    assert told("told", "blobs") == {
        "in_channels": 3,
        "classes": 4,
        "image": None,
        "features": 64,
        "shape": (3, 12, 16),
        "outputs": 4,
    }
    assert told("told", "blobs", image_size=20) == {
        "in_channels": 3,
        "classes": 4,
        "image": 20,
        "features": 64,
        "shape": (3, 20, 20),
        "outputs": 4,
    }
    assert told("told", "table(targets=(2,3))") == {
        "in_channels": None,
        "classes": None,
        "image": None,
        "features": 64,
        "shape": (6,),
        "outputs": 6,
    }
    assert told("told", "series") == {
        "in_channels": 2,
        "classes": 3,
        "image": None,
        "features": 64,
        "shape": (2, 20),
        "outputs": 3,
    }
    assert told("told", "counts", loss="mse")["outputs"] == 1


def test_what_a_spec_says_counts_more_than_what_the_sweep_would_supply():
    with training.seeded(0):
        model = build(run("dense(features=6,width=3)", "table"))
    assert (model[1].in_features, model[1].out_features, model[3].out_features) == (6, 3, 1)


def test_what_is_not_a_number_flows_through_and_ends_the_run_where_it_is_met():
    table = train_network(run("dense", "spoiled", batch=96))
    (loss,) = values(table, "diverged", step=1)
    assert math.isnan(loss)
    assert data.facts_of("own_data:spoiled").nonfinite == 10


def test_targets_of_a_large_scale_are_no_divergence():
    """Untrained, the loss is of the order of the targets' variance, 10⁸; plain cross-entropy stops at 1,000."""
    table = train_network(run("dense", "table(scale=10000.0)", lr=1e-12))
    assert values(table, "diverged") == []
    assert values(table, "train_loss")[0] > 1e6
    assert values(train_network(run("dense", "table(scale=10000.0)", lr=1e3)), "diverged")
