"""Weights that a model uses without calling a layer are measured as the layer that a module would be."""

from __future__ import annotations

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameter(*shape, seed=2):
    return nn.Parameter(batch(*shape, seed=seed))


def linear(weight, bias=None):
    """A linear layer with this weight (out, in)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


class Functional(nn.Module):
    """Holds a weight and a bias, and calls a function of itself and the input."""

    def __init__(self, forward, weight, bias=None):
        super().__init__()
        self.weight = weight
        self.bias = bias
        self.forward_of = forward

    def forward(self, x):
        return self.forward_of(self, x)


def convolution(layer, function, **arguments):
    """A functional convolution and the module that it equals."""
    return Functional(
        lambda m, x: function(x, m.weight, m.bias, **arguments), layer.weight, layer.bias
    ), layer


def add_later(output, bias, x):
    x.exp()
    return output + bias


W, B = parameter(5, 4), parameter(5)
CASES = {
    "F.linear": (Functional(lambda m, x: F.linear(x, m.weight, m.bias), W, B), linear(W, B), (7, 3, 4)),
    "a strided input": (
        Functional(lambda m, x: F.linear(x.transpose(0, 1), m.weight, m.bias).transpose(0, 1), W, B),
        linear(W, B),
        (7, 3, 4),
    ),
    "a product from the left": (
        Functional(lambda m, x: (m.weight @ x.mT).mT, W),
        linear(W),
        (7, 3, 4),
    ),
    "x @ weight": (Functional(lambda m, x: x @ m.weight.t(), W), linear(W), (7, 4)),
    "a bias from the left": (Functional(lambda m, x: m.bias + x @ m.weight.t(), W, B), linear(W, B), (7, 3, 4)),
    "outputs in several dimensions": (
        Functional(lambda m, x: F.linear(x, m.weight).view(7, 3, 5, 1).mean(-1), W), linear(W), (7, 3, 4),
    ),
    "another operation in between": (
        Functional(lambda m, x: add_later(x @ m.weight.t(), m.bias, x), W, B), linear(W, B), (7, 3, 4),
    ),
    "einsum": (Functional(lambda m, x: torch.einsum("btk,ok->bto", x, m.weight), W), linear(W), (7, 3, 4)),
    "a vector": (
        Functional(lambda m, x: (x @ m.weight + m.bias)[:, None], parameter(4), parameter(1)),
        linear(parameter(4)[None], parameter(1)),
        (7, 4),
    ),
    "a scaled weight": (
        Functional(lambda m, x: F.linear(x, m.weight * 0.5, m.bias), W, B),
        linear(W * 0.5, B),
        (7, 4),
    ),
    "a standardized weight": (
        Functional(lambda m, x: F.linear(x, m.weight - m.weight.mean(1, keepdim=True)), W),
        linear(W - W.mean(1, keepdim=True)),
        (7, 4),
    ),
    "conv1d": (*convolution(nn.Conv1d(4, 3, 2, stride=2), F.conv1d, stride=2), (6, 4, 9)),
    "conv2d": (
        *convolution(nn.Conv2d(4, 6, 3, padding=1, groups=2), F.conv2d, padding=1, groups=2),
        (6, 4, 7, 6),
    ),
    "conv2d, same": (*convolution(nn.Conv2d(4, 6, 3, padding="same"), F.conv2d, padding="same"), (6, 4, 7, 6)),
    "conv_transpose2d": (
        *convolution(
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
            F.conv_transpose2d, stride=2, padding=1, output_padding=1, groups=2,
        ),
        (6, 4, 5, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("extremes", [False, True])
@pytest.mark.parametrize(("model", "layer", "shape"), CASES.values(), ids=CASES)
def test_a_weight_used_functionally_is_measured_as_the_module_would_be(model, layer, shape, extremes):
    x = batch(*shape)
    torch.testing.assert_close(model(x), layer(x))
    for groups in (False, True):
        found, wanted = (ns.probes.spectrum(m, x, extremes=extremes, groups=groups) for m in (model, layer))
        assert_frame_equal(found, wanted, rtol=1e-9)
    found, wanted = (ns.probes.moments(m, x) for m in (model, layer))
    assert_frame_equal(found, wanted, rtol=1e-5)


class Attention(nn.Module):
    """What ``nn.MultiheadAttention`` computes for self attention, with modules for its two projections."""

    def __init__(self, attention):
        super().__init__()
        self.heads = attention.num_heads
        self.in_proj = linear(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = linear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(self, x):
        parts = self.in_proj(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("read", [ns.probes.spectrum, ns.probes.moments])
def test_the_projections_of_attention_are_measured_as_modules_would_be(read, bias):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True, bias=bias)
    if bias:
        nn.init.normal_(attention.in_proj_bias)
    by_hand, x = Attention(attention), batch(40, 5, 8)
    torch.testing.assert_close(attention(x, x, x)[0], by_hand(x))
    found, wanted = read(attention, (x, x, x)), read(by_hand, x)
    assert list(dict.fromkeys(found.layer)) == ["in_proj", "out_proj"]
    assert_frame_equal(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_every_layer_of_a_transformers_encoder_is_measured_in_both_modes(training):
    """In evaluation mode, torch would compute the whole block in one kernel that calls none of its layers."""
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True).train(training)
    model, x = nn.TransformerEncoder(block, 2).train(training), batch(30, 5, 8)
    fused = torch.backends.mha.get_fastpath_enabled()
    rows = ns.probes.spectrum(model, x)
    assert torch.backends.mha.get_fastpath_enabled() is fused
    names = ("self_attn.in_proj", "self_attn.out_proj", "linear1", "linear2")
    assert list(rows.layer) == [f"layers.{i}.{name}" for i in range(2) for name in names]
    assert (rows.lambda_max > 0).all()
    norms = dict.fromkeys(ns.probes.moments(model, x).layer)
    assert {"layers.0.norm1", "layers.1.norm2"} <= norms.keys()


def test_the_projections_of_cross_attention_are_groups_of_one_layer():
    """The query's projection reads the target, that of key and value reads the memory."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    target, memory = batch(40, 3, 8), batch(40, 5, 8, seed=3)
    rows = ns.probes.spectrum(attention, (target, memory, memory), groups=True)
    found = rows[rows.layer == "in_proj"]
    wanted = [ns.probes.spectrum(nn.Linear(8, 8), x).iloc[0] for x in (target, memory)]
    assert found.lambda_max.tolist() == pytest.approx([row.lambda_max for row in wanted], rel=1e-9)
    assert found.positions.tolist() == [3, 5]
    one = ns.probes.spectrum(attention, (target, memory, memory)).iloc[0]
    assert (one.groups, one.samples) == (2, 120)
    assert one.lambda_max == found.lambda_max.max()


def test_a_learned_query_is_the_input_of_its_projection_and_not_the_weight_of_a_layer():
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = parameter(1, 4, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            return self.attention(self.query.expand(len(x), -1, -1), x, x)[0]

    model, x = Pool(), batch(40, 5, 8)
    rows = ns.probes.spectrum(model, x, groups=True)
    assert list(rows.layer) == ["attention.in_proj"] * 2 + ["attention.out_proj"]
    query = ns.probes.spectrum(nn.Linear(8, 8), model.query.detach())
    assert rows.lambda_max[0] == pytest.approx(query.lambda_max[0], rel=1e-6)


def test_a_layer_whose_weight_is_used_without_calling_it_did_run():
    model, x = nn.Module(), batch(30, 4)
    model.fc = nn.Linear(4, 3)
    model.forward = lambda x: F.linear(x, model.fc.weight, model.fc.bias)
    assert_frame_equal(
        ns.probes.spectrum(model, x),
        ns.probes.spectrum(nn.ModuleDict({"fc": model.fc})["fc"], x).assign(layer="fc"),
    )
    assert ns.probes.moments(model, x)["count"].tolist() == [30] * 3


@pytest.mark.parametrize("by", ["loop", "bmm", "matmul", "broadcast", "einsum"])
def test_stacked_weights_are_groups_of_one_layer(by):
    """Experts: each weight of the stack reads inputs of its own."""
    stack, x = parameter(3, 4, 5), batch(20, 3, 6, 4)  # 20 examples of 6 vectors for each of 3 experts
    forwards = {
        "loop": lambda m, x: [x[:, e] @ m.weight[e] for e in (1, 2, 0)],
        "bmm": lambda m, x: torch.bmm(x.transpose(0, 1).reshape(3, 120, 4), m.weight),
        "matmul": lambda m, x: x @ m.weight,
        "broadcast": lambda m, x: x.transpose(0, 1) @ m.weight[:, None],
        "einsum": lambda m, x: torch.einsum("betk,eko->beto", x, m.weight),
    }
    model = Functional(forwards[by], stack)
    rows = ns.probes.spectrum(model, x, groups=True)
    wanted = [ns.probes.spectrum(nn.Linear(4, 5), x[:, e]) for e in range(3)]
    assert rows.lambda_max.tolist() == pytest.approx([one.lambda_max[0] for one in wanted], rel=1e-9)
    assert (rows.samples == 120).all()
    assert (rows.positions == 6).all()
    one = ns.probes.spectrum(model, x).iloc[0]
    assert (one.groups, one.condition) == (3, rows.condition.max())
    means = torch.cat([(x[:, e] @ stack[e]).flatten(0, 1).mean(0) for e in range(3)])
    found = ns.probes.moments(model, x)["mean"].to_numpy()
    assert found == pytest.approx(means.detach().numpy(), abs=1e-6)


def test_the_experts_of_a_mixture_are_groups_of_one_layer():
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=12, num_local_experts=3, num_experts_per_tok=3,
    )  # fmt: skip
    model = MixtralForCausalLM(config).eval()
    rows = ns.probes.spectrum(model, {"input_ids": torch.arange(40).view(4, 10)}).set_index("layer")
    experts, gate = (rows.loc[f"model.layers.0.mlp.{name}"] for name in ("experts.gate_up_proj", "gate"))
    assert (experts.groups, experts.samples) == (3, 40)  # every token asks all experts
    for column in ("lambda_min", "lambda_max", "power"):
        assert experts[column] == pytest.approx(gate[column], rel=1e-5)


def test_the_linear_layer_of_gpt2_is_measured_as_a_linear_layer():
    from transformers.pytorch_utils import Conv1D

    layer, x = Conv1D(5, 4), batch(30, 3, 4)
    by_hand = linear(layer.weight.t(), layer.bias)
    assert_frame_equal(ns.probes.spectrum(layer, x), ns.probes.spectrum(by_hand, x))
    assert_frame_equal(
        ns.probes.moments(layer, x).drop(columns="kind"),
        ns.probes.moments(by_hand, x).drop(columns="kind"),
        rtol=1e-5,
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, lambda m: torch.jit.trace(m, batch(20, 4))])
def test_a_scripted_model_is_measured_like_the_original(compiled):
    model, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), batch(20, 4)
    assert_frame_equal(ns.probes.spectrum(compiled(model), x), ns.probes.spectrum(model, x))


def test_computing_a_weight_is_not_a_layer():
    """A spectral norm multiplies the weight by vectors, an orthogonal weight is a product of matrices."""
    parametrizations = nn.utils.parametrizations
    model = nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(4, 4)),
        nn.utils.spectral_norm(nn.Linear(4, 4)),
        parametrizations.orthogonal(nn.Linear(4, 4)),
        parametrizations.weight_norm(nn.Linear(4, 4)),
        Functional(
            lambda m, x: F.linear(x, m.weight / (m.weight @ m.bias).norm()), parameter(4, 4), parameter(4)
        ),
        Functional(
            lambda m, x: F.linear(x, 1.5 * m.weight - 0.5 * m.weight @ m.weight.t() @ m.weight),
            parameter(4, 4),
        ),
    )
    rows = ns.probes.spectrum(model, batch(30, 4))
    assert list(rows.layer) == list("012345")
    assert (rows.samples == 30).all()


def test_products_of_data_and_sums_with_parameters_are_no_layers():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = parameter(1, 3, 4)
            self.embedding = nn.Embedding(9, 4)
            self.register_buffer("frequencies", batch(4, 4))

        def forward(self, ids):
            x = self.embedding(ids) + self.positions
            return (x @ self.frequencies) @ x.mT

    assert ns.probes.spectrum(Embedded(), torch.arange(6).view(2, 3)).empty


def test_a_tied_embedding_used_as_output_layer_is_measured():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(9, 4)

        def forward(self, ids):
            return F.linear(self.embedding(ids), self.embedding.weight)

    model, ids = Tied(), torch.arange(9).view(3, 3)
    (row,) = ns.probes.spectrum(model, ids).to_dict("records")
    wanted = ns.probes.spectrum(nn.Linear(4, 9), model.embedding.weight.detach()[ids]).iloc[0]
    assert (row["layer"], row["positions"]) == ("embedding", 3)
    assert row["lambda_max"] == pytest.approx(wanted.lambda_max, rel=1e-9)


def test_a_weight_in_an_operation_that_is_not_read_is_named():
    model = nn.Bilinear(4, 3, 2)
    for read in (ns.probes.spectrum, ns.probes.moments):
        (note,) = read(model, (batch(20, 4), batch(20, 3))).note
        assert note == "its weights are used in aten._trilinear, an operation that is not read"


def test_a_layer_that_is_not_a_module_is_chosen_by_its_name():
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    x = batch(30, 5, 8)
    for read in (ns.probes.spectrum, ns.probes.moments):
        assert list(dict.fromkeys(read(block, x, layers=["linear1", "self_attn.in_proj"]).layer)) == [
            "linear1",
            "self_attn.in_proj",
        ]
        with pytest.raises(UnknownNameError, match=r"did you mean self_attn\.in_proj"):
            read(block, x, layers=["self_attn.inproj"])
    with pytest.raises(InputError, match="'self_attn' is a MultiheadAttention, not a convolution"):
        ns.probes.spectrum(block, x, layers=["self_attn"])


def test_under_autocast_the_weight_is_still_known():
    model, x = Functional(lambda m, x: F.linear(x, m.weight, m.bias), W, B), batch(30, 4)
    with torch.autocast("cpu", torch.bfloat16):
        rows = ns.probes.spectrum(model, x)
    assert rows.lambda_max[0] == pytest.approx(ns.probes.spectrum(linear(W, B), x).lambda_max[0], rel=1e-2)


@pytest.mark.parametrize("inside", [False, True])
def test_a_weight_and_an_input_made_in_inference_mode_are_still_known(inside):
    """``F.linear`` of these is one operation, not the product that it is otherwise."""
    with torch.inference_mode():
        weight, bias, x = W + 0, B + 0, batch(30, 4)
        model = Functional(
            lambda m, x: F.linear(x, m.weight, m.bias), nn.Parameter(weight), nn.Parameter(bias)
        )
    for read in (ns.probes.spectrum, ns.probes.moments):
        with torch.inference_mode(inside):
            rows = read(model, x)
        assert_frame_equal(rows, read(linear(W, B), batch(30, 4)))


def test_a_layer_that_fails_inside_the_model_is_no_longer_being_called():
    class Trying(Functional):
        def __init__(self):
            super().__init__(lambda m, x: F.linear(x, m.weight, m.bias), W, B)
            self.other = nn.Linear(9, 9)

        def forward(self, x):
            with pytest.raises(RuntimeError):
                self.other(x)
            return super().forward(x)

    found = ns.probes.moments(Trying(), batch(7, 4))
    assert_frame_equal(found[found["count"] > 0], ns.probes.moments(linear(W, B), batch(7, 4)))
