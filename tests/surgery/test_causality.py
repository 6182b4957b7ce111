"""Which norms let a token see its successors: none in a causal model may, unless its page says so."""

import warnings

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import NormscopeWarning
from normscope.nn.specs import ARGUMENTS

TOKEN_BY_TOKEN = {"none", "layer", "group", "rms", "dyt"}
OVER_TOKENS = {"instance", "frn"}
BY_STATISTICS = set(ARGUMENTS) - TOKEN_BY_TOKEN - OVER_TOKENS

IDS = torch.randint(0, 64, (2, 7), generator=torch.Generator().manual_seed(0))


class Causal(nn.Module):
    """The framework's encoder with a causal mask."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(64, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16))
        self.head = nn.Linear(16, 64)

    def forward(self, ids):
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.head(self.encoder(self.embedding(ids), mask=mask.to(self.head.weight), is_causal=True))


def _transformers(family: str, **config: object) -> nn.Module:
    transformers = pytest.importorskip(
        "transformers", reason="transformers, of the test extra, is not installed"
    )
    made = getattr(transformers, f"{family}Config")(vocab_size=64, **config)
    return getattr(transformers, {"GPT2": "GPT2LMHeadModel", "Llama": "LlamaForCausalLM"}[family])(made)


MODELS = {
    "encoder": Causal,
    "GPT-2": lambda: _transformers(
        "GPT2",
        n_positions=16,
        n_embd=16,
        n_layer=2,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    ),
    "Llama": lambda: _transformers(
        "Llama", hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    ),
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def _effect_of_the_last_token(model: nn.Module) -> float:
    """The largest change of the logits of earlier tokens when the last token changes."""
    other = IDS.clone()
    other[:, -1] = (other[:, -1] + 1) % 64

    def logits(ids):
        torch.manual_seed(0)
        output = model(ids)
        return getattr(output, "logits", output)[:, :-1]

    with torch.no_grad():
        return float((logits(IDS) - logits(other)).abs().max())


def _built(make, spec: str) -> nn.Module:
    torch.manual_seed(0)
    return ns.replace_norms(make().double(), spec)


@each_model
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("spec", sorted(TOKEN_BY_TOKEN))
def test_a_norm_of_each_token_is_causal_in_both_modes(make, spec, training):
    assert _effect_of_the_last_token(_built(make, spec).train(training)) < 1e-12


@each_model
@pytest.mark.parametrize("spec", sorted(BY_STATISTICS))
def test_a_norm_by_running_statistics_is_causal_in_evaluation_mode(make, spec):
    assert _effect_of_the_last_token(_built(make, spec).eval()) < 1e-12


@each_model
def test_a_batch_norm_is_not_causal_in_training_mode(make):
    assert _effect_of_the_last_token(_built(make, "batch").train()) > 1e-6


@pytest.mark.parametrize("spec", sorted(OVER_TOKENS))
def test_a_norm_over_the_tokens_of_a_sample_is_not_causal(spec):
    assert _effect_of_the_last_token(_built(Causal, spec).eval()) > 1e-6


@each_model
def test_without_norms_and_with_inserted_ones_a_causal_model_stays_causal(make):
    torch.manual_seed(0)
    model = make().double()
    bare = ns.remove_norms(model)
    assert _effect_of_the_last_token(bare) < 1e-12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NormscopeWarning)  # attention uses its projection without calling it
        normed = ns.insert_norms(bare, "layer", x=IDS)
    assert _effect_of_the_last_token(normed.train()) < 1e-12
