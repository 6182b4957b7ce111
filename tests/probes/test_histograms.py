"""Histograms of layers' outputs against numpy, and the promises on edges, values that are not finite, and traces."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError

COLUMNS = [
    "layer", "kind", "channel", "left", "right", "count", "values", "below", "above", "positive", "negative", "mean",
    "std", "nonfinite", "note",
]  # fmt: skip
EDGES = [-3.0, -1.0, 0.0, 0.25, 2.0]


def batch(*shape, seed=1, scale=1.0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale + shift


def check(rows, output, edges, dim=1):
    """The rows of one layer against numpy, channel by channel."""
    values = np.moveaxis(output.detach().double().numpy(), dim, 0).reshape(output.shape[dim], -1)
    bins = len(edges) - 1
    assert rows["channel"].tolist() == [channel for channel in range(len(values)) for _ in range(bins)]
    for channel, ours in enumerate(values):
        found = rows[rows["channel"] == channel]
        assert found["count"].tolist() == np.histogram(ours, edges)[0].tolist()
        np.testing.assert_array_equal(found["left"], edges[:-1])
        np.testing.assert_array_equal(found["right"], edges[1:])
        expected = {
            "values": len(ours),
            "below": (ours < edges[0]).sum(),
            "above": (ours > edges[-1]).sum(),
            "positive": (ours > 0).mean(),
            "negative": (ours < 0).mean(),
            "mean": ours.mean(),
            "std": ours.std(),
            "nonfinite": 0,
        }
        for column, value in expected.items():
            np.testing.assert_allclose(found[column], [value] * bins, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("layer", "shape", "dim"),
    [
        (nn.Linear(3, 5), (7, 4, 3), 2),
        (nn.Conv1d(3, 5, 2, padding=1, padding_mode="reflect"), (4, 3, 9), 1),
        (nn.Conv2d(3, 6, 3, groups=3, stride=2, dilation=2), (4, 3, 9, 8), 1),
        (nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4), 1),
        (nn.ConvTranspose2d(3, 4, 3, stride=2), (2, 3, 5, 5), 1),
        (nn.BatchNorm2d(3), (9, 3, 4, 5), 1),
        (nn.LayerNorm(4), (3, 7, 4), 2),
    ],
    ids=str,
)
def test_every_channel_of_every_layer_has_its_histogram(layer, shape, dim):
    model, x = nn.Sequential(layer), batch(*shape, scale=2.0)
    rows = ns.probes.histograms(model, x, bins=EDGES)
    assert list(rows.columns) == COLUMNS
    assert set(rows["kind"]) == {type(layer).__name__.lower()}
    check(rows, copy.deepcopy(model)(x), EDGES, dim)


def test_a_number_of_bins_makes_equal_ones_over_each_layers_own_range():
    model, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3)), batch(4, 2, 8, 8)
    rows = ns.probes.histograms(model, x, bins=7)
    first = model[0](x)
    for name, output in (("0", first), ("2", model[2](torch.relu(first)))):
        values = output.detach().double().numpy()
        mine = rows[rows["layer"] == name]
        check(mine, output, np.linspace(values.min(), values.max(), 8))
        assert mine["count"].sum() == values.size


def test_values_on_an_edge_belong_to_the_bin_above_it_and_those_on_the_last_to_the_last_bin():
    x = torch.tensor([[-1.0], [-0.5], [0.0], [0.0], [1.0], [2.0], [2.5]])
    rows = ns.probes.histograms(nn.Sequential(nn.Identity()), x, layers=["0"], bins=[-0.5, 0, 1, 2])
    assert rows["count"].tolist() == [1, 2, 2]
    assert set(rows["below"]) == {1}
    assert set(rows["above"]) == {1}
    assert rows["positive"][0] == 3 / 7
    assert rows["negative"][0] == 2 / 7


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=30),
    edges=st.lists(st.integers(-20, 20), min_size=2, max_size=6, unique=True).map(sorted),
)
def test_every_finite_value_is_in_exactly_one_bin_or_outside(values, edges):
    x = torch.tensor(values)[:, None]
    rows = ns.probes.histograms(
        nn.Sequential(nn.Identity()), x, layers="0", bins=[edge / 4 for edge in edges]
    )
    assert rows["count"].sum() + rows["below"][0] + rows["above"][0] == len(values)


def test_values_that_are_not_finite_are_counted_are_in_no_bin_and_make_no_edge():
    x = torch.tensor([[1.0, 2.0], [math.nan, -2.0], [math.inf, 0.0], [-math.inf, 1.0]])
    rows = ns.probes.histograms(nn.Sequential(nn.Identity()), x, layers=["0"], bins=4)
    assert rows["left"].tolist() == [-2, -1, 0, 1] * 2
    first, second = (rows[rows["channel"] == channel] for channel in (0, 1))
    assert first["count"].tolist() == [0, 0, 0, 1]
    assert second["count"].tolist() == [1, 0, 1, 2]
    assert (set(first["nonfinite"]), set(second["nonfinite"])) == ({3}, {0})
    assert set(first["positive"]) == {0.5}
    assert first[["mean", "std"]].isna().all(axis=None)
    assert (first["below"] + first["above"] == 0).all()


@pytest.mark.parametrize(("value", "edges"), [(3.0, [2.5, 3.0, 3.5]), (math.nan, [0.0, 0.5, 1.0])])
def test_a_layer_of_a_single_value_or_of_none_has_bins_too(value, edges):
    rows = ns.probes.histograms(nn.Sequential(nn.Identity()), torch.full((4, 1), value), layers=["0"], bins=2)
    assert [*rows["left"], rows["right"].iloc[-1]] == edges
    assert rows["count"].sum() == (0 if math.isnan(value) else 4)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.unused = nn.Conv2d(2, 2, 3)

    def forward(self, x):
        return self.conv(self.conv(x))


def test_the_calls_of_a_shared_layer_are_taken_together_and_an_unused_one_says_so():
    model, x = Shared(), batch(4, 2, 6, 6)
    rows = ns.probes.histograms(model, x, bins=EDGES)
    once = model.conv(x)
    check(rows[rows["layer"] == "conv"], torch.cat([once, model.conv(once)]), EDGES)
    (row,) = rows[rows["layer"] == "unused"].to_dict("records")
    assert (row["count"], row["values"], row["note"]) == (0, 0, "the layer did not run")
    assert math.isnan(row["mean"])


class Functional(nn.Module):
    """Two linear layers in one parameter, used one after the other and without a module."""

    def __init__(self):
        super().__init__()
        self.in_proj_weight = nn.Parameter(batch(4, 3, seed=5))

    def forward(self, x):
        first, second = self.in_proj_weight.chunk(2)
        return F.linear(x, first) + F.linear(x, second)


def test_layers_that_are_no_modules_are_measured_part_by_part():
    model, x = Functional(), batch(6, 3)
    rows = ns.probes.histograms(model, x, bins=EDGES)
    assert set(rows["layer"]) == {"in_proj"}
    check(rows, F.linear(x, model.in_proj_weight), EDGES)


def test_many_values_are_binned_a_few_channels_at_a_time(monkeypatch):
    model, x = nn.Sequential(nn.Conv2d(2, 5, 3)), batch(4, 2, 9, 9)
    whole = ns.probes.histograms(model, x, bins=6)
    for block in (1, 2 * 4 * 7 * 7 + 1):
        monkeypatch.setattr("normscope.probes._histograms._BLOCK", block)
        pd.testing.assert_frame_equal(ns.probes.histograms(model, x, bins=6), whole)


def test_a_model_without_layers_gives_an_empty_table():
    rows = ns.probes.histograms(nn.Sequential(nn.ReLU()), batch(3, 2))
    assert list(rows.columns) == COLUMNS
    assert rows.empty


def test_any_form_of_the_input_and_a_compiled_model_are_the_same_to_it():
    model, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).eval(), batch(4, 2, 6, 6)
    expected = ns.probes.histograms(model, x)
    for other, given_x in ((model, (x,)), (model, {"input": x}), (torch.compile(model, backend="eager"), x)):
        pd.testing.assert_frame_equal(ns.probes.histograms(other, given_x), expected)


@pytest.mark.parametrize(
    "bins", [0, -1, True, 2.5, [], [1.0], [1, 1], [2, 1], [0, math.nan], [0, math.inf], "ab", [[0, 1]]]
)
def test_bins_that_are_none_are_refused(bins):
    with pytest.raises(InputError, match="bins must be"):
        ns.probes.histograms(nn.Linear(2, 2), batch(3, 2), bins=bins)


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(UnknownNameError, match="layer 'nosuch'"):
        ns.probes.histograms(nn.Sequential(nn.Linear(2, 2)), batch(3, 2), layers=["nosuch"])


@pytest.mark.parametrize("bins", [5, EDGES])
def test_the_model_and_the_generators_are_left_as_they_were(bins):
    model, x = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), batch(4, 2, 6, 6)
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(4)
    drawn = torch.rand(3)
    torch.manual_seed(4)
    rows = ns.probes.histograms(model, x, bins=bins)
    assert torch.equal(torch.rand(3), drawn)
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    if bins == 5:  # Both passes drew the same noise.
        assert rows[["below", "above"]].sum().tolist() == [0, 0]
