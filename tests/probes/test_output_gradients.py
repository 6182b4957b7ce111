"""The gradients of the images' own losses at the outputs: closed forms, autograd image by image, and no trace."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError

COLUMNS = ["image", "position", "class", "label", "output", "gradient"]


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(*shape, classes, seed=2):
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(seed))


def normed():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 5)
    )


class Holding(nn.Module):
    """Returns what a function makes of its layer's output."""

    def __init__(self, make):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.make = nn.Linear(3, 4), make

    def forward(self, *args, **kwargs):
        x = args[0] if args else kwargs["pixels"]
        return self.make(self.layer(x))


def one_by_one(output, y, loss):
    """The gradient of each image's own loss, image by image."""
    found = []
    for z, target in zip(output.detach().double(), y, strict=True):
        z = z[None].clone().requires_grad_()
        found.append(torch.autograd.grad(loss(z, target[None]), z)[0][0])
    return torch.stack(found)


def test_the_cross_entropys_gradient_is_the_softmax_less_one_at_the_label():
    model, x, y = normed().eval(), batch(8, 2, 6, 6), labels(8, classes=5)
    table = ns.probes.output_gradients(model, x, y)
    assert list(table.columns) == COLUMNS
    z = model(x).detach().double()
    expected = z.softmax(1) - F.one_hot(y, 5)
    np.testing.assert_allclose(table["output"], z.flatten(), rtol=1e-12)
    np.testing.assert_allclose(table["gradient"], expected.flatten(), atol=1e-6)
    assert table["image"].tolist() == [image for image in range(8) for _ in range(5)]
    assert table["class"].tolist() == [*range(5)] * 8
    assert table["label"].tolist() == y.repeat_interleave(5).tolist()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [2, 7])
def test_the_gradient_is_of_the_images_own_loss_whatever_the_reduction(reduction, batch_size):
    """A batch norm in training mode lets every image's loss reach every image, but not through the outputs."""
    model = nn.Sequential(nn.Linear(3, 4), ns.nn.BatchNorm(4)).double()
    x, y = batch(batch_size, 3).double(), batch(batch_size, 4, seed=3).double()
    table = ns.probes.output_gradients(
        model, x, y, lambda z, t: F.smooth_l1_loss(z, t, reduction=reduction) * (4 if reduction == "mean" else 1),
        reduction=reduction,
    )  # fmt: skip
    expected = one_by_one(copy.deepcopy(model)(x), y, lambda z, t: F.smooth_l1_loss(z, t, reduction="sum"))
    np.testing.assert_allclose(table["gradient"], expected.flatten(), rtol=1e-12)
    assert table["label"].isna().all()


def test_sorted_images_keep_the_batchs_order_within_a_label():
    model, x, y = normed(), batch(9, 2, 6, 6), torch.tensor([3, 0, 3, 1, 0, 4, 1, 3, 0])
    plain, table = (ns.probes.output_gradients(model, x, y, by_label=sort) for sort in (False, True))
    assert table["image"].tolist()[::5] == [1, 4, 8, 3, 6, 0, 2, 7, 5]
    assert table.index.tolist() == [*range(45)]
    again = table.sort_values(["image", "class"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, plain)


def test_each_position_of_an_output_has_its_own_loss_and_label():
    x, y = batch(2, 6, 3), labels(2, 6, classes=4)
    loss = lambda z, t: F.cross_entropy(z.flatten(0, 1), t.flatten())  # noqa: E731
    model = Holding(lambda z: z)
    table = ns.probes.output_gradients(model, x, y, loss, class_dim=-1)
    z = model(x).detach().double()
    expected = z.softmax(-1) - F.one_hot(y, 4)
    np.testing.assert_allclose(table["gradient"], expected.flatten(), atol=1e-6)
    assert table["label"].tolist() == y.flatten().repeat_interleave(4).tolist()
    assert table["position"].tolist() == [position for position in range(6) for _ in range(4)] * 2
    channels = ns.probes.output_gradients(Holding(lambda z: z.movedim(-1, 1)), x, y)
    np.testing.assert_allclose(channels["gradient"], table["gradient"], atol=1e-6)


def test_a_single_output_for_each_image_is_class_0():
    y = torch.tensor([1, 0, 1])
    loss = lambda z, t: F.binary_cross_entropy_with_logits(z, t.to(z.dtype))  # noqa: E731
    model, x = Holding(lambda z: z[:, 0]), batch(3, 3)
    table = ns.probes.output_gradients(model, x, y, loss)
    assert table["class"].tolist() == [0, 0, 0]
    np.testing.assert_allclose(table["gradient"], model(x).detach().sigmoid() - y, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "loss"),
    [
        (lambda z: {"z": z, "used": False, "hidden": z + 1}, lambda out, y: F.cross_entropy(out["z"], y)),
        (lambda z: (z, [torch.arange(3)]), lambda out, y: F.cross_entropy(out[0], y)),
    ],
    ids=["dictionary", "tuple"],
)  # fmt: skip
def test_the_outputs_may_be_held_in_a_container(make, loss):
    x, y = batch(5, 3), labels(5, classes=4)
    found = ns.probes.output_gradients(Holding(make), x, y, loss)
    pd.testing.assert_frame_equal(found, ns.probes.output_gradients(Holding(lambda z: z), x, y))


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: {"pixels": x}])
@pytest.mark.parametrize("change", [lambda model: model, lambda model: model.requires_grad_(False)])
def test_any_form_of_the_input_and_a_frozen_model_are_the_same_to_it(wrap, change):
    x, y = batch(5, 3), labels(5, classes=4)
    found = ns.probes.output_gradients(change(Holding(lambda z: z)), wrap(x), y)
    pd.testing.assert_frame_equal(found, ns.probes.output_gradients(Holding(lambda z: z), x, y))


def test_a_compiled_model_and_an_inference_output_are_measured():
    class Inferring(nn.Linear):
        def forward(self, x):
            with torch.inference_mode():
                return super().forward(x)

    x, y = batch(5, 3), labels(5, classes=4)
    torch.manual_seed(0)
    model = Inferring(3, 4)
    expected = ns.probes.output_gradients(Holding(lambda z: z), x, y)
    pd.testing.assert_frame_equal(ns.probes.output_gradients(model, x, y), expected)
    compiled = torch.compile(Holding(lambda z: z), backend="eager")
    pd.testing.assert_frame_equal(ns.probes.output_gradients(compiled, x, y), expected)


def test_small_gradients_in_half_precision_do_not_vanish_when_they_are_multiplied():
    model, x, y = nn.Linear(3, 4).bfloat16(), batch(64, 3).bfloat16(), labels(64, classes=4)
    table = ns.probes.output_gradients(model, x, y)
    expected = model(x).detach().double().softmax(1) - F.one_hot(y, 4)
    np.testing.assert_allclose(table["gradient"], expected.flatten(), atol=2e-2)


def test_what_is_not_finite_is_shown():
    x = batch(4, 3)
    x[1] = math.nan
    table = ns.probes.output_gradients(Holding(lambda z: z), x, labels(4, classes=4))
    assert table.loc[table["gradient"].isna(), "image"].unique().tolist() == [1]
    assert table["output"].isna().sum() == 4


@pytest.mark.parametrize(
    ("make", "loss", "message"),
    [
        (lambda z: [z, z + 0], lambda out, y: F.cross_entropy(out[0] + out[1], y), "depends on 2 tensors"),
        (lambda z: z, lambda out, y: torch.zeros(()), "depends on 0 tensors"),
        (lambda z: z.sum(), lambda out, y: out, "a single number"),
        (lambda z: z, lambda out, y: F.cross_entropy(out, y, reduction="none"), "tensor of one number"),
        (lambda z: z, lambda out, y: out.nosuch, "the loss cannot be computed"),
    ],
)
def test_what_cannot_be_measured_is_refused(make, loss, message):
    with pytest.raises(InputError, match=message):
        ns.probes.output_gradients(Holding(make), batch(3, 3), labels(3, classes=4), loss)


def test_unknown_options_are_refused():
    x, y = batch(3, 3), labels(3, classes=4)
    with pytest.raises(UnknownNameError, match="reduction 'none'"):
        ns.probes.output_gradients(Holding(lambda z: z), x, y, reduction="none")
    for dim in (0, 2, -2):
        with pytest.raises(InputError, match="class_dim must be a dimension"):
            ns.probes.output_gradients(Holding(lambda z: z), x, y, class_dim=dim)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_the_input_and_the_generators_are_left_as_they_were(fails):
    model, x, y = normed(), batch(8, 2, 6, 6), labels(8, classes=5)
    model[5].weight.grad = torch.ones_like(model[5].weight)
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(4)
    drawn = torch.rand(3)
    torch.manual_seed(4)
    if fails:
        with pytest.raises(InputError):
            ns.probes.output_gradients(model, x, y, lambda z, t: z)
    else:
        ns.probes.output_gradients(model, x, y)
    assert torch.equal(torch.rand(3), drawn)
    assert model.training
    assert not x.requires_grad
    assert [name for name, one in model.named_parameters() if one.grad is not None] == ["5.weight"]
    assert (model[5].weight.grad == 1).all()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
