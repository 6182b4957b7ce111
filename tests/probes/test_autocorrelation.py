"""The autocorrelation instrument against its definition and its laws."""

from __future__ import annotations

import importlib
import itertools
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import normscope as ns
from normscope.probes._autocorrelation import blocks, plan, stacks
from normscope.probes._autocorrelation.cost import cheapest_plan
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes._autocorrelation.instrument import carry_out


def every_patch(x: Tensor, kernel, stride, padding, dilation, mode="zeros") -> Tensor:
    """(B, M, C, taps): patch m holds the pixels at stride·m + dilation·i of the padded input."""
    x = x.double()
    pads = [side for lo, hi in reversed(padding) for side in (lo, hi)]
    if any(pads):
        x = F.pad(x, pads, mode="constant" if mode == "zeros" else mode)
    size = x.shape[2:]
    starts = [range(0, n - d * (k - 1), s) for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)]
    offsets = list(itertools.product(*(range(0, d * k, d) for k, d in zip(kernel, dilation, strict=True))))
    patches = []
    for start in itertools.product(*starts):
        pixels = [
            x[(slice(None), slice(None), *(a + b for a, b in zip(start, o, strict=True)))] for o in offsets
        ]
        patches.append(torch.stack(pixels, dim=-1))
    return torch.stack(patches, dim=1)


def brute_force(x, kernel, stride, padding, dilation, groups=1, mode="zeros") -> Tensor:
    """E[patch patchᵀ], (G, K/G, K/G)."""
    patches = every_patch(x, kernel, stride, padding, dilation, mode)
    batch, positions, channels, taps = patches.shape
    rows = patches.reshape(batch * positions, groups, channels // groups * taps)
    return torch.einsum("ngi,ngj->gij", rows, rows) / len(rows)


@st.composite
def convolutions(draw):
    """A small input and the arguments of a convolution that fits it."""
    n = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, (5, 4, 3)[n - 1])) for _ in range(n))
    dense = draw(st.booleans())
    stride = tuple(1 if dense else draw(st.integers(1, 3)) for _ in range(n))
    dilation = tuple(1 if dense else draw(st.integers(1, 3 if n == 1 else 2)) for _ in range(n))
    padding = tuple(draw(st.integers(0, 3 if n < 3 else 1)) for _ in range(n))
    size = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        least = max(1, d * (k - 1) + 1 - 2 * p)
        size.append(draw(st.integers(least, least + (7, 5, 2)[n - 1])))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    channels = groups * draw(st.integers(1, 3))
    batch = draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**16))
    x = torch.randn(
        batch, channels, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return x, {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


def grouped(x, kernel_size, stride, padding, dilation, groups):
    return brute_force(x, kernel_size, stride, [(p, p) for p in padding], dilation, groups)


def expected(x, **arguments):
    r = grouped(x, **arguments)
    return r if len(r) > 1 else r[0]


@settings(max_examples=80, deadline=None)
@given(convolutions())
def test_equals_the_mean_of_every_patchs_outer_product(case):
    x, arguments = case
    r = ns.probes.autocorrelation(x, **arguments)
    torch.testing.assert_close(r, expected(x, **arguments), rtol=0, atol=1e-10)


def means(x, **arguments):
    """The mean outer product by each plan, (G, K/G, K/G)."""
    geometry = Geometry.of(x.ndim - 2, **arguments)
    channels, size = x.shape[1] // geometry.groups, tuple(x.shape[2:])
    count = math.prod(geometry.output_size(size)) * len(x)
    rows = channels * geometry.taps
    shape = geometry, len(x), channels, size, x.element_size()
    for each in (*plan.plans(*shape), plan.accelerated_plan(*shape)):
        total = x.new_zeros(geometry.groups, rows, rows)
        carry_out(each, x, total)
        yield total / count


@pytest.fixture
def nan_in_new_memory():
    """What is allocated without a value holds NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("wide", "chunk", "kept", "few", "small"),
    [
        (plan.WIDE, plan.CHUNK, plan.KEPT, stacks.FEW, plan.SMALL),
        (1, 1, 0, 2, 0),
        (1, 200, 100, 2, 0),
        (10**9, 1, 100, 0, 10**9),
        (10**9, 200, 100, 2, 0),
        (10**9, 200, 0, 0, 0),
    ],
    ids=["as they are", "lags", "lags in parts", "looked up", "stacks in parts", "stacks"],
)
@pytest.mark.usefixtures("nan_in_new_memory")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=convolutions())
def test_every_plan_gives_the_same_exact_sums(monkeypatch, case, wide, chunk, kept, few, small):
    for constant, value in (
        ("WIDE", wide),
        ("CHUNK", chunk),
        ("KEPT", kept),
        ("SMALL", small),
        ("COLUMNS", 1),
    ):
        monkeypatch.setattr(plan, constant, value)
    monkeypatch.setattr(stacks, "FEW", few)
    monkeypatch.setattr(blocks, "STRIP", 5)
    x, arguments = case
    truth = grouped(x, **arguments)
    for mean in means(x, **arguments):
        assert torch.equal(mean, mean.mT)
        torch.testing.assert_close(mean, truth, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("batch", "channels", "size", "kernel", "depth"),
    [(128, 16, (32, 32), 3, 2), (64, 6, (14, 14), 5, 1), (2, 8, (4, 4), 3, 0), (64, 16, (32, 32), 1, 0)],
)
def test_dimensions_go_by_lags_where_images_are_large_and_kernels_are_not_1(
    batch, channels, size, kernel, depth
):
    assert cheapest_plan(Geometry.of(len(size), kernel), batch, channels, size, 4).depth == depth


@pytest.mark.parametrize("shape", [(1, 2, 7, 7), (8, 8, 20, 20)], ids=["unfolded", "by lags"])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_pads_as_the_layers_padding_mode_pads(shape, mode):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(12), dtype=torch.float64)
    r = ns.probes.autocorrelation(x, 3, padding=(1, 2), padding_mode=mode)
    truth = brute_force(x, (3, 3), (1, 1), [(1, 1), (2, 2)], (1, 1), mode=mode)[0]
    torch.testing.assert_close(r, truth, rtol=0, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_is_symmetric_to_the_bit_and_positive_semidefinite_to_rounding(case):
    x, arguments = case
    r = ns.probes.autocorrelation(x, **arguments)
    assert torch.equal(r, r.mT)
    values = torch.linalg.eigvalsh(r)
    assert bool((values[..., 0] >= -1e-13 * r.shape[-1] * values[..., -1].clamp_min(1)).all())


def test_orders_a_patch_as_unfold_does():
    x = torch.randn(3, 4, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    columns = F.unfold(x, (3, 2), dilation=2, padding=1, stride=(2, 1)).mT.reshape(-1, 24)
    r = ns.probes.autocorrelation(x, (3, 2), (2, 1), 1, 2)
    torch.testing.assert_close(r, columns.mT @ columns / len(columns), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 4, (2, 5)])
def test_same_padding_puts_the_odd_pixel_behind(kernel):
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    pads = [((k - 1) * 2 // 2, (k - 1) * 2 - (k - 1) * 2 // 2) for k in size]
    r = ns.probes.autocorrelation(x, kernel, padding="same", dilation=2)
    torch.testing.assert_close(r, brute_force(x, size, (1, 1), pads, (2, 2))[0], rtol=0, atol=1e-10)
    pads = [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in size]
    r = ns.probes.autocorrelation(x, kernel, padding="same")
    torch.testing.assert_close(r, brute_force(x, size, (1, 1), pads, (1, 1))[0], rtol=0, atol=1e-10)
    assert torch.equal(
        ns.probes.autocorrelation(x, kernel, padding="valid"), ns.probes.autocorrelation(x, kernel)
    )


def test_scaling_channels_scales_their_blocks():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 3, 6, 6, generator=generator, dtype=torch.float64)
    a = torch.tensor([2.0, 0.5, -4.0], dtype=torch.float64)  # powers of two: exact
    plain, scaled = (ns.probes.autocorrelation(v, 3, padding=1) for v in (x, x * a.view(3, 1, 1)))
    factor = a.repeat_interleave(9)
    assert torch.equal(scaled, plain * factor[:, None] * factor[None])


def test_permuting_channels_permutes_blocks():
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    order = torch.tensor([2, 0, 3, 1])
    plain, moved = (ns.probes.autocorrelation(v, 3, padding=1) for v in (x, x[:, order]))
    entries = (order[:, None] * 9 + torch.arange(9)).flatten()
    torch.testing.assert_close(moved, plain[entries][:, entries], rtol=0, atol=1e-12)


def test_groups_are_the_diagonal_blocks():
    x = torch.randn(2, 6, 6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    whole, groups = (ns.probes.autocorrelation(x, 3, padding=1, groups=g) for g in (1, 3))
    for g in range(3):
        block = slice(18 * g, 18 * (g + 1))
        torch.testing.assert_close(groups[g], whole[block, block], rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("pixel", [(0, 0, 0), (1, 2, 3), (1, 6, 6), (2, 0, 4)])
def test_a_value_that_is_not_finite_reaches_only_the_entries_it_belongs_to(value, pixel):
    x = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x[(1, *pixel)] = value
    r = ns.probes.autocorrelation(x, 3)
    truth = brute_force(x, (3, 3), (1, 1), [(0, 0)] * 2, (1, 1))[0]
    torch.testing.assert_close(r, truth, rtol=0, atol=1e-10, equal_nan=True)
    assert 0 < int(torch.isfinite(r).sum()) < r.numel()


@settings(max_examples=100, deadline=None)
@given(convolutions(), st.data())
def test_in_every_plan_a_nan_reaches_no_entry_that_it_does_not_belong_to(case, data):
    x, arguments = case
    x[tuple(data.draw(st.integers(0, n - 1)) for n in x.shape)] = float("nan")
    truth = grouped(x, **arguments)
    finite = truth.isfinite()
    for mean in means(x, **arguments):
        torch.testing.assert_close(mean[finite], truth[finite], rtol=0, atol=1e-10)
        if not any(arguments["padding"]):
            assert torch.equal(mean.isfinite(), finite)


def test_the_result_can_enter_a_graph_and_be_changed():
    r = ns.probes.autocorrelation(torch.randn(2, 3, 8, 8, requires_grad=True), 3)
    assert not r.requires_grad
    weight = torch.ones(27, 27, requires_grad=True)
    (r * weight).sum().backward()
    torch.testing.assert_close(weight.grad, r)
    r += 1


def test_a_pixel_no_patch_reaches_changes_nothing():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    truth = ns.probes.autocorrelation(x[:, :, :7, :7], 3, stride=2)
    x[:, :, 7], x[:, :, :, 7] = float("nan"), float("nan")
    torch.testing.assert_close(ns.probes.autocorrelation(x, 3, stride=2), truth, rtol=0, atol=1e-12)


def test_a_huge_border_cancels_nothing():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    x[:, :, 0], x[:, :, :, 0] = 1e9, 1e9
    r = ns.probes.autocorrelation(x, 3)
    truth = brute_force(x, (3, 3), (1, 1), [(0, 0)] * 2, (1, 1))[0]
    torch.testing.assert_close(r, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [70, 300])
def test_many_channels_are_multiplied_strip_by_strip(channels):
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(2, channels, 5, 4, generator=generator, dtype=torch.float64)
    truth = brute_force(x, (2, 2), (1, 1), [(1, 1)] * 2, (1, 1))
    for mean in means(x, kernel_size=2, padding=1):
        assert torch.equal(mean, mean.mT)
        torch.testing.assert_close(mean, truth, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(4, 16, 40), (4, 16, 20, 20), (2, 8, 8, 10, 10), (3, 40, 5, 5)])
def test_float32_is_within_1e_5_of_float64(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(8)) + 0.5
    single, double = (ns.probes.autocorrelation(v, 3, padding=1) for v in (x, x.double()))
    assert single.dtype == torch.float32
    assert float((single - double).abs().max() / double.abs().max()) < 1e-5


def test_half_precision_is_computed_in_single():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(9)).bfloat16()
    assert torch.equal(ns.probes.autocorrelation(x, 3), ns.probes.autocorrelation(x.float(), 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ns.probes.autocorrelation(x, 3), ns.probes.autocorrelation(x.float(), 3))


def test_memory_layout_changes_nothing_but_rounding():
    x = torch.randn(2, 8, 9, 9, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
    plain = ns.probes.autocorrelation(x, 3, padding=1)
    for other in (
        x.contiguous(memory_format=torch.channels_last),
        x.repeat(1, 1, 1, 2)[..., :9],
        x.expand(2, 8, 9, 9),
    ):
        torch.testing.assert_close(ns.probes.autocorrelation(other, 3, padding=1), plain, rtol=0, atol=1e-12)


def test_the_name_is_always_the_function():
    for _ in range(2):
        assert callable(ns.probes.autocorrelation)
        assert callable(ns.probes.spectrum)
        importlib.import_module("normscope.probes._autocorrelation")
        importlib.import_module("normscope.probes._spectrum")
