"""Under ``torch.utils.checkpoint`` the norms that choose or draw repeat what they did."""

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import normscope as ns
from normscope.errors import InputError

Make = Callable[[], nn.Module]

NORMS: dict[str, Make] = {
    "alternating": lambda: ns.nn.AlternatingNorm(3),
    "alternating, period 3": lambda: ns.nn.AlternatingNorm(3, period=3),
    "noisy": lambda: ns.nn.NoisyNorm(3),
    "noisy, own generator": lambda: ns.nn.NoisyNorm(3, generator=torch.Generator().manual_seed(4)),
}
ALTERNATING = {name: make for name, make in NORMS.items() if name.startswith("alternating")}

every_norm = pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
every_alternating_norm = pytest.mark.parametrize("make", ALTERNATING.values(), ids=ALTERNATING)
both_kinds = pytest.mark.parametrize("use_reentrant", [True, False])


def first(norm: nn.Module) -> nn.Module:
    return nn.Sequential(norm, nn.Conv2d(3, 3, 1), nn.Tanh())


def in_the_middle(norm: nn.Module) -> nn.Module:
    # What comes after the norm keeps the norm's output for its own backward pass.
    return nn.Sequential(nn.Conv2d(3, 3, 1), norm, nn.Tanh(), nn.Dropout(0.5), nn.Conv2d(3, 2, 1), nn.Tanh())


def called_three_times(norm: nn.Module) -> nn.Module:
    return nn.Sequential(norm, nn.Conv2d(3, 3, 1), norm, nn.Tanh(), norm, nn.Dropout(0.5), nn.Conv2d(3, 2, 1))


@dataclasses.dataclass
class Trained:
    gradients: list[Tensor]
    norm: nn.Module
    next_draw: Tensor


def trained(network: nn.Module, call: Callable[[nn.Module, Tensor], Tensor], per_step: int) -> Trained:
    """Three steps of gradient descent, each on the sum of ``per_step`` losses."""
    torch.manual_seed(1)
    data = torch.Generator().manual_seed(9)
    gradients = []
    for _ in range(3):
        batches = [torch.randn(4, 3, 2, 2, generator=data).requires_grad_() for _ in range(per_step)]
        network.zero_grad()
        torch.stack([call(network, x).square().sum() for x in batches]).sum().backward()
        gradients += [p.grad.clone() for p in network.parameters()] + [x.grad for x in batches]
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.01 * parameter.grad
    norm = next(m for m in network.modules() if isinstance(m, ns.nn.AlternatingNorm | ns.nn.NoisyNorm))
    return Trained(gradients, norm, torch.rand(3))


@every_norm
@both_kinds
@pytest.mark.parametrize("network", [first, in_the_middle, called_three_times])
@pytest.mark.parametrize("per_step", [1, 3])
def test_the_gradients_are_those_without_a_checkpoint(
    make: Make, use_reentrant: bool, network: Callable[[nn.Module], nn.Module], per_step: int
) -> None:
    model = network(make())
    plain = trained(copy.deepcopy(model), lambda m, x: m(x), per_step)
    saved = trained(model, lambda m, x: checkpoint(m, x, use_reentrant=use_reentrant), per_step)
    for a, b in zip(plain.gradients, saved.gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert torch.equal(plain.next_draw, saved.next_draw)
    if (generator := getattr(plain.norm, "generator", None)) is not None:
        assert torch.equal(generator.get_state(), saved.norm.generator.get_state())


@every_alternating_norm
@both_kinds
def test_neither_schedule_nor_statistics_run_on_in_the_recomputation(make: Make, use_reentrant: bool) -> None:
    model = in_the_middle(make())
    plain = trained(copy.deepcopy(model), lambda m, x: m(x), per_step=3).norm
    saved = trained(model, lambda m, x: checkpoint(m, x, use_reentrant=use_reentrant), per_step=3).norm
    assert int(plain.num_batches_seen) == 9
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(buffer, saved.get_buffer(name), msg=name)


@every_norm
@both_kinds
def test_every_segment_may_be_a_checkpoint_of_its_own(make: Make, use_reentrant: bool) -> None:
    model = nn.Sequential(*(in_the_middle(make())[:4] for _ in range(2)))

    def in_segments(m: nn.Module, x: Tensor) -> Tensor:
        for segment in m:
            x = checkpoint(segment, x, use_reentrant=use_reentrant)
        return x

    plain = trained(copy.deepcopy(model), lambda m, x: m(x), per_step=2)
    saved = trained(model, in_segments, per_step=2)
    for a, b in zip(plain.gradients, saved.gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@every_norm
@both_kinds
def test_the_same_batch_again_is_told_apart_by_its_turn(make: Make, use_reentrant: bool) -> None:
    """The norm comes first, so all its inputs are equal; backward passes run from the latest to the first."""
    x = torch.randn(4, 3, 2, 2)
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(3)
        model = first(make())
        losses = []
        for _ in range(4):
            at = x.clone().requires_grad_()
            y = checkpoint(model, at, use_reentrant=use_reentrant) if checkpointed else model(at)
            losses.append((y.square().sum(), at))
        for loss, _ in reversed(losses):
            loss.backward()
        found.append([at.grad for _, at in losses])
    for plain, saved in zip(*found, strict=True):
        torch.testing.assert_close(plain, saved)
    assert not torch.allclose(found[0][0], found[0][1])


@both_kinds
def test_a_pass_may_be_recomputed_twice(use_reentrant: bool) -> None:
    model = in_the_middle(ns.nn.AlternatingNorm(3))
    x = torch.randn(4, 3, 2, 2, requires_grad=True)
    model(torch.randn(4, 3, 2, 2))
    y = checkpoint(model, x, use_reentrant=use_reentrant).square().sum()
    checkpoint(model, torch.randn(4, 3, 2, 2, requires_grad=True), use_reentrant=use_reentrant)
    y.backward(retain_graph=True)
    once = x.grad.clone()
    y.backward()
    torch.testing.assert_close(x.grad, 2 * once)


class Reversible(torch.autograd.Function):
    """Calls a module again in its backward pass, on an input that it computed again with some rounding."""

    @staticmethod
    def forward(ctx: object, x: Tensor, module: nn.Module) -> Tensor:
        ctx.module = module
        ctx.save_for_backward(x)
        return module(x)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        again = (x * (1 + 1e-6)).detach().requires_grad_()
        with torch.enable_grad():
            y = ctx.module(again)
        return torch.autograd.grad(y, again, grad)[0], None


def test_a_recomputation_whose_input_is_off_by_rounding_is_recognized() -> None:
    norm = ns.nn.AlternatingNorm(3)
    norm(torch.randn(4, 3))
    x = torch.randn(4, 3, requires_grad=True)
    y = Reversible.apply(x, norm)
    expected = torch.nn.functional.batch_norm(x, norm.latest_mean.clone(), norm.latest_var.clone())
    for _ in range(3):
        Reversible.apply(torch.randn(4, 3), norm)
    upstream = torch.randn(4, 3)
    theirs = torch.autograd.grad(expected, x, upstream)[0]
    torch.testing.assert_close(torch.autograd.grad(y, x, upstream)[0], theirs)


@pytest.mark.parametrize("name", ["alternating", "noisy, own generator"])
def test_training_on_a_new_input_during_a_backward_pass_is_refused_in_one_sentence(name: str) -> None:
    norm, x = NORMS[name](), torch.randn(4, 3, requires_grad=True)
    norm(x)
    y = x * 2
    y.register_hook(lambda grad: norm(torch.randn(4, 3)).detach())
    with pytest.raises(InputError, match="only a checkpoint's recomputation of one of these is allowed") as e:
        y.sum().backward()
    assert "\n" not in str(e.value)


def test_a_pass_that_is_too_long_ago_is_refused_and_never_mistaken() -> None:
    norm = ns.nn.AlternatingNorm(3)
    x = torch.randn(4, 3, requires_grad=True)
    y = checkpoint(norm, x, use_reentrant=True)
    for _ in range(64):
        checkpoint(norm, torch.randn(4, 3, requires_grad=True), use_reentrant=True)
    with pytest.raises(InputError, match="none of its latest 64 checkpointed forward passes had"):
        y.sum().backward()


@pytest.mark.parametrize("outer", ["compile", "checkpoint"])
def test_a_compiled_alternating_norm_refuses_a_checkpoint_in_one_sentence(outer: str) -> None:
    torch._dynamo.reset()
    norm, x = ns.nn.AlternatingNorm(3), torch.randn(4, 3, requires_grad=True)
    if outer == "compile":
        y = torch.compile(lambda x: checkpoint(norm, x, use_reentrant=False).sin(), backend="aot_eager")(x)
    else:
        y = checkpoint(torch.compile(norm, backend="aot_eager"), x, use_reentrant=False).sin()
    with pytest.raises(InputError, match="compile the layer or checkpoint it, not both") as caught:
        y.sum().backward()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("outer", ["compile", "checkpoint"])
def test_a_compiled_noisy_norm_has_the_same_noise_again(outer: str) -> None:
    model, x = in_the_middle(ns.nn.NoisyNorm(3)), torch.randn(4, 3, 2, 2)
    found = []
    for checkpointed in (False, True):
        torch._dynamo.reset()
        one, at = copy.deepcopy(model), x.clone().requires_grad_()
        compiled = torch.compile(one, backend="aot_eager")
        if not checkpointed:
            call = compiled
        elif outer == "compile":
            call = torch.compile(
                lambda x, one=one: checkpoint(one, x, use_reentrant=False), backend="aot_eager"
            )
        else:
            call = lambda x, compiled=compiled: checkpoint(compiled, x, use_reentrant=False)  # noqa: E731
        torch.manual_seed(3)
        call(at).square().sum().backward()
        found.append([at.grad, *(p.grad for p in one.parameters())])
    for plain, saved in zip(*found, strict=True):
        torch.testing.assert_close(plain, saved)


def test_ordinary_training_and_copies_keep_nothing() -> None:
    norm = ns.nn.AlternatingNorm(3)
    for _ in range(3):
        norm(torch.randn(4, 3, requires_grad=True)).sum().backward()
    assert len(norm._passes._kept) == 0
    with torch.no_grad():
        norm(torch.randn(4, 3))
    assert len(norm._passes._kept) == 1
    assert len(copy.deepcopy(norm)._passes._kept) == 0


def test_without_its_noise_a_noisy_norm_in_training_mode_is_batch_norm_and_draws_nothing() -> None:
    noisy, plain, x = ns.nn.NoisyNorm(3), ns.nn.BatchNorm(3), torch.randn(4, 3, 5)
    noisy.noise = False
    state = torch.get_rng_state()
    assert torch.equal(noisy(x), plain(x))
    assert torch.equal(noisy.running_var, plain.running_var)
    assert torch.equal(torch.get_rng_state(), state)
