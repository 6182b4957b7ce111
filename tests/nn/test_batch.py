import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import normscope as ns
from normscope.errors import InputError

SHAPES = [(6, 3), (4, 3, 5), (4, 3, 5, 2), (2, 3, 2, 2, 4)]
NATIVE = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def batch(shape: tuple[int, ...]) -> Tensor:
    return 2 * torch.randn(shape) + 0.7


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("track", [True, False])
def test_batch_norm_gives_the_frameworks_numbers(
    shape: tuple[int, ...], momentum: float | None, track: bool
) -> None:
    ours = ns.nn.BatchNorm(3, momentum=momentum, track_running_stats=track)
    native = NATIVE[len(shape)](3, momentum=momentum, track_running_stats=track)
    with torch.no_grad():
        for parameter in (*ours.parameters(), *native.parameters()):
            parameter.copy_(torch.tensor([0.5, -2.0, 3.0]))
    for mode in (True, True, False, True, False):
        ours.train(mode), native.train(mode)
        x = batch(shape)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, z = ours(a), native(b)
        y.square().sum().backward(), z.square().sum().backward()
        assert torch.equal(y, z)
        assert torch.equal(a.grad, b.grad)
    for (name, p), (other, q) in zip(ours.named_parameters(), native.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(p.grad, q.grad)
    assert list(ours.state_dict()) == list(native.state_dict())
    for key, value in native.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


@pytest.mark.parametrize("affine", [True, False])
def test_state_loads_both_ways_between_ours_and_the_frameworks(affine: bool) -> None:
    ours, native = ns.nn.BatchNorm(3, gain=affine, bias=affine), nn.BatchNorm2d(3, affine=affine)
    native(batch((4, 3, 5, 2)))
    ours.load_state_dict(native.state_dict())
    again = nn.BatchNorm2d(3, affine=affine)
    again.load_state_dict(ours.state_dict())
    x = batch((4, 3, 5, 2))
    assert torch.equal(native.eval()(x), again.eval()(x))
    assert torch.equal(native(x), ours.eval()(x))


def test_a_state_from_before_batches_were_counted_loads() -> None:
    state = nn.BatchNorm2d(3).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    ns.nn.BatchNorm(3).load_state_dict(state)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    rows = x.double().movedim(1, 0).flatten(1)
    return rows.mean(1).view(1, 3, 1), rows.var(1, correction=0).view(1, 3, 1)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("gain", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_each_part_does_its_own_work_and_no_other(
    center: bool, rescale: bool, gain: bool, bias: bool
) -> None:
    layer = ns.nn.BatchNorm(3, center=center, rescale=rescale, gain=gain, bias=bias, eps=1e-3)
    native = nn.BatchNorm1d(3, eps=1e-3)
    g, b = torch.tensor([0.5, -2.0, 3.0]), torch.tensor([1.0, 0.1, -4.0])
    with torch.no_grad():
        if layer.weight is not None:
            layer.weight.copy_(g)
        if layer.bias is not None:
            layer.bias.copy_(b)
    x = batch((4, 3, 5))
    view = (1, 3, 1)

    def expected(mean: Tensor, var: Tensor) -> Tensor:
        y = x.double() - mean if center else x.double()
        y = y / (var + 1e-3).sqrt() if rescale else y
        y = y * g.view(view) if gain else y
        return y + b.view(view) if bias else y

    torch.testing.assert_close(layer(x), expected(*moments(x)).float(), rtol=1e-5, atol=1e-5)
    native(x)
    assert torch.equal(layer.running_mean, native.running_mean)
    assert torch.equal(layer.running_var, native.running_var)
    kept = (layer.running_mean.view(view).double(), layer.running_var.view(view).double())
    torch.testing.assert_close(layer.eval()(x), expected(*kept).float(), rtol=1e-5, atol=1e-5)


def backward_operands() -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    x = torch.randn(20, 1, dtype=torch.float64, requires_grad=True)
    gamma, eps = 1.7, 1e-3
    upstream = torch.randn(20, 1, dtype=torch.float64)
    layer = ns.nn.BatchNorm(1, eps=eps, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(gamma)
    (grad,) = torch.autograd.grad(layer(x), x, upstream)
    sigma = (x.detach().var(correction=0) + eps).sqrt()
    return x.detach(), upstream, grad, sigma, gamma


def test_the_backward_pass_is_morwanis_closed_form() -> None:
    x, upstream, grad, sigma, gamma = backward_operands()
    z, one = (x - x.mean()) / sigma, torch.ones_like(x)
    n = len(x)
    # (γ/σ)(I − 11ᵀ/n − ZZᵀ/n): the note drops the 1/n of the last term.
    jacobian = gamma / sigma * (torch.eye(n, dtype=torch.float64) - one @ one.T / n - z @ z.T / n)
    torch.testing.assert_close(grad, jacobian @ upstream, rtol=1e-12, atol=1e-12)


def test_the_backward_pass_is_ioffe_and_szegedys_closed_form() -> None:
    x, upstream, grad, sigma, gamma = backward_operands()
    n = len(x)
    d_hat = upstream * gamma
    d_var = (d_hat * (x - x.mean())).sum() * -0.5 * sigma**-3
    d_mean = -d_hat.sum() / sigma + d_var * (-2 * (x - x.mean())).mean()
    expected = d_hat / sigma + d_var * 2 * (x - x.mean()) / n + d_mean / n
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)


def test_the_layer_survives_saving() -> None:
    layer, other = ns.nn.BatchNorm(3), ns.nn.BatchNorm(3)
    layer(batch((6, 3)))
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    x = batch((6, 3))
    assert torch.equal(layer.eval()(x), other.eval()(x))


def test_training_on_one_value_a_channel_is_refused_in_the_frameworks_words() -> None:
    x = torch.randn(1, 3)
    with pytest.raises(ValueError, match="Expected more than 1 value") as native:
        nn.BatchNorm1d(3)(x)
    with pytest.raises(InputError) as ours:
        ns.nn.BatchNorm(3)(x)
    assert str(ours.value) == str(native.value)
    assert torch.isfinite(ns.nn.BatchNorm(3).eval()(x)).all()
    with pytest.raises(InputError):
        ns.nn.BatchNorm(3, track_running_stats=False).eval()(x)


@given(st.floats(-3, 3).map(lambda e: 10**e), st.floats(-10, 10), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_positive_affine_map_of_a_channels_input_changes_nothing(
    scale: float, shift: float, seed: int
) -> None:
    torch.manual_seed(seed)
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    mapped = x.clone()
    mapped[:, 1] = scale * x[:, 1] + shift
    layer = ns.nn.BatchNorm(3, eps=0.0, dtype=torch.float64)
    torch.testing.assert_close(layer(mapped), layer(x), rtol=1e-8, atol=1e-8)
