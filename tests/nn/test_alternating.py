import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError


def batches(count: int) -> list[Tensor]:
    return [torch.randn(6, 3, 4) * (1 + i) + i for i in range(count)]


@pytest.mark.parametrize("period", [1, 2, 3])
def test_every_period_th_batch_is_measured_and_its_moments_are_constants_until_the_next(period: int) -> None:
    layer = ns.nn.AlternatingNorm(3, period=period)
    measured: Tensor
    for index, x in enumerate(batches(7)):
        x.requires_grad_()
        if index % period == 0:
            measured = x.detach()
            expected = F.batch_norm(x, None, None, training=True)
        else:
            rows = measured.movedim(1, 0).flatten(1)
            expected = F.batch_norm(x, rows.mean(1), rows.var(1, correction=0))
        y = layer(x)
        torch.testing.assert_close(y, expected)
        upstream = torch.randn_like(y)
        (ours,), (theirs,) = (torch.autograd.grad(out, x, upstream) for out in (y, expected))
        torch.testing.assert_close(ours, theirs)
    assert int(layer.num_batches_seen) == 7


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_are_batch_norms_over_the_measured_batches(momentum: float | None) -> None:
    layer = ns.nn.AlternatingNorm(3, period=3, momentum=momentum)
    native = nn.BatchNorm1d(3, momentum=momentum)
    for index, x in enumerate(batches(7)):
        layer(x)
        if index % 3 == 0:
            native(x)
    for name, buffer in native.named_buffers():
        torch.testing.assert_close(layer.get_buffer(name), buffer)
    x = batches(1)[0]
    torch.testing.assert_close(layer.eval()(x), native.eval()(x))


def test_a_saved_schedule_is_taken_up_where_it_was_left() -> None:
    layer, loaded = ns.nn.AlternatingNorm(3, period=3), ns.nn.AlternatingNorm(3, period=3)
    first, second, *rest = batches(7)
    layer(first), layer(second)
    loaded.load_state_dict(layer.state_dict())
    for x in rest:
        assert torch.equal(layer(x), loaded(x))


def test_evaluation_does_not_move_the_schedule() -> None:
    layer = ns.nn.AlternatingNorm(3)
    layer(batches(1)[0])
    layer.eval()(batches(1)[0])
    assert int(layer.num_batches_seen) == 1


def test_a_backward_pass_may_come_after_the_next_measured_batch() -> None:
    layer = ns.nn.AlternatingNorm(3)
    losses = [layer(x).square().sum() for x in batches(4)]
    torch.stack(losses).sum().backward()


def test_the_step_without_branches_is_the_step() -> None:
    layer, other = (ns.nn.AlternatingNorm(3, period=2, momentum=None) for _ in range(2))
    for x in batches(5):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, z = layer(a), other._without_branches(b)
        torch.testing.assert_close(y, z)
        upstream = torch.randn_like(y)
        torch.testing.assert_close(
            *(torch.autograd.grad(out, at, upstream)[0] for out, at in ((y, a), (z, b))), rtol=1e-4, atol=1e-5
        )
        for p, q in zip(layer.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(p, q)


@pytest.mark.parametrize("period", [0, -1, 2.0, True])
def test_a_bad_period_is_refused(period: int) -> None:
    with pytest.raises(InputError, match="period must be a whole number of at least 1"):
        ns.nn.AlternatingNorm(3, period=period)
