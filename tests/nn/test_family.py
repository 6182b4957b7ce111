"""What every norm of the package must do, each class and switch in turn."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

import normscope as ns
from normscope.errors import InputError

Make = Callable[..., nn.Module]

LAYERS: dict[str, Make] = {
    f"batch-center={center}-rescale={rescale}": (
        lambda C, center=center, rescale=rescale, **rest: ns.nn.BatchNorm(
            C, center=center, rescale=rescale, **rest
        )
    )
    for center in (True, False)
    for rescale in (True, False)
}
LAYERS |= {
    "batch-no-affine": lambda C, **rest: ns.nn.BatchNorm(C, center=False, gain=False, bias=False, **rest),
    "batch-gain-only": lambda C, **rest: ns.nn.BatchNorm(C, center=False, bias=False, **rest),
    "batch-bias-only": lambda C, **rest: ns.nn.BatchNorm(C, center=False, gain=False, **rest),
    "amplify": lambda C, **rest: ns.nn.AmplifyNorm(C, **rest),
    "suppress": lambda C, **rest: ns.nn.SuppressNorm(C, **rest),
    "amplify-no-affine": lambda C, **rest: ns.nn.AmplifyNorm(C, gain=False, bias=False, **rest),
    "suppress-all": lambda C, **rest: ns.nn.SuppressNorm(C, threshold=0, **rest),
    "amplify-none": lambda C, **rest: ns.nn.AmplifyNorm(C, threshold=0, **rest),
    "alternating": lambda C, **rest: ns.nn.AlternatingNorm(C, **rest),
    "alternating-no-affine": lambda C, **rest: ns.nn.AlternatingNorm(C, gain=False, bias=False, **rest),
    "noisy": lambda C, **rest: ns.nn.NoisyNorm(C, **rest),
}
LAYERS |= {
    f"lp-{p}-centered={centered}": (
        lambda C, p=p, centered=centered, **rest: ns.nn.LpNorm(C, p=p, centered=centered, **rest)
    )
    for p in (1, 1.5, 2, 3, math.inf)
    for centered in (True, False)
}
LAYERS |= {
    "lp-3-gain-only": lambda C, **rest: ns.nn.LpNorm(C, p=3, bias=False, **rest),
    "lp-1-bias-only": lambda C, **rest: ns.nn.LpNorm(C, p=1, gain=False, centered=False, **rest),
}


def own(norm: type, **switches: object) -> Make:
    """A norm without batch statistics; the settings that only batch norms have are left out."""
    leave = {"momentum"} | ({"eps"} if norm is ns.nn.DynamicTanhNorm else set())
    groups = {"num_groups": switches.pop("groups")} if norm is ns.nn.GroupNorm else {}
    key = "num_channels" if groups else "num_features"
    return lambda C, **rest: norm(
        **groups, **{key: C}, **switches, **{k: v for k, v in rest.items() if k not in leave}
    )


# These normalize each sample by itself, and keep no running statistics.
PER_SAMPLE: dict[str, Make] = {
    "layer": own(ns.nn.GroupNorm, groups=1),
    "layer-gain-only": own(ns.nn.GroupNorm, groups=1, bias=False),
    "layer-bias-only": own(ns.nn.GroupNorm, groups=1, gain=False),
    "instance": own(ns.nn.GroupNorm, groups=3),
    "instance-no-affine": own(ns.nn.GroupNorm, groups=3, affine=False),
    "rms": own(ns.nn.RMSNorm),
    "rms-with-bias": own(ns.nn.RMSNorm, bias=True),
    "rms-no-affine": own(ns.nn.RMSNorm, gain=False),
    "dyt": own(ns.nn.DynamicTanhNorm),
    "dyt-no-affine": own(ns.nn.DynamicTanhNorm, gain=False, bias=False),
    "frn": own(ns.nn.FilterResponseNorm),
    "frn-no-tlu": own(ns.nn.FilterResponseNorm, tlu=False),
    "frn-learned-eps": own(ns.nn.FilterResponseNorm, learn_eps=True),
    "frn-no-affine": own(ns.nn.FilterResponseNorm, gain=False, bias=False),
}
CLASSES = [
    ns.nn.BatchNorm,
    ns.nn.AmplifyNorm,
    ns.nn.SuppressNorm,
    ns.nn.LpNorm,
    ns.nn.AlternatingNorm,
    ns.nn.NoisyNorm,
]
WITHOUT_STATISTICS = [ns.nn.RMSNorm, ns.nn.DynamicTanhNorm, ns.nn.FilterResponseNorm]
SHAPES = [(6, 3), (4, 3, 5), (3, 3, 2, 3), (2, 3, 2, 2, 2)]

QUIET = {name: make for name, make in LAYERS.items() if name != "noisy"}

every_batch_norm = pytest.mark.parametrize("make", QUIET.values(), ids=QUIET)
every_quiet_layer = pytest.mark.parametrize("make", (QUIET | PER_SAMPLE).values(), ids=QUIET | PER_SAMPLE)
every_layer = pytest.mark.parametrize("make", (LAYERS | PER_SAMPLE).values(), ids=LAYERS | PER_SAMPLE)


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    """Three channels of power well below 1, near 0.9 and well above 1."""
    view = (-1,) + (1,) * (len(shape) - 2)
    std, mean = torch.tensor([0.2, 0.8, 3.0]).view(view), torch.tensor([0.1, -0.2, 1.5]).view(view)
    return (torch.randn(shape) * std + mean).to(dtype)


def made(make: Make, **rest: object) -> nn.Module:
    layer = make(3, **rest)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.5, 2.0)
    return layer


def as_function(layer: nn.Module) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The layer as a function of its input and parameters, without a trace of earlier calls."""
    names = [name for name, _ in layer.named_parameters()]
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        torch.manual_seed(0)  # for the one that draws
        state = dict(zip(names, parameters, strict=True)) | {k: v.clone() for k, v in buffers.items()}
        return functional_call(layer, state, (x,))

    return call, [parameter.detach().requires_grad_() for parameter in layer.parameters()]


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_first_and_second_derivatives_are_right(make: Make, training: bool) -> None:
    call, parameters = as_function(made(make, eps=1e-2, dtype=torch.float64).train(training))
    inputs = (batch((3, 3, 2)).requires_grad_(), *parameters)
    # The noise is drawn again in the backward pass, which batched gradients do not allow.
    batched = make is not LAYERS["noisy"]
    assert torch.autograd.gradcheck(call, inputs, check_batched_grad=batched, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@every_batch_norm
@pytest.mark.parametrize("training", [True, False])
def test_an_input_of_any_dimension_is_its_flattened_self(make: Make, training: bool) -> None:
    layer = made(make, dtype=torch.float64).train(training)
    flat = copy.deepcopy(layer)
    for shape in SHAPES:
        x = batch(shape)
        rows = x.movedim(1, -1).reshape(-1, 3)
        y = layer(x)
        assert y.shape == x.shape
        torch.testing.assert_close(y.movedim(1, -1).reshape(-1, 3), flat(rows))
        for a, b in zip(layer.buffers(), flat.buffers(), strict=True):
            torch.testing.assert_close(a, b)


def run(layer: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, (x, *parameters), weights)]


@every_quiet_layer
@pytest.mark.parametrize("training", [True, False])
def test_float32_agrees_with_float64(make: Make, training: bool) -> None:
    wide = made(make, dtype=torch.float64).train(training)
    single = copy.deepcopy(wide).float()
    x = batch((8, 3, 5))
    for a, b in zip(
        run(single, x.float(), [*single.parameters()]), run(wide, x, [*wide.parameters()]), strict=True
    ):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


@every_quiet_layer
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_from_autocast_keeps_its_type_and_the_parameters_theirs(make: Make, training: bool) -> None:
    layer, x = made(make).train(training), batch((8, 3, 5), torch.bfloat16)
    wide = copy.deepcopy(layer).double()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = run(layer, x, [*layer.parameters()])
    exact = run(wide, x.double(), [*wide.parameters()])
    assert [t.dtype for t in low] == [torch.bfloat16] * 2 + [torch.float32] * (len(low) - 2)
    for a, b in zip(low, exact, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0.03, atol=0.03)


@every_quiet_layer
@pytest.mark.parametrize("training", [True, False])
def test_channels_last_memory_gives_the_same_numbers_and_stays(make: Make, training: bool) -> None:
    layer = made(make).train(training)
    other = copy.deepcopy(layer)
    x = batch((4, 3, 5, 2), torch.float32)
    last = x.to(memory_format=torch.channels_last)
    ours = run(layer, last, [*layer.parameters()])
    assert ours[0].is_contiguous(memory_format=torch.channels_last)
    for a, b in zip(ours, run(other, x, [*other.parameters()]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@every_quiet_layer
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shared_input", [True, False])
@pytest.mark.filterwarnings("error:There is a performance drop")
def test_vmap_over_stacked_layers_is_each_layer_alone(make: Make, training: bool, shared_input: bool) -> None:
    layers = [made(make, momentum=0.3).train(training) for _ in range(4)]
    x = torch.stack([batch((5, 3, 2), torch.float32) * scale for scale in (0.3, 1.0, 2.0, 5.0)])
    parameters, buffers = stack_module_state(layers)
    buffers = {name: buffer.clone() for name, buffer in buffers.items()}
    shared_input = shared_input and bool(parameters or buffers)  # vmap needs something that is stacked

    def loss(p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        y = functional_call(layers[0], (p, b), (x,))
        return y.pow(3).sum(), y

    # argnums 2 as well: the layer without parameters has no other gradient.
    step = torch.func.grad(loss, argnums=(0, 2), has_aux=True)
    (grads, grad_x), y = vmap(step, in_dims=(0, 0, None if shared_input else 0))(
        parameters, buffers, x[0] if shared_input else x
    )
    for index, layer in enumerate(layers):
        one = x[0 if shared_input else index].clone().requires_grad_()
        alone = layer(one)
        alone.pow(3).sum().backward()
        torch.testing.assert_close(y[index], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(grad_x[index], one.grad, rtol=1e-3, atol=1e-3)
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(grads[name][index], parameter.grad, rtol=1e-3, atol=1e-3)
        for name, buffer in layer.named_buffers():
            torch.testing.assert_close(buffers[name][index], buffer)


@pytest.mark.parametrize(
    "name",
    ["amplify", "lp-3-centered=False", "alternating", "layer-bias-only", "rms", "dyt", "frn-learned-eps"],
)
def test_a_compiled_layer_gives_the_same_numbers_and_statistics(name: str) -> None:
    torch._dynamo.reset()
    layer = made((LAYERS | PER_SAMPLE)[name])
    other = copy.deepcopy(layer)
    # This backend traces the layer and its backward pass whole, without the time to compile C++.
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    x = batch((8, 3, 5), torch.float32)
    for training in (True, False):
        layer.train(training), compiled.train(training)
        ours, theirs = run(compiled, x, [*other.parameters()]), run(layer, x, [*layer.parameters()])
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    for a, b in zip(layer.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(a, b)


@every_quiet_layer
def test_a_deep_copy_and_a_loaded_state_are_the_layer_itself(make: Make) -> None:
    layer = made(make)
    layer(batch((6, 3, 2), torch.float32))
    loaded = make(3)
    loaded.load_state_dict(layer.state_dict())
    twin = copy.deepcopy(layer)
    for training in (True, False):
        x = batch((6, 3, 2), torch.float32)
        y = layer.train(training)(x)
        assert torch.equal(y, twin.train(training)(x))
        assert torch.equal(y, loaded.train(training)(x))


@every_quiet_layer
def test_the_input_can_be_passed_by_the_name_that_it_has_in_the_frameworks_norms(make: Make) -> None:
    layer, x = made(make).eval(), batch((6, 3, 2), torch.float32)
    assert torch.equal(layer(input=x), layer(x))


@every_layer
def test_inference_neither_looks_at_the_batch_nor_changes_the_state(make: Make) -> None:
    layer = made(make)
    layer(batch((6, 3, 2), torch.float32))
    state = copy.deepcopy(layer.eval().state_dict())
    x = batch((6, 3, 2), torch.float32)
    torch.testing.assert_close(layer(x)[:2], layer(x[:2]), rtol=0, atol=0)
    assert all(torch.equal(value, state[key]) for key, value in layer.state_dict().items())


@every_batch_norm
def test_without_running_statistics_inference_uses_the_batch(make: Make) -> None:
    layer = made(make, track_running_stats=False)
    x = batch((6, 3), torch.float32)
    y = layer(x)
    assert torch.equal(layer.eval()(x), y)
    assert layer.running_mean is None
    assert layer.running_var is None
    assert layer.num_batches_tracked is None


@every_batch_norm
def test_no_more_is_saved_for_backward_than_the_input_and_vectors(make: Make) -> None:
    layer, x = made(make), batch((8, 3, 5), torch.float32).requires_grad_()
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    assert any(tensor.data_ptr() == x.data_ptr() for tensor in saved)
    assert all(tensor.numel() <= 3 or tensor.data_ptr() == x.data_ptr() for tensor in saved)


@pytest.mark.parametrize("norm", CLASSES + WITHOUT_STATISTICS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(4, 2), "has 3 channels, but its input has 2"),
        (torch.zeros(4), "2 to 5 dimensions"),
        (torch.zeros(4, 3, 1, 1, 1, 1), "2 to 5 dimensions"),
        (torch.zeros(4, 3, dtype=torch.long), "must be of floating point, not torch.int64"),
    ],
)
def test_a_bad_input_is_refused_in_one_sentence(norm: type, x: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        norm(3)(x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("norm", CLASSES)
def test_training_on_one_value_per_channel_is_refused(norm: type) -> None:
    with pytest.raises(InputError, match="Expected more than 1 value per channel"):
        norm(3)(torch.zeros(1, 3, 1))


EPS = [
    ({"eps": -1e-5}, "eps must be a finite number of at least 0, not -1e-05"),
    ({"eps": float("nan")}, "eps must be a finite number"),
    ({"eps": "small"}, "eps must be a finite number"),
]
MOMENTUM = [({"momentum": 1.5}, r"momentum must be a finite number in \[0, 1\], not 1.5")]
CHANNELS = [({"num_features": 0}, "the number of channels must be a whole number of at least 1, not 0")]
BAD = [(norm, *case) for norm in CLASSES for case in EPS + MOMENTUM + CHANNELS]
BAD += [(norm, *case) for norm in (ns.nn.RMSNorm, ns.nn.FilterResponseNorm) for case in EPS + CHANNELS]
BAD += [(ns.nn.DynamicTanhNorm, *case) for case in CHANNELS]
BAD += [(ns.nn.DynamicTanhNorm, {"alpha": -1.0}, "alpha must be a finite number of at least 0")]


@pytest.mark.parametrize(("norm", "arguments", "message"), BAD)
def test_a_bad_argument_is_refused_in_one_sentence(
    norm: type, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        norm(**{"num_features": 3, **arguments})
    assert "\n" not in str(caught.value)
