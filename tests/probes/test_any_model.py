"""Calls, containers and tensors of any kind: the model is measured, and is afterwards as before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError

BOTH = pytest.mark.parametrize("read", [ns.probes.spectrum, ns.probes.moments])


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Calling(nn.Module):
    """Calls its layer as the function says."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer = layer
        self.call = call

    def forward(self, *args, **kwargs):
        return self.call(self.layer, *args, **kwargs)


class Mine(nn.Linear):
    def forward(self, features, scale=1.0):
        return super().forward(scale * features)


class Listed(nn.Linear):
    def forward(self, parts):
        return super().forward(torch.cat(parts, -1))


CALLS = {
    "positional": (nn.Linear(4, 3), lambda layer, x: layer(x)),
    "input=": (nn.Linear(4, 3), lambda layer, x: layer(input=x)),
    "another name": (Mine(4, 3), lambda layer, x: layer(features=x)),
    "after a number": (Mine(4, 3), lambda layer, x: layer(scale=1.0, features=x)),
    "in a list": (Listed(4, 3), lambda layer, x: layer([x[:, :2], x[:, 2:]])),
}


@pytest.mark.parametrize(("layer", "call"), CALLS.values(), ids=CALLS)
def test_a_layers_input_is_found_whatever_its_name(layer, call):
    x = batch(20, 4)
    found = ns.probes.spectrum(Calling(layer, call), x)
    assert_frame_equal(found, ns.probes.spectrum(nn.Linear(4, 3), x).assign(layer="layer"))


def test_a_transposed_convolution_called_with_an_output_size_is_measured_for_that_size():
    layer, x = nn.ConvTranspose2d(2, 3, 3, stride=2), batch(5, 2, 6, 6)
    padded = nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1)
    for call in (lambda layer, x: layer(x, output_size=(14, 14)), lambda layer, x: layer(x, [14, 14])):
        found = ns.probes.spectrum(Calling(layer, call), x)
        assert_frame_equal(found, ns.probes.spectrum(padded, x).assign(layer="layer"))


@BOTH
def test_a_model_in_a_parallel_wrapper_is_measured_under_the_wrappers_names(read):
    model, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), batch(20, 4)
    found = read(nn.DataParallel(model), x)
    assert_frame_equal(found, read(model, x).pipe(lambda t: t.assign(layer="module." + t.layer)))


def test_a_distributed_model_is_measured_by_one_process_alone():
    """The wrapper's forward would wait for the other processes."""
    model, x = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), batch(20, 4)
    distributed = torch.distributed
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(model)
        wrapped.register_forward_pre_hook(lambda module, args: pytest.fail("the wrapper was called"))
        found = ns.probes.spectrum(wrapped, x)
    finally:
        distributed.destroy_process_group()
    assert_frame_equal(
        found, ns.probes.spectrum(model, x).pipe(lambda t: t.assign(layer="module." + t.layer))
    )


@BOTH
def test_layers_in_plain_lists_are_measured(read):
    class Held(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.steps = list(layers)

        def forward(self, x):
            for step in self.steps:
                x = step(x)
            return x

    layers, x = (nn.Linear(4, 6), nn.Linear(6, 2)), batch(20, 4)
    found = read(Held(layers), x)
    assert_frame_equal(
        found, read(nn.Sequential(*layers), x).pipe(lambda t: t.assign(layer="steps." + t.layer))
    )


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, ZeroDivisionError, NotImplementedError, AttributeError]
)
@BOTH
def test_whatever_the_forward_raises_is_an_input_error_that_names_it(read, error):
    class Raising(nn.Module):
        def forward(self, x):
            raise error("as asked\nin two lines")

    with pytest.raises(InputError, match=rf"\(3, 2\): {error.__name__}: .*as asked") as raised:
        read(Raising(), torch.ones(3, 2))
    assert isinstance(raised.value.__cause__, error)
    assert "\n" not in str(raised.value).replace("\\n", "")


def inference(*shape):
    with torch.inference_mode():
        return batch(*shape)


flat = batch(7)
TENSORS = {
    "expanded": lambda: batch(1, 3).expand(4, 3),
    "overlapping": lambda: flat.as_strided((5, 3), (1, 1)),
    "inference": lambda: inference(4, 3),
    "view": lambda: flat[2:5],
    "integer": lambda: torch.arange(5),
    "boolean": lambda: torch.tensor([True, False]),
    "complex": lambda: torch.ones(3, dtype=torch.complex64),
    "half": lambda: batch(3).half(),
    "NaN": lambda: torch.tensor([torch.nan, 1.0]),
    "scalar": lambda: torch.tensor(2.0),
    "empty": lambda: torch.ones(0, 3),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "meta": lambda: torch.ones(3, device="meta"),
    "quantized": lambda: torch.quantize_per_tensor(batch(3), 0.1, 0, torch.quint8),
    "MKL-DNN": lambda: batch(3, 3).to_mkldnn() if torch.backends.mkldnn.is_available() else batch(3, 3),
}  # fmt: skip


class Changing(nn.Module):
    """Changes a tensor in place, if it can, and rebinds another, as a buffer and as an attribute."""

    def __init__(self, tensor):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("buffer", tensor)
        self.plain = tensor.clone()
        self.register_buffer("rebound", torch.zeros(2))
        self.calls = 0

    def forward(self, x):
        for tensor in (self.buffer, self.plain):
            change(tensor)
        self.rebound = self.rebound + 1
        self.calls += 1
        self.seen = x
        del self.buffer
        return self.layer(x)


def change(tensor):
    if tensor.is_meta or tensor.is_quantized or tensor.is_mkldnn:
        return
    if tensor.layout == torch.sparse_coo:
        tensor = tensor._values()
    elif tensor.layout == torch.sparse_csr:
        tensor = tensor.values()
    base = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    base.zero_()


def bits(tensor):
    if tensor.is_meta:
        return []
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    return (tensor.int_repr() if tensor.is_quantized else tensor).numpy().tobytes()


@pytest.mark.filterwarnings("ignore:(?s).*(beta state|deprecated).*:UserWarning")
@pytest.mark.parametrize("kind", TENSORS)
@BOTH
def test_a_tensor_of_any_kind_is_afterwards_as_before(read, kind):
    tensor = TENSORS[kind]()
    model, x = Changing(tensor), batch(6, 3)
    order = list(model.state_dict())
    buffer, plain = bits(model.buffer), bits(model.plain)
    read(model, x)
    assert model.buffer is tensor
    assert (bits(model.buffer), bits(model.plain)) == (buffer, plain)
    assert (model.rebound.tolist(), model.calls, hasattr(model, "seen")) == ([0, 0], 0, False)
    assert list(model.state_dict()) == order


@BOTH
def test_a_tensor_that_is_resized_or_given_other_memory_gets_its_own_back(read):
    class Resizing(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(batch(3, 3))
            self.register_buffer("grown", batch(4))
            self.register_buffer("freed", batch(4))

        def forward(self, x):
            self.weight.data = torch.zeros(3, 3)
            self.grown.resize_(100).zero_()
            self.freed.untyped_storage().resize_(0)
            return x @ self.weight

    model = Resizing()
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in model.state_dict().items()}
    read(model, batch(6, 3))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name][1])
    assert model.weight.data_ptr() == before["weight"][0]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
def test_memory_that_cannot_be_written_is_not_written(tmp_path):
    """As that of weights that are mapped from a file: writing even the same values would end the process."""
    (tmp_path / "weight").write_bytes(batch(3, 3).numpy().tobytes())
    weight = np.memmap(tmp_path / "weight", dtype=np.float32, mode="r", shape=(3, 3))
    model = nn.Linear(3, 3, bias=False)
    model.weight = nn.Parameter(torch.from_numpy(weight))
    assert ns.probes.spectrum(model, batch(9, 3)).samples[0] == 9


@BOTH
def test_measuring_between_forward_and_backward_leaves_the_gradient(read):
    """Nothing is written into what autograd saved."""
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), batch(6, 4)
    model(x).sum().backward()
    wanted = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    loss = model(x).sum()
    read(model, x)
    loss.backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), wanted, strict=True))


@pytest.mark.filterwarnings("ignore:.*Complex.*:UserWarning")
def test_complex_layers_are_named_and_not_read():
    model, x = nn.Sequential(nn.Linear(3, 2, dtype=torch.complex64)), batch(5, 3).to(torch.complex64)
    assert ns.probes.spectrum(model, x).note.tolist() == ["the input is complex, which is not read"]
    assert ns.probes.moments(model, x).note.tolist() == ["the output is complex, which is not read"]


class Vectorized(nn.Module):
    """Calls its layer for every example by itself, with ``torch.vmap``."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return torch.vmap(self.layer)(x)


class Forces(Vectorized):
    """Returns the derivative of its layer's output by its input, as models of energies do."""

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.layer(x).square().sum(), x)[0]


class Jacobian(Vectorized):
    def forward(self, x):
        return torch.func.jacrev(lambda x: self.layer(x).square().sum())(x)


@pytest.mark.parametrize("kind", [Vectorized, Forces, Jacobian])
@BOTH
def test_a_layer_inside_a_transformed_function_is_read_once(read, kind):
    """Not again in the backward pass that the forward contains, in which the weight multiplies gradients."""
    layer, x = nn.Linear(4, 3), batch(20, 4)
    assert_frame_equal(read(kind(layer), x), read(layer, x).assign(layer="layer"))


def test_a_sparse_input_is_read_as_its_dense_equal():
    dense = F.relu(batch(20, 4))
    model = nn.Linear(4, 3)
    assert_frame_equal(ns.probes.spectrum(model, dense.to_sparse()), ns.probes.spectrum(model, dense))


@pytest.mark.filterwarnings("ignore:(?s).*nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_a_nested_input_is_read_vector_by_vector(layout):
    parts = [batch(7, 4), batch(5, 4, seed=2)]
    model, x = nn.Linear(4, 3), torch.nested.nested_tensor(parts, layout=layout)
    found = ns.probes.spectrum(model, x).iloc[0]
    assert found.lambda_max == pytest.approx(ns.probes.spectrum(model, torch.cat(parts)).lambda_max[0])
    assert (found.samples, found.positions) == (12, 6)
    means = ns.probes.moments(model, x)["mean"]
    assert means.to_numpy() == pytest.approx(model(torch.cat(parts)).mean(0).detach().numpy(), abs=1e-6)
    functional = Calling(model, lambda layer, x: F.linear(x, layer.weight, layer.bias))
    note = "its weights are used in aten.linear, an operation that is not read"
    assert ns.probes.spectrum(functional, x).note.tolist() == [note]
    failing = Calling(model, lambda layer, x: layer(x) + torch.ones(1, 5, 9))
    with pytest.raises(InputError, match=r"the model cannot take this input \((NestedTensor|Tensor)\): "):
        ns.probes.spectrum(failing, x)


def test_a_transformer_that_takes_the_sequence_first_has_the_numbers_of_one_that_takes_the_batch_first():
    tables = []
    x = batch(5, 7, 8)
    for batch_first in (True, False):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        model = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), enable_nested_tensor=False).eval()
        tables.append(ns.probes.spectrum(model, x if batch_first else x.transpose(0, 1)))
    assert set(tables[0].positions) == {7}
    numbers = ["layer", "positions", "lambda_max", "lr_bound", "samples"]
    assert_frame_equal(tables[0][numbers], tables[1][numbers])
