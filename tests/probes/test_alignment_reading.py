"""Alignment in any model: layers that run often, never or in other ways, memory, and the promise to leave no trace."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn
from torch.utils.checkpoint import checkpoint

import normscope as ns
from normscope.errors import InputError
from normscope.probes._alignment.call import Call
from normscope.probes._alignment.sums import layer_sums, weight_sums

SUMS = ["abs_terms", "abs_by_example", "abs_by_position", "abs_gradient"]


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def squares(output, y):
    return (output * batch(*output.shape, seed=7).to(output)).sum() + output.square().sum()


def read(model, x, **options):
    return ns.probes.gradient_alignment(model, x, None, loss=squares, **options)


class Calling(nn.Module):
    """Calls its layer as the function says."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, *args, **kwargs):
        return self.call(self.layer, *args, **kwargs)


def trained():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 5)
    )


def test_the_calls_of_a_layer_that_runs_twice_are_positions_of_the_same_examples():
    """A convolution called on two images one after another is one on the two side by side, if they do not touch."""
    layer = nn.Conv2d(2, 3, 3).double()
    first, second = batch(4, 2, 6, 5).double(), batch(4, 2, 6, 5, seed=2).double()
    weight = batch(4, 3, 4, 6, seed=3).double()

    def loss(output, y):
        return (output * weight).sum()

    twice = Calling(layer, lambda layer, a, b: torch.cat([layer(a), layer(b)], -1))
    apart = nn.Sequential(nn.Conv3d(2, 3, (1, 3, 3)).double())
    apart[0].load_state_dict({"weight": layer.weight[:, :, None], "bias": layer.bias})
    stacked = Calling(apart, lambda layer, x: torch.cat(layer(x).unbind(2), -1))
    for weights in (False, True):
        options = {"loss": loss, "weights": weights}
        found = ns.probes.gradient_alignment(twice, (first, second), None, **options)
        wanted = ns.probes.gradient_alignment(stacked, torch.stack([first, second], 2), None, **options)
        columns = [column for column in found if column not in ("layer", "kind")]
        assert_frame_equal(found[columns], wanted[columns])
    terms = ns.probes.gradient_terms(twice, (first, second), None, "layer", 5, loss)
    assert_frame_equal(
        terms, ns.probes.gradient_terms(stacked, torch.stack([first, second], 2), None, "layer.0", 5, loss)
    )


def test_calls_with_different_numbers_of_examples_are_not_added():
    model = Calling(nn.Linear(3, 2), lambda layer, x: torch.cat([layer(x), layer(x[:2])]))
    (row,) = read(model, batch(4, 3)).to_dict("records")
    assert row["note"] == "its calls have different numbers of examples"
    assert np.isnan(row["abs_terms"])


def test_a_call_that_the_loss_does_not_depend_on_is_left_out_and_noted():
    def once(layer, x):
        layer(x).sum()
        return layer(x)

    (row,) = read(Calling(nn.Linear(3, 2), once), batch(4, 3)).to_dict("records")
    (wanted,) = read(Calling(nn.Linear(3, 2), lambda layer, x: layer(x)), batch(4, 3)).to_dict("records")
    assert row["note"] == "1 of its 2 calls is left out: no gradient reaches its output"
    assert row["positions"] == wanted["positions"] == 1


class Partial(nn.Module):
    """One layer that is not used, one whose output is not, one whose output is cut off, and one that counts."""

    def __init__(self):
        super().__init__()
        self.never, self.unused, self.cut, self.used = (nn.Linear(3, 3) for _ in range(4))

    def forward(self, x):
        self.unused(x)
        return self.used(x) + self.cut(x).detach()


def test_layers_without_a_gradient_have_a_row_that_says_why():
    rows = read(Partial(), batch(4, 3)).set_index("layer")
    assert rows["note"].to_dict() == {
        "unused": "no gradient reaches its output",
        "used": "",
        "cut": "no gradient reaches its output",
        "never": "the layer did not run",
    }
    assert rows.loc["used", SUMS].notna().all()
    assert rows.drop("used")[SUMS].isna().all(axis=None)
    by_weight = read(Partial(), batch(4, 3), weights=True)
    assert by_weight.groupby("layer").size().to_dict() == {"cut": 1, "never": 1, "unused": 1, "used": 9}
    with pytest.raises(InputError, match="'cut' are unknown: no gradient reaches its output"):
        ns.probes.gradient_terms(Partial(), batch(4, 3), None, "cut", 0, squares)


def test_named_layers_come_in_the_order_of_their_names_with_the_numbers_of_all():
    model, x, y = trained().eval(), batch(6, 3, 8, 8), torch.arange(6) % 5
    every = ns.probes.gradient_alignment(model, x, y)
    assert list(every["layer"]) == ["0", "5"]
    found = ns.probes.gradient_alignment(model, x, y, layers=["5", "0"])
    assert_frame_equal(found, every[::-1].reset_index(drop=True))


def test_frozen_layers_are_measured_where_a_trained_one_lies_before_them():
    model, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), batch(6, 4)
    wanted = read(model, x, layers="2")
    model[2].requires_grad_(False)
    assert_frame_equal(read(model, x, layers="2"), wanted)
    model.requires_grad_(False)
    assert read(model, x)["note"].tolist() == ["no gradient reaches its output"] * 2


def test_inputs_may_be_tuples_mappings_and_outputs_anything_that_the_loss_takes():
    model = Calling(nn.Linear(4, 3), lambda layer, a, b: {"sum": layer(a) + b})
    a, b = batch(6, 4), batch(6, 3)

    def loss(output, y):
        return squares(output["sum"], y)

    found = [ns.probes.gradient_alignment(model, x, None, loss=loss) for x in ((a, b), {"a": a, "b": b})]
    assert_frame_equal(*found)
    assert found[0]["abs_terms"].item() > 0


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda: batch(4, 3).to_sparse(), "nested, sparse or quantized"),
        (lambda: torch.zeros(0, 3), "the batch is empty"),
    ],
)
def test_what_cannot_be_read_has_a_note(value, why):
    layer = nn.Linear(3, 2)
    loss = lambda output, y: output.abs().sum()  # noqa: E731
    (row,) = ns.probes.gradient_alignment(layer, value(), None, loss=loss).to_dict("records")
    assert why in row["note"]


class Cropped(nn.Conv2d):
    def forward(self, x):
        return super().forward(x)[..., 1:]


def test_a_layer_whose_output_is_not_that_of_its_class_has_a_note():
    (row,) = read(Cropped(2, 3, 3), batch(4, 2, 6, 6)).to_dict("records")
    assert row["note"] == "the output has the shape (4, 3, 4, 3), not (4, 3, 4, 4) as that of a Conv2d"


def test_attention_that_takes_the_sequence_first_has_its_examples_in_dimension_1():
    class Attending(nn.Module):
        def __init__(self, batch_first):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=batch_first)

        def forward(self, x):
            return self.layer(x)

    first, last = Attending(True).double(), Attending(False).double()
    last.load_state_dict(first.state_dict())
    x = batch(5, 3, 4).double()
    options = {
        "layers": ["layer.linear1", "layer.linear2"],
        "loss": lambda output, y: output[..., 0].square().sum(),
    }
    found = ns.probes.gradient_alignment(last, x.transpose(0, 1), None, **options)
    assert_frame_equal(found, ns.probes.gradient_alignment(first, x, None, **options))
    assert found[["examples", "positions"]].to_numpy().tolist() == [[5, 3]] * 2


def test_compiled_and_checkpointed_models_are_measured_as_plain_ones():
    model, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3)), batch(4, 2, 7, 7)
    wanted = read(model, x)
    assert_frame_equal(read(torch.compile(model, backend="eager"), x), wanted)
    saving = Calling(model, lambda layer, x: checkpoint(layer, x, use_reentrant=False))
    found = read(saving, x)
    assert_frame_equal(found.drop(columns="layer"), wanted.drop(columns="layer"))


def test_products_are_not_taken_in_the_type_of_autocast():
    """Its type is that of the activations; 2⁻⁹ is bfloat16's rounding."""
    model, x = nn.Linear(64, 3), torch.full((8, 64), 1 + 2**-9)
    loss = lambda output, y: output.float().sum()  # noqa: E731
    with torch.autocast("cpu"):
        (row,) = ns.probes.gradient_alignment(model, x, None, loss=loss).to_dict("records")
    assert row["abs_terms"] == 1 + 2**-9


def test_the_model_and_every_generator_are_afterwards_as_before():
    model, x, y = trained(), batch(6, 3, 8, 8), torch.arange(6) % 5
    model[5].weight.grad = torch.ones_like(model[5].weight)
    before, modes = copy.deepcopy(model.state_dict()), [one.training for one in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    rows = ns.probes.gradient_alignment(model, x, y)
    again = ns.probes.gradient_alignment(model, x, y, weights=True)
    ns.probes.gradient_terms(model, x, y, "0", (0, 1, 2, 2))
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert [one.training for one in model.modules()] == modes
    assert torch.equal(model[5].weight.grad, torch.ones_like(model[5].weight))
    assert [one.grad for one in model.parameters()].count(None) == 5
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]  # noqa: NPY002
    np.testing.assert_allclose(rows["abs_gradient"], again.groupby("layer")["abs_gradient"].mean(), rtol=1e-5)


def peak(action):
    """The largest number of bytes that PyTorch's allocator held more than before during an action."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        action()
    events = [one for one in profile.profiler.kineto_results.events() if one.name() == "[memory]"]
    held, most = 0, 0
    for event in sorted(events, key=lambda one: one.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 64), (64, 16), (32, 32)])
def test_the_extra_memory_is_at_most_four_times_the_layers_activations(inputs, outputs, layout):
    """The terms written out would be more than a hundred times the activations."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    x, gradient = (batch(32, channels, 16, 16).to(memory_format=layout) for channels in (inputs, outputs))
    activations = 4 * (x.numel() + gradient.numel())
    assert 4 * gradient.numel() * layer.weight[0].numel() > 100 * activations
    for sums in (layer_sums, weight_sums):
        extra = peak(lambda sums=sums: sums([Call.of(layer, x, gradient, False)]))
        assert 0 < extra < 4 * activations


def test_the_instrument_needs_no_more_than_a_backward_pass_and_four_times_the_activations():
    layer, x = nn.Conv2d(16, 64, 3, padding=1), batch(32, 16, 16, 16)
    activations = 4 * (x.numel() + 64 * x.numel() // 16)
    loss = lambda output, y: output.sum()  # noqa: E731
    backward = peak(lambda: torch.autograd.grad(loss(layer(x), None), list(layer.parameters())))
    for weights in (False, True):
        extra = peak(lambda w=weights: ns.probes.gradient_alignment(layer, x, None, loss=loss, weights=w))
        assert extra - backward < 4 * activations
