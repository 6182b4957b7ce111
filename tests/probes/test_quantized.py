"""Quantized layers, whose weights are packed, are named instead of left out."""

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*quantization.*:DeprecationWarning")


def _quantized():
    model = nn.Sequential(nn.Conv1d(3, 3, 1), nn.Flatten(), nn.Linear(6, 2))
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def test_a_quantized_layer_has_a_row_that_says_that_it_is_not_read():
    table = ns.probes.spectrum(_quantized(), torch.randn(5, 3, 2))
    assert list(table.layer) == ["0", "2"]
    assert list(table.kind) == ["conv1d", "linear"]
    assert table.note[1] == "the layer is quantized, which is not read"
    assert table.lambda_max.notna().tolist() == [True, False]


def test_a_quantized_layer_that_is_asked_for_is_refused():
    with pytest.raises(InputError, match="layer '2' is a quantized Linear, which is not read"):
        ns.probes.spectrum(_quantized(), torch.randn(5, 3, 2), layers=["2"])
