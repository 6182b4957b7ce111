"""The graph of a model's calls: the same with and without an input, and what is known beyond the calls."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from wired import Wired

import normscope as ns
from normscope.forward_pass import run
from normscope.surgery import changes
from normscope.surgery.tracing import (
    graph_of,
    guessed_input,
    observed_graph,
    recording,
    symbolic_graph,
)

IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))


class Sound(nn.Module):
    """Adds the channel itself, as models of sound do."""

    main_input_name = "input_values"

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 400)

    def forward(self, input_values):
        return self.conv(input_values[:, None])


class Translator(nn.Module):
    """Takes ids by name, of two languages, as transformers' encoder-decoders do."""

    main_input_name = "input_ids"

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(11, 8)
        self.fc = nn.Linear(8, 11)

    def forward(self, attention_mask=None, input_ids=None, decoder_input_ids=None):
        return self.fc(self.shared(input_ids) + self.shared(decoder_input_ids))


def encoder(**options):
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, **options)


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (nn.Sequential(nn.Linear(8, 8), encoder(batch_first=True), nn.Linear(8, 3)), TOKENS),
        (encoder(norm_first=True), TOKENS),
        (nn.TransformerEncoder(encoder(), 2, enable_nested_tensor=False), TOKENS),
        (nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (TOKENS, TOKENS)),
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.Flatten(), nn.LazyLinear(2)), IMAGES.flatten(2)),
    ],
    ids=["in a row", "layer", "encoder", "encoder and decoder", "convolution"],
)
@pytest.mark.filterwarnings("ignore:insert_norms left as it is:normscope.errors.NormscopeWarning")
def test_norms_are_inserted_at_the_same_layers_with_and_without_an_input(model, x):
    run(model.eval(), x)  # makes the lazy layer
    names = [
        {change.other for change in changes(ns.insert_norms(model, "batch", x=given)) if change.other}
        for given in (None, x)
    ]
    assert names[0] == names[1]
    assert names[0]


def test_the_guess_is_what_the_first_layer_takes():
    def shape(model):
        x = guessed_input(model)
        if isinstance(x, dict):
            return {name: tuple(tensor.shape) for name, tensor in x.items()}
        return [tuple(tensor.shape) for tensor in x] if isinstance(x, tuple) else tuple(x.shape)

    assert shape(nn.Linear(8, 3)) == (2, 8)
    assert shape(nn.Sequential(nn.Linear(8, 8), encoder())) == (2, 5, 8)
    assert shape(nn.MultiheadAttention(8, 2)) == [(2, 5, 8)] * 3
    assert shape(nn.LSTM(3, 4)) == (2, 5, 3)
    assert shape(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 2))) == (2, 3, 28, 28)
    assert shape(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))) == (2, 7)
    assert shape(Sound()) == {"input_values": (2, 1024)}
    assert shape(Translator()) == {"input_ids": (2, 7), "decoder_input_ids": (2, 7)}


def test_guessed_ids_are_below_the_number_of_embeddings():
    assert 0 <= guessed_input(nn.Embedding(3, 4)).min() <= guessed_input(nn.Embedding(3, 4)).max() < 3


def test_dimensions_of_a_guess_are_an_assumption_unless_a_convolution_comes_first():
    mlp = nn.Sequential(nn.Linear(8, 6), nn.ReLU())
    images = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert graph_of(mlp).assumed
    assert not graph_of(mlp, torch.randn(2, 8)).assumed
    assert not graph_of(images).assumed
    assert {2, 4} <= set(graph_of(images).dims.values())


@pytest.mark.parametrize("observed", [False, True])
def test_norms_by_functions_are_in_the_graph_with_their_place(observed):
    def forward(m, x):
        y = F.batch_norm(m.norm(m.conv(x)), None, None, training=True)
        return F.layer_norm(y, (4,))

    model = nn.Sequential(nn.Identity(), Wired(forward)).eval()
    graph = observed_graph(model, IMAGES) if observed else symbolic_graph(model)
    assert [str(place) for place in graph.functional_norms] == ["batch_norm in '1'", "layer_norm in '1'"]


def test_a_norm_inside_a_norm_module_is_not_one_by_a_function():
    assert not observed_graph(nn.Sequential(nn.BatchNorm2d(3), nn.InstanceNorm2d(3)), IMAGES).functional_norms


def test_a_run_switches_the_fast_paths_off_and_back_on():
    assert torch.backends.mha.get_fastpath_enabled()
    model, x = encoder(batch_first=True).eval(), TOKENS
    called = []

    def stop(m, x):
        assert not torch.backends.mha.get_fastpath_enabled()
        raise ValueError("stop")

    model.linear1.forward = lambda x: called.append(1) or nn.Linear.forward(model.linear1, x)
    run(model, x)
    assert called
    with pytest.raises(ValueError, match="stop"):
        run(Wired(stop), x)
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_work_of_the_record_grows_with_the_calls_and_not_with_their_square(monkeypatch):
    looked_at = []
    monkeypatch.setattr(recording, "_storage", lambda tensor: looked_at.append(1) or tensor.data_ptr())

    def work(depth):
        looked_at.clear()
        model = nn.Sequential(*[nn.Sequential(nn.Conv1d(3, 3, 1), nn.BatchNorm1d(3)) for _ in range(depth)])
        ns.equivalent_network(model, torch.randn(4, 3, 5))
        return len(looked_at)

    assert work(8) < 2.5 * work(4)
