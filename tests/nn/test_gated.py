import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import normscope as ns

GATED = [ns.nn.AmplifyNorm, ns.nn.SuppressNorm]
OPEN = {ns.nn.AmplifyNorm: math.inf, ns.nn.SuppressNorm: 0.0}
SHUT = {ns.nn.AmplifyNorm: 0.0, ns.nn.SuppressNorm: math.inf}

channels = st.lists(
    st.tuples(
        st.floats(-30, 30, allow_subnormal=False),  # mean
        st.floats(-8, 4).map(lambda exponent: 10**exponent),  # standard deviation
    ),
    min_size=1,
    max_size=5,
)


def batch(moments: list[tuple[float, float]], seed: int = 0, shape: tuple[int, ...] = (5, 4)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    n, *space = shape
    x = torch.randn(n, len(moments), *space, generator=generator, dtype=torch.float64)
    mean, std = torch.tensor(moments, dtype=torch.float64).T
    return x * std.view(-1, *(1,) * len(space)) + mean.view(-1, *(1,) * len(space))


def power(x: Tensor) -> Tensor:
    return x.movedim(1, 0).flatten(1).square().mean(1)


@given(channels, st.floats(1e-3, 1e3), st.floats(1e-8, 1e-1), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_amplify_lets_out_at_least_the_lesser_of_power_and_normalized_power(
    moments: list[tuple[float, float]], threshold: float, eps: float, seed: int
) -> None:
    x = batch(moments, seed)
    y = ns.nn.AmplifyNorm(len(moments), threshold, eps=eps, dtype=torch.float64)(x)
    var = x.movedim(1, 0).flatten(1).var(1, correction=0)
    floor = torch.minimum(power(x), var / (var + eps))
    assert (power(y) >= floor * (1 - 1e-9) - 1e-12).all()
    strong = power(x) > threshold * (1 + 1e-9)
    assert torch.equal(y[:, strong], x[:, strong])


@given(channels, st.floats(1e-3, 1e3), st.floats(1e-8, 1e-1), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_suppress_lets_out_at_most_the_greater_of_power_and_normalized_power(
    moments: list[tuple[float, float]], threshold: float, eps: float, seed: int
) -> None:
    x = batch(moments, seed)
    y = ns.nn.SuppressNorm(len(moments), threshold, eps=eps, dtype=torch.float64)(x)
    var = x.movedim(1, 0).flatten(1).var(1, correction=0)
    ceiling = torch.maximum(power(x), var / (var + eps))
    assert (power(y) <= ceiling * (1 + 1e-9) + 1e-12).all()
    assert (power(y) <= max(threshold, 1.0) * (1 + 1e-9)).all()
    weak = power(x) < threshold * (1 - 1e-9)
    assert torch.equal(y[:, weak], x[:, weak])


def steps(layer: nn.Module, x: Tensor, training: bool) -> list[Tensor]:
    x = x.clone().requires_grad_()
    layer.train(training)
    y = layer(x)
    y.square().mul(torch.arange(y.numel(), dtype=y.dtype).view(y.shape)).sum().backward()
    return [y.detach(), x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var]


def prepared(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return layer


@pytest.mark.parametrize("norm", GATED)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (4, 5, 3), (3, 2, 3, 4)])
def test_with_all_gates_open_it_is_batch_norm_bit_for_bit(
    norm: type, training: bool, shape: tuple[int, ...]
) -> None:
    x = batch([(0.1, 0.3), (0.0, 1.0), (2.0, 5.0)], shape=shape).float()
    ours = steps(prepared(norm(3, threshold=OPEN[norm])), x, training)
    native = steps(prepared(ns.nn.BatchNorm(3)), x, training)
    for a, b in zip(ours[: 6 if training else 1], native, strict=False):
        assert torch.equal(a, b)


@pytest.mark.parametrize("norm", GATED)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_with_all_gates_shut_it_is_the_identity_bit_for_bit(
    norm: type, training: bool, dtype: torch.dtype
) -> None:
    x = batch([(0.1, 0.3), (0.0, 1.0), (2.0, 5.0)], shape=(4, 5, 3)).to(dtype).requires_grad_()
    layer = norm(3, threshold=SHUT[norm], dtype=dtype).train(training)
    y = layer(x)
    upstream = torch.randn_like(y)
    (grad,) = torch.autograd.grad(y, x, upstream)
    assert torch.equal(y, x)
    assert torch.equal(grad, upstream)


@pytest.mark.parametrize("norm", GATED)
@pytest.mark.parametrize("training", [True, False])
def test_each_channel_is_batch_norm_or_affine_only_bit_for_bit(norm: type, training: bool) -> None:
    moments = [(0.1, 0.3), (0.0, 0.9), (2.0, 5.0), (-1.5, 0.2)]
    x = batch(moments, shape=(8, 5, 3)).float()
    layer, native = prepared(norm(4)), prepared(ns.nn.BatchNorm(4))
    passing, native_passing = layer.train(training)(x), native.train(training)(x)
    p = power(x) if training else layer.running_mean.square() + layer.running_var
    gated = p < 1 if norm is ns.nn.AmplifyNorm else p > 1
    assert 0 < gated.sum() < 4
    assert torch.equal(passing[:, gated], native_passing[:, gated])
    affine = x * layer.weight.view(4, 1, 1) + layer.bias.view(4, 1, 1)
    torch.testing.assert_close(passing[:, ~gated], affine[:, ~gated], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("norm", GATED)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_channel_holding_nan_or_inf_comes_out_nan_and_spoils_no_other(norm: type, bad: float) -> None:
    x = batch([(0.0, 0.5), (0.0, 0.5), (0.0, 2.0), (0.0, 2.0)], shape=(8, 5)).float()
    x[3, 1, 2] = x[2, 2, 0] = bad
    x.requires_grad_()
    y = norm(4)(x)
    y.square().sum().backward()
    assert torch.isnan(y[:, 1:3]).all()
    assert torch.isfinite(y[:, [0, 3]]).all()
    assert torch.isfinite(x.grad[:, [0, 3]]).all()
    assert torch.isnan(x.grad[:, 1:3]).all()


@pytest.mark.parametrize("norm", GATED)
def test_a_constant_channel_has_the_power_of_its_mean_even_without_eps(norm: type) -> None:
    x = torch.ones(6, 2, 3) * torch.tensor([[0.5], [3.0]])
    y = norm(2, eps=0.0)(x)
    gated = 0 if norm is ns.nn.AmplifyNorm else 1
    assert torch.equal(y[:, 1 - gated], x[:, 1 - gated])
    assert torch.equal(y[:, gated], torch.zeros(6, 3))


@pytest.mark.parametrize("norm", GATED)
def test_two_runs_on_one_thread_give_the_same_bits(norm: type) -> None:
    x = batch([(0.1, 0.3), (0.0, 1.0), (2.0, 5.0)], shape=(8, 5, 3)).float()
    first, second = (steps(prepared(norm(3)), x, True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
