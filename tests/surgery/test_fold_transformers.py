"""Folding models of the transformers library, from tiny configurations without weights."""

import pytest
import torch

import normscope as ns
from normscope.errors import InputError
from normscope.nn.module_kinds import norms

transformers = pytest.importorskip("transformers", reason="transformers, of the test extra, is not installed")

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
IDS = {**TINY, "vocab_size": 50}


def built(name, config, **values):
    return getattr(transformers, name)(getattr(transformers, f"{config}Config")(**values)).eval()


EFFICIENT = {
    "image_size": 32,
    "width_coefficient": 0.2,
    "depth_coefficient": 0.2,
    "hidden_dim": 256,
    "in_channels": [32, 16],
    "out_channels": [16, 24],
    "kernel_sizes": [3, 5],
    "strides": [1, 2],
    "num_block_repeats": [1, 1],
    "expand_ratios": [1, 6],
}


@pytest.mark.parametrize(
    ("config", "values"),
    [
        ("ResNet", {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2], "layer_type": "basic"}),
        (
            "MobileNetV2",
            {"depth_multiplier": 0.125, "min_depth": 4, "depth_divisible_by": 4, "image_size": 64},
        ),
        ("EfficientNet", EFFICIENT),
    ],
)
def test_a_convolutional_network_folds_without_an_example(config, values, lived_in, output, off):
    model = lived_in(built(f"{config}ForImageClassification", config, num_labels=3, **values)).double()
    new = ns.fold(model)
    assert not list(norms(new))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    assert off(output(new, x), output(model, x)) < 1e-12


@pytest.mark.parametrize(
    ("name", "config", "values", "norm"),
    [
        ("BertModel", "Bert", IDS, r"'embeddings\.LayerNorm' \(LayerNorm\)"),
        ("GPT2Model", "GPT2", {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2},
         r"'h\.0\.ln_1' \(LayerNorm\)"),
        ("LlamaModel", "Llama", IDS, r"'layers\.0\.input_layernorm' \(LlamaRMSNorm\)"),
        ("T5Model", "T5", {"vocab_size": 50, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 16},
         r"'encoder\.block\.0\.layer\.0\.layer_norm' \(T5LayerNorm\)"),
        ("ViTModel", "ViT", {**TINY, "image_size": 32, "patch_size": 8},
         r"'layers\.0\.layernorm_before' \(LayerNorm\)"),
    ],
)  # fmt: skip
def test_a_layer_norm_is_refused_by_name(name, config, values, norm):
    with pytest.raises(
        InputError, match=rf"^norm {norm} .*looks at its input, so no layer's weights can take it over\.$"
    ):
        ns.fold(built(name, config, **values))
