"""Gradients by class: they add up to the plain gradient, are the masked backward pass, and leave no trace."""

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


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(*shape, classes, seed=2):
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(seed))


class Twice(nn.Module):
    """Calls its layer twice, and has one that it does not call."""

    def __init__(self):
        super().__init__()
        self.layer, self.head, self.unused = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.layer(torch.tanh(self.layer(x)))))


class ByPosition(nn.Module):
    """A linear layer on (N, T, C), and the mean over T."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return torch.tanh(self.layer(x)).mean(1)


def pooled(*layers):
    return nn.Sequential(*layers, nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten(1))


MODELS = {
    "1-D": (lambda: pooled(nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular")), (5, 2, 8)),
    "2-D": (
        lambda: pooled(nn.Conv2d(2, 4, 3, stride=2, dilation=2, groups=2), nn.ReLU(), nn.Conv2d(4, 3, 1)),
        (5, 2, 9, 9),
    ),
    "3-D": (lambda: pooled(nn.Conv3d(1, 3, 2)), (3, 1, 4, 4, 4)),
    "transposed": (lambda: pooled(nn.ConvTranspose2d(2, 3, 3, stride=2)), (3, 2, 4, 4)),
    "batch norm": (lambda: pooled(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), (5, 2, 6, 6)),
    "evaluation mode": (lambda: pooled(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()).eval(), (5, 2, 6, 6)),
    "a layer called twice": (Twice, (6, 4)),
    "positions": (ByPosition, (4, 5, 4)),
    "parametrized": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))), (6, 4)),
}  # fmt: skip


def made(name):
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = make().double()
    return model, batch(*shape).double(), labels(shape[0], classes=3)


def by_hand(model, x, y, layer, loss=F.cross_entropy):
    """Every class's gradient of a layer's weight (K, …): a pass for each class, the others' outputs detached."""
    found = []
    for number in range(3):
        twin = copy.deepcopy(model)
        with nn.utils.parametrize.cached():
            z = twin(x)
            kept = F.one_hot(torch.tensor(number), 3).bool()
            value = loss(torch.where(kept, z, z.detach()), y)
            found.append(torch.autograd.grad(value, twin.get_submodule(layer).weight)[0])
    return torch.stack(found)


@pytest.mark.parametrize("name", MODELS)
def test_a_classs_gradient_is_that_of_the_loss_with_the_other_classes_outputs_held_fixed(name):
    model, x, y = made(name)
    table = ns.probes.class_gradients(model, x, y)
    for layer in table.loc[table["note"] == "", "layer"].unique():
        expected = by_hand(model, x, y, layer).flatten(1)
        rows = table[table["layer"] == layer]
        assert rows["class"].tolist() == [0, 1, 2]
        assert rows["count"].tolist() == [expected.shape[1]] * 3
        np.testing.assert_allclose(rows["mean_abs"], expected.abs().mean(1), rtol=1e-9)
        np.testing.assert_allclose(rows["max_abs"], expected.abs().amax(1), rtol=1e-9)
        np.testing.assert_allclose(rows["norm"], expected.norm(dim=1), rtol=1e-9)
        np.testing.assert_allclose(rows["mean"], expected.mean(1), atol=1e-12)
        assert (rows["nonfinite"] == 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_the_classes_gradients_add_up_to_the_plain_gradient(name):
    model, x, y = made(name)
    table = ns.probes.class_gradients(model, x, y, values=True)
    for layer, rows in table[table["note"] == ""].groupby("layer"):
        twin = copy.deepcopy(model)
        with nn.utils.parametrize.cached():
            loss = F.cross_entropy(twin(x), y)
            expected = torch.autograd.grad(loss, twin.get_submodule(layer).weight)[0]
        found = rows.groupby("index")["gradient"].sum()
        np.testing.assert_allclose(found, expected.flatten(), atol=1e-12)


def test_values_are_in_the_order_of_the_flattened_weight():
    model, x, y = made("2-D")
    table = ns.probes.class_gradients(model, x, y, layers="0", values=True)
    assert list(table.columns) == ["layer", "kind", "class", "index", "gradient", "note"]
    expected = by_hand(model, x, y, "0").flatten()
    np.testing.assert_allclose(table["gradient"], expected, rtol=1e-9)
    assert table["index"].tolist() == [*range(36)] * 3
    assert set(table["kind"]) == {"conv2d"}


def test_named_layers_and_classes_come_in_the_order_in_which_they_are_named():
    model, x, y = made("a layer called twice")
    table = ns.probes.class_gradients(model, x, y, layers=["head", "layer"], classes=[2, 0])
    assert table[["layer", "class"]].to_numpy().tolist() == [
        ["head", 2],
        ["head", 0],
        ["layer", 2],
        ["layer", 0],
    ]
    every = ns.probes.class_gradients(model, x, y).set_index(["layer", "class"])
    for (layer, number), row in table.set_index(["layer", "class"]).iterrows():
        assert row["mean_abs"] == every.loc[(layer, number), "mean_abs"]


def test_a_class_of_a_linear_layer_at_the_output_has_its_own_row_of_the_weight_alone():
    """The closed form of logits Wx: the gradient of row k is Σ_b (softmax(z_b)_k − [y_b = k]) x_b / B."""
    model, x, y = nn.Linear(4, 3).double(), batch(6, 4).double(), labels(6, classes=3)
    values = (
        ns.probes.class_gradients(nn.Sequential(model), x, y, values=True)["gradient"]
        .to_numpy()
        .reshape(3, 3, 4)
    )
    expected = (model(x).detach().softmax(1) - F.one_hot(y, 3)).T @ x / 6
    for number in range(3):
        np.testing.assert_allclose(values[number, number], expected[number], atol=1e-12)
        assert (np.delete(values[number], number, 0) == 0).all()


def test_layers_without_a_gradient_say_why():
    model, x, y = made("a layer called twice")
    model.layer.weight.requires_grad_(False)
    table = ns.probes.class_gradients(model, x, y, classes=[1])
    notes = table.set_index("layer")["note"].to_dict()
    assert notes["head"] == ""
    assert "frozen" in notes["layer"]
    assert "does not depend" in notes["unused"]
    assert table.set_index("layer").loc[["layer", "unused"], ["mean_abs", "norm"]].isna().all(axis=None)
    values = ns.probes.class_gradients(model, x, y, classes=[1], layers=["unused", "head"], values=True)
    assert values["gradient"].isna().tolist() == [True] + [False] * 12


def test_what_is_not_finite_is_counted_and_flows_through():
    model, x, y = made("positions")
    x[0, 0, 0] = math.nan
    table = ns.probes.class_gradients(model, x, y)
    assert (table["nonfinite"] > 0).all()
    assert table["mean_abs"].isna().all()


def test_any_form_of_the_input_a_compiled_model_and_float32_are_the_same_to_it():
    model, x, y = made("2-D")
    model, x = model.float(), x.float()
    expected = ns.probes.class_gradients(model, x, y)
    for other in (model, torch.compile(model, backend="eager")):
        pd.testing.assert_frame_equal(ns.probes.class_gradients(other, (x,), y), expected)
    pd.testing.assert_frame_equal(ns.probes.class_gradients(model, {"input": x}, y), expected)


def test_a_single_output_for_each_image_is_class_0():
    class Single(nn.Linear):
        def forward(self, x):
            return super().forward(x)[:, 0]

    layer, x, y = Single(3, 1), batch(5, 3), batch(5)
    table = ns.probes.class_gradients(nn.Sequential(layer), x, y, loss=F.mse_loss, values=True)
    expected = torch.autograd.grad(F.mse_loss(layer(x), y), layer.weight)[0]
    np.testing.assert_allclose(table["gradient"], expected[0], rtol=1e-6)


def test_the_classes_may_be_in_the_last_dimension():
    model, x, y = nn.Linear(4, 3), batch(2, 5, 4), labels(2, 5, classes=3)
    loss = lambda z, t: F.cross_entropy(z.flatten(0, 1), t.flatten())  # noqa: E731
    found = ns.probes.class_gradients(nn.Sequential(model), x, y, loss=loss, class_dim=-1)
    flat = ns.probes.class_gradients(nn.Sequential(model), x.flatten(0, 1), y.flatten())
    np.testing.assert_allclose(found["mean_abs"], flat["mean_abs"], rtol=1e-6)


def test_what_cannot_be_measured_is_refused():
    model, x, y = made("batch norm")
    with pytest.raises(UnknownNameError, match="layer 'nosuch'"):
        ns.probes.class_gradients(model, x, y, layers=["nosuch"])
    with pytest.raises(InputError, match="'1' is a BatchNorm2d"):
        ns.probes.class_gradients(model, x, y, layers=["1"])
    for wrong in (3, -1, True, 0.0):
        with pytest.raises(InputError, match="classes must be numbers from 0 to 2"):
            ns.probes.class_gradients(model, x, y, classes=[wrong])
    with pytest.raises(InputError, match="depends on 0 tensors"):
        ns.probes.class_gradients(copy.deepcopy(model).requires_grad_(False), x, y)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_generators_are_left_as_they_were(fails):
    model, x, y = made("batch norm")
    model.insert(0, nn.Dropout(0.5))
    model[1].weight.grad = torch.ones_like(model[1].weight)
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(4)
    drawn = torch.rand(3)
    torch.manual_seed(4)
    if fails:
        with pytest.raises(InputError):
            ns.probes.class_gradients(model, x, y, classes=[9])
    else:
        ns.probes.class_gradients(model, x, y)
    assert torch.equal(torch.rand(3), drawn)
    assert model.training
    assert [name for name, one in model.named_parameters() if one.grad is not None] == ["1.weight"]
    assert (model[1].weight.grad == 1).all()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
