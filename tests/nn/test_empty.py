"""A batch without values does in every norm what it does in torch's batch norm."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

import normscope as ns

NATIVE = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
EMPTY = [(0, 4), (0, 4, 5), (3, 4, 0), (0, 4, 3, 3), (2, 4, 0, 3), (0, 4, 2, 2, 2)]
BY_BATCH = ["batch", "batch(center=false)", "amplify", "suppress", "lp", "lp(p=1)", "lp(p=inf,centered=false)",
            "alternating(period=1)", "noisy"]  # fmt: skip
BY_SAMPLE = ["group", "layer", "layer(bias=false)", "layer(gain=false)", "instance", "rms", "rms(bias=true)", "dyt",
             "frn", "frn(learn_eps=true)", "frn(tlu=false)"]  # fmt: skip


def gradients(layer: nn.Module, x: Tensor) -> Iterator[Tensor]:
    x = x.requires_grad_()
    y = layer(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    yield from (parameter.grad for parameter in layer.parameters())


@pytest.mark.parametrize("spec", BY_BATCH)
@pytest.mark.parametrize("shape", [(0, 4), (3, 4, 0), (0, 4, 3, 3)], ids=str)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_norm_counts_it_and_keeps_its_statistics_as_the_frameworks_does(
    spec: str, shape: tuple[int, ...], momentum: float | None
) -> None:
    ours, native = ns.nn.make(spec, 4), NATIVE[len(shape)](4, momentum=momentum)
    ours.momentum = momentum
    full = torch.randn(8, 4, *(3,) * (len(shape) - 2))
    for layer in (ours, native):
        layer(full)
    kept = {name: buffer.clone() for name, buffer in ours.named_buffers()}
    for training in (True, False):
        ours.train(training), native.train(training)
        x = torch.zeros(shape)
        for a, b in zip(gradients(ours, x.clone()), gradients(native, x.clone()), strict=True):
            assert torch.equal(a, b)
    assert int(ours.num_batches_tracked) == int(native.num_batches_tracked) == 2
    for name, buffer in kept.items():
        assert name == "num_batches_tracked" or torch.equal(ours.get_buffer(name), buffer), name


@pytest.mark.parametrize("spec", BY_SAMPLE + BY_BATCH)
def test_it_comes_back_empty_in_its_type_and_every_gradient_is_zero(spec: str) -> None:
    layer = ns.nn.make(spec, 4)
    for shape, dtype in itertools.product(EMPTY, (torch.float32, torch.bfloat16)):
        for training in (True, False):
            for gradient in gradients(layer.train(training), torch.zeros(shape, dtype=dtype)):
                assert not gradient.any()  # NaN would count


@pytest.mark.parametrize("spec", [*BY_SAMPLE, "batch", "suppress", "lp(p=1)", "alternating"])
def test_it_passes_through_vmap(spec: str) -> None:
    layers = [ns.nn.make(spec, 4) for _ in range(3)]
    parameters, buffers = stack_module_state(layers)
    buffers = {name: buffer.clone() for name, buffer in buffers.items()}

    def call(p: dict[str, Tensor], b: dict[str, Tensor]) -> Tensor:
        return functional_call(layers[0], (p, b), (torch.zeros(0, 4, 2),))

    assert vmap(call)(parameters, buffers).shape == (3, 0, 4, 2)
    if "num_batches_tracked" in buffers:
        assert buffers["num_batches_tracked"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("spec", ["suppress", "alternating", "rms"])
def test_it_passes_through_a_compiled_layer(spec: str) -> None:
    torch._dynamo.reset()
    layer = ns.nn.make(spec, 4)
    y = torch.compile(layer, fullgraph=True, backend="aot_eager")(torch.zeros(0, 4, 2))
    assert y.shape == (0, 4, 2)
    assert all(buffer.isfinite().all() for buffer in layer.buffers())


def test_it_does_not_move_an_alternating_schedule_and_counts_where_a_batch_would_be_measured() -> None:
    layer, without = ns.nn.AlternatingNorm(3), ns.nn.AlternatingNorm(3)
    empty = torch.zeros(0, 3, 4)
    for index in range(4):
        layer(empty)  # in turn to be measured in front of batches 0 and 2
        x = torch.randn(5, 3, 4) + index
        assert torch.equal(layer(x), without(x))
    assert int(layer.num_batches_seen) == int(without.num_batches_seen) == 4
    assert int(layer.num_batches_tracked) == int(without.num_batches_tracked) + 2
    assert torch.equal(layer.running_var, without.running_var)


@pytest.mark.parametrize("options", [{}, {"normalizer": "l2"}, {"error_noise": 1.0}], ids=str)
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
@pytest.mark.filterwarnings("error")
def test_an_adaptive_convolution_does_with_it_what_the_frameworks_does(
    options: dict[str, object], mode: str
) -> None:
    ours = ns.nn.AdaptiveConv2d(2, 4, 3, padding=1, padding_mode=mode, **options)
    native = nn.Conv2d(2, 4, 3, padding=1, padding_mode=mode)
    for layer in (ours, native):
        x = torch.zeros(0, 2, 5, 5, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        assert y.shape == (0, 4, 5, 5)
        assert x.grad.shape == x.shape
        assert not layer.weight.grad.any()
        assert not layer.bias.grad.any()
