"""Models that are graphs: what their nodes normalize with is named."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import NormscopeWarning
from normscope.surgery import changes


class ConvAndFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.layer_norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return F.batch_norm(self.layer_norm(self.conv(x)), None, None, training=True)


def test_a_function_in_a_traced_graph_is_named():
    model = torch.fx.symbolic_trace(ConvAndFunction())
    with pytest.warns(NormscopeWarning, match="calls batch_norm, which is no module"):
        new = ns.remove_norms(model)
    assert [change.action for change in changes(new)] == ["removed", "skipped"]


def test_the_norms_of_an_exported_model_are_named():
    images = torch.randn(2, 3, 4, 4)
    model = torch.export.export(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval(), (images,)
    ).module()
    with pytest.warns(NormscopeWarning, match="found no norm.*its code calls batch_norm"):
        ns.replace_norms(model, "layer")
