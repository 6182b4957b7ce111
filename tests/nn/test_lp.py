import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import normscope as ns
from normscope.errors import InputError

PS = [1.0, 1.5, 2.0, 3.0, 7.0, math.inf]
every_p = pytest.mark.parametrize("p", PS)
both_ways = pytest.mark.parametrize("centered", [True, False])


def batch(shape: tuple[int, ...] = (5, 3, 4)) -> Tensor:
    std, mean = torch.tensor([[0.2], [1.0], [4.0]]), torch.tensor([[0.5], [0.0], [-2.0]])
    return (torch.randn(shape) * std + mean).double()


def plain(x: Tensor, p: float, centered: bool, eps: float) -> Tensor:
    """The definition, channel by channel."""
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        d = (values - values.mean() if centered else values).abs()
        root = d.max() + eps if math.isinf(p) else ((d**p).mean() + eps) ** (1 / p)
        out[:, c] = (values - values.mean()) / root
    return out


@every_p
@both_ways
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_is_the_definitions(p: float, centered: bool, dtype: torch.dtype) -> None:
    x = batch()
    y = ns.nn.LpNorm(3, p=p, centered=centered, eps=1e-2, dtype=dtype)(x.to(dtype))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(y.double(), plain(x, p, centered, 1e-2), rtol=tolerance, atol=tolerance)


@every_p
@both_ways
def test_the_backward_pass_is_autograds_through_the_definition(p: float, centered: bool) -> None:
    x = batch().requires_grad_()
    upstream = torch.randn_like(x)
    layer = ns.nn.LpNorm(3, p=p, centered=centered, eps=1e-2, dtype=torch.float64)
    (ours,) = torch.autograd.grad(layer(x), x, upstream)
    (theirs,) = torch.autograd.grad(plain(x, p, centered, 1e-2), x, upstream)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_its_default_is_batch_norm_bit_for_bit() -> None:
    x = batch().float()
    ours, native = ns.nn.LpNorm(3), nn.BatchNorm1d(3)
    assert torch.equal(ours(x), native(x))
    assert torch.equal(ours.eval()(x), native.eval()(x))
    assert list(ours.state_dict()) == list(native.state_dict())


@given(
    st.sampled_from(PS) | st.floats(1.0, 8.0),
    st.booleans(),
    st.floats(-3, 3).map(lambda exponent: 10**exponent),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_without_eps_the_output_does_not_know_its_inputs_scale(
    p: float, centered: bool, scale: float, seed: int
) -> None:
    torch.manual_seed(seed)
    x = batch()
    layer = ns.nn.LpNorm(3, p=p, centered=centered, eps=0.0, dtype=torch.float64)
    torch.testing.assert_close(layer(scale * x), layer(x), rtol=1e-8, atol=1e-8)


@given(
    st.sampled_from(PS) | st.floats(1.0, 8.0),
    st.floats(-2, 2).map(lambda exponent: 10**exponent),
    st.floats(-10, 10),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_positive_affine_map_of_a_channel_changes_nothing_when_centered(
    p: float, scale: float, shift: float, seed: int
) -> None:
    torch.manual_seed(seed)
    x = batch()
    layer = ns.nn.LpNorm(3, p=p, eps=0.0, dtype=torch.float64)
    torch.testing.assert_close(layer(scale * x + shift), layer(x), rtol=1e-8, atol=1e-8)


@every_p
@both_ways
def test_inference_uses_the_average_of_the_batches_moments(p: float, centered: bool) -> None:
    layer = ns.nn.LpNorm(3, p=p, centered=centered, momentum=None, eps=1e-2, dtype=torch.float64)
    batches = [batch(), batch()]
    for x in batches:
        layer(x)
    rows = [x.movedim(1, 0).flatten(1) for x in batches]
    mean = torch.stack([r.mean(1) for r in rows]).mean(0)
    if p == 2.0:
        moment = torch.stack([r.var(1) for r in rows]).mean(0) + (0 if centered else mean.square())
    else:
        sizes = [(r - r.mean(1, keepdim=True) if centered else r).abs() for r in rows]
        moment = torch.stack([s.amax(1) if math.isinf(p) else (s**p).mean(1) for s in sizes]).mean(0)
    root = moment + 1e-2 if math.isinf(p) else (moment + 1e-2) ** (1 / p)
    x = batch()
    expected = (x - mean.view(3, 1)) / root.view(3, 1)
    torch.testing.assert_close(layer.eval()(x), expected, rtol=1e-10, atol=1e-10)


@every_p
@both_ways
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_inf_flow_through_and_spoil_no_other_channel(p: float, centered: bool, bad: float) -> None:
    x = batch().float()
    x[1, 1, 2] = bad
    y = ns.nn.LpNorm(3, p=p, centered=centered)(x)
    assert torch.isnan(y[:, 1]).all()
    assert torch.isfinite(y[:, [0, 2]]).all()


@pytest.mark.parametrize("p", [0.5, 0, -1, math.nan, "2"])
def test_a_p_below_one_is_refused(p: float) -> None:
    with pytest.raises(InputError, match="p must be a number of at least 1, not"):
        ns.nn.LpNorm(3, p=p)
