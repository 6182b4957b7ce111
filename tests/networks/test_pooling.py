import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from normscope.networks.pooling import AveragePool


@pytest.mark.parametrize("shape", [(3, 2, 28, 28), (1, 16, 10, 10), (2, 3, 5, 8), (2, 3, 4, 7), (2, 1, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_the_frameworks(shape, dtype):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype, requires_grad=True)
    found, truth = AveragePool()(x), avg_pool2d(x, 2)
    weights = torch.randn_like(truth)
    torch.testing.assert_close(found, truth)
    one, other = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (found, truth))
    torch.testing.assert_close(one, other)


def test_another_memory_layout_gives_the_same():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    there = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(AveragePool()(there), avg_pool2d(x, 2))


def test_it_adds_nothing_to_what_is_saved_or_trained():
    pool = AveragePool()
    assert isinstance(pool, nn.Module)
    assert not pool.state_dict()
    assert not list(pool.parameters())
