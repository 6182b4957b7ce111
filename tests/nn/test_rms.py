import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import normscope as ns


@pytest.mark.parametrize("eps", [1e-2, 1e-5, None])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_on_features_it_is_the_frameworks_rms_norm(eps: float | None, dtype: torch.dtype) -> None:
    ours, native = ns.nn.RMSNorm(6, eps=eps, dtype=dtype), nn.RMSNorm(6, eps=eps, dtype=dtype)
    nn.init.uniform_(native.weight)
    ours.load_state_dict(native.state_dict())
    for scale in (1.0, 1e-3):  # ε shows where the input is small
        x = (scale * torch.randn(5, 6, dtype=torch.float64)).to(dtype)
        torch.testing.assert_close(ours(x), native(x))
        torch.testing.assert_close(ours(x), F.rms_norm(x, (6,), ours.weight, eps))


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (3, 3, 2, 4), (2, 3, 2, 2, 3)])
def test_each_sample_is_divided_by_the_root_mean_square_of_its_channels_and_positions(
    shape: tuple[int, ...],
) -> None:
    layer = ns.nn.RMSNorm(3, eps=1e-3, bias=True, dtype=torch.float64)
    gain, bias = torch.tensor([0.5, -2.0, 3.0]).double(), torch.tensor([1.0, 0.0, -1.0]).double()
    layer.load_state_dict({"weight": gain, "bias": bias})
    x = torch.randn(shape, dtype=torch.float64) + 1
    y = layer(x)
    for n in range(shape[0]):
        root = (sum(float(v) ** 2 for v in x[n].flatten()) / x[n].numel() + 1e-3) ** 0.5
        for c in range(3):
            torch.testing.assert_close(y[n, c], gain[c] * x[n, c] / root + bias[c], rtol=1e-12, atol=1e-12)


def test_it_has_no_bias_unless_asked_and_no_eps_in_its_state() -> None:
    assert list(ns.nn.make("rms", 3).state_dict()) == ["weight"]
    assert ns.nn.make("rms(eps=none)", 3).eps is None


def test_replacing_an_rms_norm_over_features_by_rms_is_the_same_function_and_keeps_tokens_apart() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.RMSNorm(6, eps=1e-4)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x)

    model = Tokens()
    nn.init.uniform_(model.norm.weight)
    x = torch.randn(2, 5, 6)
    replaced = ns.replace_norms(model, "rms")
    torch.testing.assert_close(replaced(x), model(x))
    other = copy.deepcopy(x)
    other[:, -1] += 1
    assert torch.equal(replaced(other)[:, :-1], replaced(x)[:, :-1])
