import copy

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint

import normscope as ns
from normscope.errors import InputError


def noise_of_many_steps(steps: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale s and shift m of every step, sample and activation, found from two probes under one seed."""
    scales, shifts = [], []
    for step in range(steps):
        outputs = []
        for z in (0.0, 1.0):
            generator = torch.Generator().manual_seed(step)
            layer = ns.nn.NoisyNorm(2, gain=False, generator=generator, dtype=torch.float64)
            # Constant channels: BatchNorm's output is the bias, which is the probe.
            torch.nn.init.constant_(layer.bias, z)
            outputs.append(layer(torch.ones(40, 2, 5, dtype=torch.float64)).detach())
        scales.append(outputs[1] - outputs[0])
        shifts.append(outputs[0])
    return torch.stack(scales), torch.stack(shifts)


def test_the_noise_follows_santurkars_law() -> None:
    s, m = noise_of_many_steps()  # (step, sample, channel, position)
    # Per activation and step: σ_j ~ U(1, 1.25), μ_j ~ U(−.5, .5); over samples s ~ N(σ_j, .1), m ~ U(μ_j ± .1).
    draws = s.shape[0] * s.shape[2] * s.shape[3]
    sigma, mu = s.mean(1), m.mean(1)
    # Standard errors: five of them.
    assert abs(sigma.mean() - 1.125) < 5 * (0.25**2 / 12 + 0.1**2 / 40) ** 0.5 / draws**0.5
    assert abs(mu.mean()) < 5 * (1 / 12) ** 0.5 / draws**0.5
    assert abs(sigma.var() - (0.25**2 / 12 + 0.1**2 / 40)) < 0.05 * 0.25**2 / 12
    assert abs(mu.var() - (1 / 12 + 0.2**2 / 12 / 40)) < 0.05 / 12
    assert abs((s - sigma.unsqueeze(1)).var() / (0.1**2 * 39 / 40) - 1) < 0.02
    assert abs((m - mu.unsqueeze(1)).var() / (0.2**2 / 12 * 39 / 40) - 1) < 0.02
    spread = (m - mu.unsqueeze(1)).abs()
    assert spread.max() <= 0.2  # uniform: bounded, and its kurtosis is 1.8, not the normal's 3
    d = m - mu.unsqueeze(1)
    assert abs(d.pow(4).mean() / d.square().mean() ** 2 - 1.8) < 0.1
    e = s - sigma.unsqueeze(1)
    assert abs(e.pow(4).mean() / e.square().mean() ** 2 - 3) < 0.15
    # No two activations share their moments.
    assert abs(torch.corrcoef(torch.stack([mu[:, 0, 0], mu[:, 0, 1]]))[0, 1]) < 0.25
    assert abs(torch.corrcoef(torch.stack([mu[:, 0, 0], mu[:, 1, 0]]))[0, 1]) < 0.25


def test_there_is_noise_in_training_mode_only() -> None:
    layer, plain = ns.nn.NoisyNorm(3), ns.nn.BatchNorm(3)
    x = torch.randn(6, 3, 4)
    assert not torch.allclose(layer(x), plain(x))
    assert torch.equal(layer.running_var, plain.running_var)
    assert torch.equal(layer.eval()(x), plain.eval()(x))
    free, plain = (norm(3, track_running_stats=False).eval() for norm in (ns.nn.NoisyNorm, ns.nn.BatchNorm))
    assert torch.equal(free(x), plain(x))


def test_the_noise_comes_only_from_its_generator() -> None:
    x = torch.randn(6, 3, 4)
    runs = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        layer = ns.nn.NoisyNorm(3, generator=torch.Generator().manual_seed(5))
        runs.append([layer(x), layer(x)])
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][0], runs[0][1])


def test_the_gradient_is_scaled_by_the_same_noise_as_the_output() -> None:
    layer = ns.nn.NoisyNorm(2, gain=False)
    x = torch.ones(6, 2, 4)
    outputs, grads = [], []
    for z in (0.0, 1.0):
        torch.manual_seed(3)
        torch.nn.init.constant_(layer.bias, z)
        y = layer(x)
        outputs.append(y.detach())
        grads.append(torch.autograd.grad(y.sum(), layer.bias)[0])
    scale = outputs[1] - outputs[0]
    torch.testing.assert_close(grads[0], scale.sum((0, 2)), rtol=1e-5, atol=1e-5)
    assert torch.equal(grads[0], grads[1])


def test_stacked_layers_each_get_their_own_noise_if_vmap_asks_for_it() -> None:
    layers = [ns.nn.NoisyNorm(3) for _ in range(3)]
    parameters, buffers = stack_module_state(layers)
    x = torch.randn(6, 3, 4)

    def call(p: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(layers[0], (p, b), (x,))

    y = vmap(call, randomness="different")(parameters, buffers)
    assert not torch.allclose(y[0], y[1])
    quiet = ns.nn.BatchNorm(3)(x)
    assert abs((y - quiet).mean()) < 0.5
    layers[0].generator = torch.Generator()
    with pytest.raises(InputError, match="generator must be None"):
        vmap(call, randomness="different")(parameters, buffers)


def test_a_deep_copy_carries_the_generators_state() -> None:
    layer = ns.nn.NoisyNorm(3, generator=torch.Generator().manual_seed(5))
    x = torch.randn(6, 3, 4)
    layer(x)
    twin = copy.deepcopy(layer)
    assert torch.equal(layer(x), twin(x))


def test_no_noise_is_kept_for_the_backward_pass() -> None:
    x = torch.randn(6, 3, 4, requires_grad=True)
    saved: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ns.nn.NoisyNorm(3)(x)
    assert all(tensor.numel() <= 3 or tensor.data_ptr() == x.data_ptr() for tensor in saved)


def test_a_checkpointed_layer_with_a_generator_of_its_own_has_the_gradient_of_its_first_forward() -> None:
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        norm = ns.nn.NoisyNorm(3, generator=torch.Generator().manual_seed(3))
        x = torch.randn(8, 3, 4, requires_grad=True)
        y = checkpoint(norm, x, use_reentrant=False) if checkpointed else norm(x)
        y.square().sum().backward()
        found.append((y.detach(), x.grad, norm.weight.grad))
    for plain, recomputed in zip(*found, strict=True):
        assert torch.equal(plain, recomputed)
