"""The losses of a sweep, and the loss of a guess."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from normscope import data, training
from normscope.data.facts import Facts
from normscope.errors import InputError, UnknownNameError
from normscope.sweep import losses
from normscope.sweep.parsing import LOSSES

CLASSES = Facts("my:load", (3,), "floats", (), 4, 10, 10, "0" * 64)
NUMBERS = Facts("my:load", (3,), "floats", (2,), None, 10, 10, "0" * 64)


def pair(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator), torch.rand(shape, generator=generator)


@pytest.mark.parametrize(
    ("spec", "function"),
    [
        ("mse", nn.functional.mse_loss),
        ("l1", nn.functional.l1_loss),
        ("smooth_l1(beta=0.5)", lambda y, t: nn.functional.smooth_l1_loss(y, t, beta=0.5)),
        ("huber(delta=2)", lambda y, t: nn.functional.huber_loss(y, t, delta=2)),
        ("bce_with_logits", nn.functional.binary_cross_entropy_with_logits),
        ("torch.nn:HuberLoss(delta=2)", lambda y, t: nn.functional.huber_loss(y, t, delta=2)),
        ("own_data:quartic", lambda y, t: ((y - t) ** 4).mean()),
        ("own_data:quartic(power=6)", lambda y, t: ((y - t) ** 6).mean()),
    ],
)
def test_a_loss_of_numbers_is_torchs_or_the_users(spec, function):
    output, target = pair(5, 2)
    assert losses.loss_function(spec)(output, target).item() == pytest.approx(function(output, target).item())


@pytest.mark.parametrize("spec", [*(name for name in LOSSES if name not in ("cross_entropy", "multi_margin")),
                                  "own_data:quartic", "torch.nn:MSELoss"])  # fmt: skip
def test_one_output_an_example_is_never_broadcast_against_its_targets(spec):
    output, target = pair(5)
    loss = losses.loss_function(spec)
    assert loss(output[:, None], target).item() == pytest.approx(loss(output, target).item())
    assert loss(output, target[:, None]).item() == pytest.approx(loss(output, target).item())


def test_whole_numbered_targets_are_taken_as_numbers_where_the_loss_takes_numbers():
    output, target = pair(5)[0], torch.arange(5)
    assert losses.loss_function("mse")(output, target).item() == pytest.approx(
        ((output - target) ** 2).mean().item()
    )


def test_a_loss_of_classes_is_torchs():
    logits, labels = pair(6, 4)[0], torch.tensor([0, 1, 2, 3, 1, 1])
    smooth = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert losses.loss_function("cross_entropy(label_smoothing=0.1)")(logits, labels).equal(smooth)
    margin = nn.functional.multi_margin_loss(logits, labels, margin=0.5)
    assert losses.loss_function("multi_margin(margin=0.5)")(logits, labels).equal(margin)


def test_classes_are_validated_by_the_error_and_numbers_by_the_loss():
    assert losses.objective("cross_entropy", CLASSES) is training.CLASSIFICATION
    both = ("validation_error", "validation_loss")
    for loss in ("cross_entropy(label_smoothing=0.1)", "own_data:focal"):
        assert losses.objective(loss, CLASSES).measures == both
    for loss, facts in (
        ("mse", NUMBERS),
        ("mse", CLASSES),
        ("own_data:quartic", NUMBERS),
        ("cross_entropy", NUMBERS),
    ):
        assert losses.objective(loss, facts).measures == ("validation_loss",)


@pytest.mark.parametrize(
    ("spec", "error", "sentence"),
    [
        ("own_data:quadric", UnknownNameError, "did you mean quartic"),
        ("no_such_module_at_all:loss", InputError, "cannot be imported"),
        (
            "torch.nn:HuberLoss(dleta=1)",
            InputError,
            "'torch.nn:HuberLoss.dleta=1.' cannot be made: TypeError",
        ),
        ("own_data:np", InputError, "is a module: name a function"),
    ],
)
def test_a_loss_that_cannot_be_made_is_refused(spec, error, sentence):
    with pytest.raises(error, match=sentence):
        losses.loss_function(spec)(*pair(3))


def arrays(name):
    loaded = data.load(name)
    return loaded.train_labels.astype(float), loaded.test_labels.astype(float)


@pytest.mark.parametrize("images", [None, 40])
@pytest.mark.parametrize("name", ["own_data:table", "own_data:table(targets=(3,))"])
def test_the_loss_of_a_guess_is_that_of_the_training_targets_mean(name, images):
    train, test = arrays(name)
    off = test - train[:images].mean(0)
    assert losses.chance("mse", name, images) == pytest.approx((off**2).mean())
    assert losses.chance("l1", name, images) == pytest.approx(np.abs(off).mean())
    huber = np.where(np.abs(off) < 2, off**2 / 2, 2 * (np.abs(off) - 1)).mean()
    assert losses.chance("huber(delta=2)", name, images) == pytest.approx(huber)


def test_the_loss_of_a_guess_of_yes_or_no_is_the_entropy_of_the_training_shares():
    train, test = arrays("own_data:binary")
    share = train.mean(0)
    expected = -(test * np.log(share) + (1 - test) * np.log(1 - share)).mean()
    assert losses.chance("bce_with_logits", "own_data:binary") == pytest.approx(expected)


def test_a_users_loss_has_no_guess_and_neither_have_targets_that_are_not_finite(tmp_path, monkeypatch):
    assert losses.chance("own_data:quartic", "own_data:table") is None
    text = "import numpy as np\nx = np.ones((4, 2))\ny = np.array([1, 2, np.nan, 3])\n"
    (tmp_path / "nan_targets.py").write_text(text + "def load(): return (x, y), (x, y)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert losses.chance("mse", "nan_targets:load") is None


@pytest.mark.parametrize(
    ("spec", "name", "sentence"),
    [
        (
            "huber(delta=-1)",
            "own_data:table",
            r"loss 'huber\(delta=-1\)' cannot be used: RuntimeError: huber_loss",
        ),
        ("smooth_l1(beta=-1)", "own_data:table", "cannot be used: RuntimeError: "),
        (
            "bce_with_logits",
            "own_data:table",
            "takes targets from 0 to 1, and those of own_data:table are not",
        ),
    ],
)
def test_a_loss_that_does_not_take_its_argument_or_the_targets_is_refused(spec, name, sentence):
    with pytest.raises(InputError, match=sentence):
        losses.chance(spec, name)


def test_an_error_rate_counts_every_label_of_an_example():
    logits = torch.tensor([[[9.0, 0.0, 0.0], [0.0, 9.0, math.nan]]])
    assert training.error_rate(nn.Identity(), [(logits, torch.tensor([[0, 0, 0]]))]) == pytest.approx(2 / 3)


def test_a_mean_loss_weighs_batches_by_their_examples():
    batches = [(torch.zeros(3, 1), torch.ones(3, 1)), (torch.zeros(1, 1), torch.full((1, 1), 3.0))]
    assert training.mean_loss(nn.Identity(), batches, nn.functional.mse_loss) == pytest.approx(
        (3 * 1 + 9) / 4
    )
