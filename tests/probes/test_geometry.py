"""The arguments of a convolution that are refused, and those that are taken."""

import numpy as np
import pytest
import torch

import normscope as ns
from normscope.errors import InputError


@pytest.mark.parametrize(
    ("shape", "arguments", "says"),
    [
        ((2, 3, 8, 8), {"kernel_size": 3, "groups": True}, "groups must be a positive integer"),
        ((2, 3), {"kernel_size": 3}, "must be a tensor"),
        ((2, 3, 8, 8), {"kernel_size": 0}, "kernel_size"),
        ((2, 3, 8, 8), {"kernel_size": (3, 3, 3)}, "kernel_size"),
        ((2, 3, 8, 8), {"kernel_size": 3, "stride": 0}, "stride"),
        ((2, 3, 8, 8), {"kernel_size": 3, "padding": -1}, "padding"),
        ((2, 3, 8, 8), {"kernel_size": 3, "padding": "full"}, "padding"),
        ((2, 3, 8, 8), {"kernel_size": 3, "padding": "same", "stride": 2}, "same"),
        ((2, 3, 8, 8), {"kernel_size": 3, "dilation": 0}, "dilation"),
        ((2, 3, 8, 8), {"kernel_size": 3, "groups": 2}, "groups"),
        ((2, 3, 8, 8), {"kernel_size": 3, "padding_mode": "mirror"}, "padding_mode"),
        ((2, 3, 8, 8), {"kernel_size": 9}, "does not fit"),
        ((2, 3, 8, 8), {"kernel_size": 3, "padding": 8, "padding_mode": "reflect"}, "too wide"),
        ((2, 3, 8, 8), {"kernel_size": 3.0}, "whole numbers"),
        ((2, 3, 8, 8), {"kernel_size": torch.tensor([3, 3])}, "whole numbers"),
        ((2, 3, 8, 8), {"kernel_size": (3, None)}, "whole numbers"),
        ((0, 3, 8, 8), {"kernel_size": 3}, "holds no values"),
    ],
)
def test_a_bad_argument_is_refused_in_one_sentence(shape, arguments, says):
    with pytest.raises(InputError, match=says) as refusal:
        ns.probes.autocorrelation(torch.zeros(shape), **arguments)
    assert "\n" not in str(refusal.value)


def test_whole_numbers_are_refused():
    with pytest.raises(InputError, match="floating-point"):
        ns.probes.autocorrelation(torch.zeros(2, 3, 8, 8, dtype=torch.int64), 3)


@pytest.mark.parametrize("kernel", [np.int64(3), torch.tensor(3), (np.int32(3), 3)])
def test_other_libraries_whole_numbers_are_whole_numbers(kernel):
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ns.probes.autocorrelation(x, kernel), ns.probes.autocorrelation(x, 3))


@pytest.mark.parametrize("x", [torch.zeros(2, 3, 8, device="meta"), torch.zeros(2, 3, 8).to_sparse()])
def test_an_input_whose_values_cannot_be_read_is_refused(x):
    with pytest.raises(InputError, match="no values that can be read"):
        ns.probes.autocorrelation(x, 3)
