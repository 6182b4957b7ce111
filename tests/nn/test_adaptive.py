import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError

GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 2), "padding": (2, 0), "dilation": (1, 2)},
    {"groups": 2, "padding": 1},
    {"padding": "same", "dilation": 2},
    {"padding": 1, "padding_mode": "reflect"},
    {"padding": (1, 2), "padding_mode": "circular"},
]


def loop_over_patches(
    layer: ns.nn.AdaptiveConv2d, x: Tensor, grad: Tensor, normalizer: str, power: str, eps: float
) -> Tensor:
    """Equations 7-9 by the letter: one patch, one channel, one output at a time."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    out = torch.zeros_like(layer.weight)
    (sh, sw), (dh, dw), (kh, kw) = layer.stride, layer.dilation, layer.kernel_size
    per_group_in, per_group_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    for n, i, j, o in itertools.product(
        range(x.shape[0]), range(grad.shape[2]), range(grad.shape[3]), range(layer.out_channels)
    ):
        group = o // per_group_out
        for k in range(per_group_in):
            c = group * per_group_in + k
            block = x[n, c, i * sh : i * sh + dh * kh : dh, j * sw : j * sw + dw * kw : dw][:kh, :kw]
            size = block.abs() if normalizer == "l1" else block.square()
            size = size.mean() if power == "mean" else size.sum()
            out[o, k] += grad[n, o, i, j] * block / (eps + size)
    return out.detach()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(("normalizer", "power"), [("l2", "mean"), ("l1", "sum")])
def test_the_weight_gradient_is_nlms_by_a_plain_loop_over_patches(
    geometry: dict[str, object], normalizer: str, power: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("normscope.nn.adaptive._ELEMENTS_AT_ONCE", 200)  # a sample or two at a time
    layer = ns.nn.AdaptiveConv2d(
        2, 4, (3, 2), normalizer=normalizer, power=power, eps=0.05, dtype=torch.float64, **geometry
    )
    x = torch.randn(3, 2, 6, 5, dtype=torch.float64)
    x[0] = 0  # all-zero patches must not blow up
    y = layer(x)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    expected = loop_over_patches(layer, x, upstream, normalizer, power, 0.05)
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("options", [{}, {"normalizer": "l2"}, {"error_noise": 1.0}])
def test_output_input_gradient_and_bias_gradient_are_conv2ds(
    geometry: dict[str, object], options: dict[str, object]
) -> None:
    ours = ns.nn.AdaptiveConv2d(2, 4, (3, 2), **options, **geometry)
    native = nn.Conv2d(2, 4, (3, 2), **geometry)
    native.load_state_dict(ours.state_dict())
    a = torch.randn(3, 2, 6, 5, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    y, z = ours(a), native(b)
    upstream = torch.randn_like(y)
    y.backward(upstream), z.backward(upstream)
    for p, q in ((y, z), (a.grad, b.grad), (ours.bias.grad, native.bias.grad)):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    if not options:
        assert torch.equal(ours.weight.grad, native.weight.grad)
    else:
        assert not torch.allclose(ours.weight.grad, native.weight.grad)


def test_without_normalizer_and_noise_both_derivatives_are_right() -> None:
    layer = ns.nn.AdaptiveConv2d(2, 4, 2, groups=2, dtype=torch.float64)
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)

    def call(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    inputs = (x, *layer.parameters())
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_a_second_derivative_through_an_adapted_gradient_is_refused() -> None:
    layer = ns.nn.AdaptiveConv2d(1, 1, 2, normalizer="l2")
    loss = layer(torch.randn(2, 1, 4, 4)).square().sum()
    (grad,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize("eps", [1e-9, 0.5])
def test_the_step_is_of_least_disturbance_for_each_patch_and_channel_on_its_own(eps: float) -> None:
    """With the sum as power and learning rate 1, each step Δ minimizes ``‖Δ‖² + (e − Δᵀx)²/ε`` (the principle of
    minimal disturbance behind eqs. 7-9): without ε, the smallest change that takes away all of the error e.
    """
    layer = ns.nn.AdaptiveConv2d(
        2, 1, 3, bias=False, normalizer="l2", power="sum", eps=eps, dtype=torch.float64
    )
    x, target = torch.randn(1, 2, 6, 6, dtype=torch.float64), torch.randn(1, 1, 4, 4, dtype=torch.float64)
    output = layer(x)
    ((target - output).square().sum() / 2).backward()
    errors = (target - output).detach().reshape(16)
    expected = torch.zeros(2, 9, dtype=torch.float64)
    for patch, error in zip(F.unfold(x, 3)[0].T.reshape(16, 2, 9), errors, strict=True):
        for c, block in enumerate(patch):
            system = torch.cat([torch.eye(9, dtype=torch.float64), block[None] / eps**0.5])
            wanted = torch.cat([torch.zeros(9, dtype=torch.float64), error[None] / eps**0.5])
            step = torch.linalg.lstsq(system, wanted[:, None]).solution[:, 0]
            if eps < 1e-6:
                torch.testing.assert_close(step @ block, error, rtol=1e-6, atol=1e-6)
            expected[c] += step
    torch.testing.assert_close(-layer.weight.grad[0].flatten(1), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_noise_has_the_stated_moments_and_goes_into_the_weight_gradient_only(scale: float) -> None:
    # The input is 1 at a single position, so the gradient of each 1×1 weight is one element of e + ν.
    generator = torch.Generator().manual_seed(0)
    layer = ns.nn.AdaptiveConv2d(
        1, 3000, 1, bias=False, error_noise=scale, generator=generator, dtype=torch.float64
    )
    x = torch.zeros(2, 1, 3, 3, dtype=torch.float64)
    x[0, 0, 0, 0] = 1
    upstream = torch.randn(2, 3000, 3, 3, dtype=torch.float64)
    layer(x).backward(upstream)
    noise = layer.weight.grad.flatten() - upstream[0, :, 0, 0]
    std = scale * upstream.std(correction=0)
    assert abs(noise.mean()) < 5 * std / 3000**0.5
    assert abs(noise.std() / std - 1) < 5 / 6000**0.5


def test_noise_and_normalizer_act_together_and_follow_the_generator() -> None:
    x = torch.randn(2, 2, 5, 5, dtype=torch.float64)

    def layer(**options: object) -> ns.nn.AdaptiveConv2d:
        torch.manual_seed(1)
        return ns.nn.AdaptiveConv2d(2, 3, 3, dtype=torch.float64, **options)

    noisy = layer(normalizer="l2", error_noise=2.0, generator=torch.Generator().manual_seed(7))
    y = noisy(x)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    nu = torch.randn(y.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    error = upstream + 2.0 * upstream.std(correction=0) * nu
    expected = loop_over_patches(layer(), x, error, "l2", "mean", 1e-2)
    torch.testing.assert_close(noisy.weight.grad, expected, rtol=1e-10, atol=1e-10)


def test_an_unbatched_image_and_autocast_work_as_in_conv2d() -> None:
    layer = ns.nn.AdaptiveConv2d(2, 3, 3, padding=1, normalizer="l1")
    x = torch.randn(2, 5, 5)
    torch.testing.assert_close(layer(x), layer(x.unsqueeze(0)).squeeze(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert torch.isfinite(layer.weight.grad).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalizer": "l3"}, "normalizer must be None, 'l1' or 'l2', not 'l3'"),
        ({"power": "max"}, "power must be 'mean' or 'sum', not 'max'"),
        ({"eps": -1.0}, "eps must be a finite number of at least 0, not -1.0"),
        ({"normalizer": "l2", "eps": 0.0}, "eps must be above 0 with a normalizer"),
        ({"error_noise": -1.0}, "error_noise must be a finite number of at least 0, not -1.0"),
        ({"groups": 2}, "in_channels must be divisible by groups"),
    ],
)
def test_a_bad_argument_is_refused_in_one_sentence(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ns.nn.AdaptiveConv2d(3, 4, 3, **options)
