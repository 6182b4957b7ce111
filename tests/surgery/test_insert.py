import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError, NormscopeWarning, UnknownNameError
from normscope.nn import module_kinds
from normscope.nn.module_kinds import core, norms
from normscope.surgery import ChannelsLast, NormedLayer, changes


def inserted(model):
    return [(c.name, c.norm, c.place, c.other) for c in changes(model) if c.action == "inserted"]


def test_every_layer_but_the_output_layer_gets_a_norm_of_its_width():
    model = ns.insert_norms(ns.networks.lenet("none"), "batch")
    assert inserted(model) == [
        ("conv1.norm", "BatchNorm of 6", "after", "conv1"),
        ("conv2.norm", "BatchNorm of 16", "after", "conv2"),
    ]
    assert str(changes(model)[0]) == "inserted conv1.norm (BatchNorm of 6) after conv1"
    assert isinstance(model.fc, nn.Linear)


def test_before_a_layer_the_norm_has_its_input_channels():
    model = ns.insert_norms(ns.networks.lenet("none"), "batch", place="before")
    assert inserted(model) == [
        ("conv1.norm", "BatchNorm of 1", "before", "conv1"),
        ("conv2.norm", "BatchNorm of 6", "before", "conv2"),
    ]


@pytest.mark.parametrize("place", ["after", "before"])
def test_inserting_gives_the_network_that_is_built_with_norms(place, output):
    torch.manual_seed(1)
    wanted = ns.networks.lenet("batch", place=place)
    torch.manual_seed(1)
    model = ns.insert_norms(ns.networks.lenet("none"), "batch", place=place)
    x = torch.randn(4, 1, 32, 32)
    torch.testing.assert_close(output(model, x), output(wanted, x))


def test_inserted_norms_run_in_any_model_and_the_output_layer_has_none(built, output):
    model, x = built
    for place in ("after", "before"):
        new = ns.insert_norms(ns.remove_norms(model), "batch", place=place)
        assert output(new.train(), x).isfinite().all()
        normed = {other for *_, other in inserted(new)}
        every = {name for name, m in model.named_modules() if isinstance(m, module_kinds.Layer)}
        (left,) = every - normed
        assert dict(new.named_modules())[left].out_features == output(model, x).shape[1]


def test_removing_what_was_inserted_gives_the_function_back(built, output):
    model, x = built
    bare = ns.remove_norms(model)
    torch.testing.assert_close(output(ns.remove_norms(ns.insert_norms(bare, "batch")), x), output(bare, x))


def test_a_linear_layer_on_sequences_gets_a_norm_of_its_last_dimension(output):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 7, 3)
    flat = output(ns.insert_norms(model, "batch"), x.flatten(0, 1))
    new = ns.insert_norms(model, "batch", x=x)
    assert isinstance(new[0].norm, ChannelsLast)
    torch.testing.assert_close(output(new, x), flat.view(5, 7, 2))


def test_the_wrapped_layer_still_answers_for_its_attributes():
    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2)
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.conv(x[:, :, :: self.conv.stride[0]]).mean((2, 3)))

    new = ns.insert_norms(Asks(), "batch")
    assert new(torch.randn(2, 3, 16, 16)).shape == (2, 2)
    assert new.conv.weight is new.conv.layer.weight
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'"):
        _ = new.conv.nothing


def test_a_shared_layer_gets_one_shared_norm():
    layer = nn.Linear(4, 4)
    new = ns.insert_norms(nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(4, 2)), "batch")
    assert new[0] is new[2]
    assert len(list(norms(new))) == 1


def test_layers_chooses_by_name_the_output_layer_too():
    new = ns.insert_norms(ns.networks.lenet("none"), "amplify(threshold=3)", layers=["conv2", "fc"])
    assert [name for name, *_ in inserted(new)] == ["conv2.norm", "fc.norm"]
    assert {core(norm).rule.below for _, norm in norms(new)} == {3.0}


def test_each_of_several_outputs_has_its_output_layer():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.mean, self.spread = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 1)

        def forward(self, x):
            x = torch.relu(self.body(x))
            return {"mean": self.mean(x), "spread": self.spread(x).exp()}

    assert [other for *_, other in inserted(ns.insert_norms(TwoHeads(), "batch"))] == ["body"]


def test_a_layer_that_the_model_does_not_call_gets_none():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.spare, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.last(self.first(x))

    assert [other for *_, other in inserted(ns.insert_norms(Spare(), "batch"))] == ["first"]


def test_type_and_mode_are_the_layers():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    model[0].eval()
    (wrapped, _) = ns.insert_norms(model, "batch")
    assert isinstance(wrapped, NormedLayer)
    assert wrapped.norm.weight.dtype == torch.float64
    assert not wrapped.norm.training


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"place": "top"}, UnknownNameError, "unknown place 'top'"),
        (
            {"layers": ["conv3"]},
            UnknownNameError,
            r"unknown convolution or linear layer 'conv3': did you mean",
        ),
        ({"layers": "conv1"}, InputError, r"a list of names such as \['conv1'\]"),
        ({"spec": "group(groups=5)"}, InputError, r"'conv1'.*cannot split 6 channels"),
        ({"spec": lambda C: C}, InputError, r"made a int"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, error, message):
    with pytest.raises(error, match=message):
        ns.insert_norms(**{"model": ns.networks.lenet("none"), "spec": "batch", **arguments})


class Embedded(nn.Module):
    """A position that is added, and a matrix that is multiplied by hand."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 2)
        self.positions = Positions()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.outer(self.attention(*(self.positions(self.inner(x)),) * 3)[0])


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.ones(5, 4))

    def forward(self, x):
        return x + self.position


def test_the_record_names_output_layers_and_the_weights_that_no_layer_multiplies():
    with pytest.warns(
        NormscopeWarning, match=r"'attention' \(MultiheadAttention: its weights are used without calling"
    ):
        new = ns.insert_norms(Embedded(), "batch", x=torch.randn(3, 5, 4))
    skipped = {change.name: change.reason for change in changes(new) if change.action == "skipped"}
    assert skipped == {
        "outer": "it makes an output of the model",
        "attention": "its weights are used without calling it",
        "attention.out_proj": "its weights are used without calling it",
    }
