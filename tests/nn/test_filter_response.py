import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError


@pytest.mark.parametrize("shape", [(4, 3, 5), (3, 3, 2, 4), (2, 3, 2, 2, 3)])
@pytest.mark.parametrize("tlu", [True, False])
@pytest.mark.parametrize("learn_eps", [True, False])
def test_each_channel_of_each_sample_is_divided_by_its_root_mean_square_and_cut_off(
    shape: tuple[int, ...], tlu: bool, learn_eps: bool
) -> None:
    layer = ns.nn.FilterResponseNorm(3, eps=1e-2, learn_eps=learn_eps, tlu=tlu, dtype=torch.float64)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    if learn_eps:
        nn.init.constant_(layer.learned_eps, -0.3)  # the paper takes |ε|
    x = torch.randn(shape, dtype=torch.float64)
    y = layer(x)
    for n in range(shape[0]):
        for c in range(3):
            square = x[n, c].square().mean()
            z = layer.weight[c] * x[n, c] / (square + (0.3 if learn_eps else 1e-2)).sqrt() + layer.bias[c]
            expected = torch.clamp(z, min=float(layer.threshold[c].detach())) if tlu else z
            torch.testing.assert_close(y[n, c], expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_threshold_is_summed_where_the_output_is_cut_off() -> None:
    layer = ns.nn.FilterResponseNorm(2)
    x = torch.randn(3, 2, 50)
    y = layer(x)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    cut = x < 0  # γ = 1, β = τ = 0
    torch.testing.assert_close(layer.threshold.grad, (upstream * cut).sum((0, 2)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.bias.grad, (upstream * ~cut).sum((0, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 1), (5, 3, 1, 1)])
def test_one_value_per_channel_is_refused_unless_eps_is_learned(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    with pytest.raises(InputError, match="only the sign would be left") as caught:
        ns.nn.make("frn", 3)(x)
    assert "\n" not in str(caught.value)
    learned = ns.nn.make("frn(learn_eps=true,eps=0.5,tlu=false)", 3)
    torch.testing.assert_close(learned(x), x / (x.square() + 0.5).sqrt())


def test_it_starts_as_a_rectified_norm_and_is_reset() -> None:
    layer = ns.nn.make("frn(learn_eps=true,eps=1e-4)", 3)
    x = torch.randn(2, 3, 7)
    scale = (x.square().mean(2, keepdim=True) + 1e-4).rsqrt()
    torch.testing.assert_close(layer(x), torch.relu(x * scale))
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 3.0)
    layer.reset_parameters()
    torch.testing.assert_close(layer(x), torch.relu(x * scale))


def test_nan_and_infinity_spoil_only_their_channel_of_their_sample() -> None:
    x = torch.randn(3, 3, 4)
    x[1, 2, 0], x[2, 0, 1] = torch.nan, torch.inf
    bad = ns.nn.make("frn(tlu=false)", 3)(x).isnan().any(2)
    assert bad.nonzero().tolist() == [[1, 2], [2, 0]]


def test_a_learned_eps_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="eps must be above 0 with learn_eps"):
        ns.nn.make("frn(eps=0,learn_eps=true)", 3)
