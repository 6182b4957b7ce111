"""Outputs whose classes are not in the dimension that is named."""

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError

MODEL = nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 20))
TOKENS = torch.arange(12).view(2, 6)


def loss(output, labels):
    return nn.functional.cross_entropy(output.flatten(0, 1), labels.flatten())


@pytest.mark.parametrize("probe", [ns.probes.output_gradients, ns.probes.class_gradients])
def test_a_dimension_that_the_labels_contradict_is_refused_and_the_fitting_one_named(probe):
    with pytest.raises(InputError, match=r"\(2, 6\) do not fit an output \(2, 6, 20\) .* give class_dim=2"):
        probe(MODEL, TOKENS, TOKENS, loss=loss)
    assert probe(MODEL, TOKENS, TOKENS, loss=loss, class_dim=-1)["class"].nunique() == 20
