"""Instruments where a pass is unusual: what is written in place, raised on the way back, or not there."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError

DIFFERENTIATE = {
    "gradients": ns.probes.gradients,
    "gradient_histogram": ns.probes.gradient_histogram,
    "channel_gradients": ns.probes.channel_gradients,
    "bias_gradients": ns.probes.bias_gradients,
    "class_gradients": ns.probes.class_gradients,
    "gradient_alignment": ns.probes.gradient_alignment,
    "gradient_terms": lambda model, x, y, **loss: ns.probes.gradient_terms(model, x, y, "0", 0, **loss),
    "landscape": lambda model, x, y, **loss: ns.probes.landscape(model, x, y, steps=[0.0, 0.1], **loss),
    "gradient_noise": lambda model, x, y, **loss: ns.probes.gradient_noise(model, x, y, [2], draws=3, **loss),
}
READ = DIFFERENTIATE | {
    "output_gradients": ns.probes.output_gradients,
    "histograms": lambda model, x, y: ns.probes.histograms(model, x, bins=3),
    "moments": lambda model, x, y: ns.probes.moments(model, x),
}


def each(instruments):
    return pytest.mark.parametrize("read", instruments.values(), ids=list(instruments))


def images():
    return torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 1, 2, 0])


def network(*more, first=()):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), *first, nn.Flatten(), nn.Linear(3, 3), *more)


class Breaks(torch.autograd.Function):
    """The identity, which has no way back."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ZeroDivisionError("there is no way back\nhere")


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@each(READ)
def test_a_model_that_writes_into_its_input_changes_no_batch_and_is_measured_as_one_that_does_not(read):
    def model(scale):
        torch.manual_seed(0)
        layer = nn.Linear(18, 3)
        layer.register_forward_pre_hook(lambda _, args: (scale(args[0]),))
        return nn.Sequential(layer)

    x = images().flatten(1)
    before = x.clone()
    found, expected = (read(model(scale), x, LABELS) for scale in (lambda x: x.mul_(2), lambda x: 2 * x))
    assert torch.equal(x, before)
    assert found.equals(expected)


@each(DIFFERENTIATE)
def test_whatever_a_backward_pass_raises_is_one_sentence(read):
    with pytest.raises(InputError, match=r"cannot be computed: there is no way back$"):
        read(network(Apply(Breaks.apply)), images(), LABELS)


@each(DIFFERENTIATE | {"output_gradients": ns.probes.output_gradients})
@pytest.mark.parametrize(
    "loss",
    [
        lambda output, y: output.to(torch.complex64).mean(),
        lambda output, y: output.mean().reshape(1).to_sparse(),
    ],
    ids=["complex", "sparse"],
)
def test_a_loss_that_is_no_real_dense_number_is_refused(read, loss):
    with pytest.raises(InputError, match="must be a real number in a dense tensor"):
        read(network(), images(), LABELS, loss=loss)


@each(READ)
def test_inside_inference_mode_the_numbers_are_the_same(read):
    expected = read(network(), images(), LABELS)
    model = network()
    with torch.inference_mode():
        found = read(model, images(), LABELS.clone())
    assert found.equals(expected)


@each(DIFFERENTIATE | {"output_gradients": ns.probes.output_gradients})
def test_a_loss_that_calls_backward_adds_nothing_to_the_gradients_that_the_parameters_hold(read):
    def loss(output, y):
        value = F.cross_entropy(output, y)
        if value.requires_grad:
            value.backward(retain_graph=True)
        return value

    model = network()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    held = model[0].weight.grad
    read(model, images(), LABELS, loss=loss)
    assert model[0].weight.grad is held
    assert held.eq(1).all()
    assert model[2].weight.grad is None


@each(READ)
def test_what_a_forward_pass_freezes_hooks_or_clears_is_as_before(read):
    model = network()
    tail = model[2]
    tail.weight.grad = torch.ones_like(tail.weight)

    def forward(x):
        tail.zero_grad()
        tail.bias.requires_grad_(False)
        tail.register_forward_hook(lambda *call: None)
        return x

    model.append(Apply(forward))
    read(model, images(), LABELS)
    assert tail.weight.grad is not None
    assert tail.bias.requires_grad
    assert not tail._forward_hooks


def test_an_input_that_the_model_wrote_into_after_the_layer_is_not_read():
    """A frozen layer does not keep its input for the way back, so that nothing else stops the model."""
    scale, layer, head = nn.Linear(18, 18), nn.Linear(18, 18).requires_grad_(False), nn.Linear(18, 3)

    def forward(x):
        x = scale(x)
        out = layer(x)
        x.add_(1)
        return head(out + x)

    model = Apply(forward)
    model.scale, model.layer, model.head = scale, layer, head
    found = ns.probes.gradient_alignment(model, images().flatten(1), LABELS).set_index("layer")
    assert found["note"].to_dict() == {
        "scale": "",
        "layer": "the model wrote into its input after it ran",
        "head": "",
    }


def test_a_frozen_model_whose_input_needs_a_gradient_has_a_note_for_each_layer():
    model = network().requires_grad_(False)
    found = ns.probes.gradient_alignment(model, images().requires_grad_(), LABELS)
    assert list(found["note"]) == ["no gradient reaches its output"] * 2


@each({name: READ[name] for name in ("bias_gradients", "gradient_alignment")})
def test_behind_a_function_without_a_derivative_a_layer_has_no_gradient(read):
    class Quantized(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, gradient):
            return None

    found = read(network(first=[Apply(Quantized.apply)]), images(), LABELS)
    assert set(found[found["layer"] == "0"]["note"]) == {"no gradient reaches its output"}


def test_reading_the_channels_of_a_spectral_norm_takes_no_step_of_its_power_iteration():
    """Also a layer's weight is computed by what is restored after the pass."""
    model = network()
    torch.nn.utils.parametrizations.spectral_norm(model[0])
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    ns.probes.channel_gradients(model, images(), LABELS)
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_a_layer_without_weights_has_no_pairs_of_channels():
    model = nn.Sequential(nn.Flatten(), nn.Linear(18, 0), nn.Linear(0, 3))
    found = ns.probes.channel_gradients(model, images(), LABELS)
    assert not (found["count"] > 0).any()


@each({name: READ[name] for name in ("output_gradients", "class_gradients")})
def test_a_nested_output_is_refused(read):
    x = torch.nested.nested_tensor([torch.randn(2, 5), torch.randn(3, 5)], layout=torch.jagged)
    with pytest.raises(InputError, match="output is nested"):
        read(nn.Linear(5, 3), x, LABELS, loss=lambda output, y: output.values().square().mean())


@pytest.mark.parametrize("model", [None, 3, len])
@each(READ)
def test_what_is_no_module_is_refused(read, model):
    with pytest.raises(InputError, match=r"must be a torch\.nn\.Module"):
        read(model, images(), LABELS)


def test_a_scripted_model_whose_layers_cannot_be_read_has_its_losses():
    steps = [0.0, 0.1]
    found = ns.probes.landscape(torch.jit.script(network()), images(), LABELS, steps=steps, moments="all")
    expected = ns.probes.landscape(network(), images(), LABELS, steps=steps)
    assert list(found["loss"]) == list(expected["loss"])


def test_parameters_of_a_type_that_nothing_is_added_in_have_no_landscape():
    model = network()
    model[2].weight = nn.Parameter(model[2].weight.detach().to(torch.float8_e4m3fn))
    with pytest.raises(InputError, match="give a dtype"):
        ns.probes.landscape(model, images(), LABELS)


def test_the_noise_of_sparse_gradients_is_that_of_dense_ones():
    def model(sparse):
        torch.manual_seed(0)
        return nn.Sequential(nn.Embedding(5, 3, sparse=sparse), nn.Flatten(), nn.Linear(6, 3))

    tokens = torch.tensor([[0, 1], [1, 4], [2, 3], [0, 0]])
    sparse, dense = (
        ns.probes.gradient_noise(model(kind), tokens, LABELS, [2], draws=5) for kind in (True, False)
    )
    torch.testing.assert_close(torch.tensor(sparse["noise"]), torch.tensor(dense["noise"]))


def test_the_noise_of_a_sparse_batch_is_refused():
    x = images().flatten(1).to_sparse()
    with pytest.raises(InputError, match="must be dense tensors"):
        ns.probes.gradient_noise(nn.Linear(18, 3), x, LABELS, [2])
