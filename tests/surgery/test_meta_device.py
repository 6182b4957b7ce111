"""Models on the meta device, which keeps no values: norms are exchanged, and what computes with values is refused."""

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError

IMAGES = torch.ones(2, 3, 4, 5)


class UserNorm(nn.Module):
    def __init__(self, C):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(C))

    def forward(self, x):
        return x * x.square().mean(-1, keepdim=True).rsqrt() * self.weight


@pytest.mark.parametrize(
    "operation",
    [
        lambda model: ns.calibrate(model, [IMAGES]),
        ns.fold,
        lambda model: ns.equivalent_network(model, IMAGES),
    ],
    ids=["calibrate", "fold", "equivalent"],
)
def test_a_model_without_values_is_refused_where_they_are_needed(operation):
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(InputError, match="on the meta device, which keeps no values"):
        operation(model)


@pytest.mark.parametrize("spec", ["batch", "group", "rms"])
def test_norms_of_a_model_without_values_are_replaced_and_loaded_later(spec):
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), UserNorm(4), nn.BatchNorm1d(4))
    with torch.device("meta"):
        empty = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), UserNorm(4), nn.BatchNorm1d(4))
    new = ns.replace_norms(empty, spec)
    assert all(tensor.is_meta for tensor in (*new.parameters(), *new.buffers()))
    wanted = ns.replace_norms(model, spec)
    new.load_state_dict(wanted.state_dict(), assign=True)
    x = torch.randn(5, 3)
    torch.testing.assert_close(new(x), wanted(x))
