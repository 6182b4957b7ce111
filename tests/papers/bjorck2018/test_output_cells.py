"""The cells of Figs. 3, 4, 13, 14, 20 and 21, run for real on shallow networks, against a few lines of torch."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from normscope.papers.bjorck2018.cells import recipe
from normscope.papers.bjorck2018.cells.activations import BINS, SomeLayers, activation_histograms, sum_name
from normscope.papers.bjorck2018.cells.classes import QUANTILES, OneKernel, kernel_by_class
from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.moments import channel_moments
from normscope.papers.bjorck2018.cells.outputs import logit_gradients

CONFIG = AtInitialisation("batch", seed=1, data="mnist5k", images=64, depth=8, batch=8)
NETWORKS = ["none", "batch"]
CONVOLUTIONS = [
    "stem.conv",
    *(f"blocks.{block}.{unit}.conv" for block in range(3) for unit in ("first", "second")),
]


@pytest.fixture(autouse=True)
def _one_thread():
    """Cells run as in a worker process, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def setting(norm, kind=AtInitialisation, **more):
    return kind(**dataclasses.asdict(CONFIG) | {"norm": norm} | more)


@pytest.mark.parametrize("norm", NETWORKS)
def test_a_convolutions_moments_are_those_that_the_norm_after_it_measures(norm):
    found = channel_moments(setting(norm)).to_pandas().set_index(["layer", "measure"])["value"]
    start, outputs = recipe.start(setting(norm)), {}
    for name in CONVOLUTIONS:
        start.model.get_submodule(name).register_forward_hook(
            lambda _, args, y, name=name: outputs.update({name: y.detach().double()})
        )
    start.model(start.x)
    assert len(found) == 4 * len(CONVOLUTIONS)
    for name in CONVOLUTIONS:
        channels = outputs[name].movedim(1, 0).flatten(1)
        sizes, variances = channels.mean(1).abs(), channels.var(1, correction=0)
        expected = {
            "mean_abs": sizes.mean(),
            "mean_abs_spread": sizes.std(correction=0),
            "variance": variances.mean(),
            "variance_spread": variances.std(correction=0),
        }
        for measure, value in expected.items():
            assert found[name, measure] == pytest.approx(value.item(), rel=1e-9)


@pytest.mark.parametrize("norm", NETWORKS)
def test_a_logits_gradient_is_the_softmax_less_one_at_the_label(norm):
    table = logit_gradients(setting(norm)).to_pandas()
    start = recipe.start(setting(norm))
    logits = start.model(start.x).detach()
    expected = {"logit": logits, "gradient": logits.double().softmax(1) - F.one_hot(start.y, 10)}
    for measure, values in expected.items():
        rows = table[table["measure"] == measure]
        found = rows.pivot(index="index", columns="channel", values="value")
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-6)
    labels = table[table["measure"] == "label"].set_index("index")["value"]
    assert labels.tolist() == start.y.tolist()


@pytest.mark.parametrize("norm", NETWORKS)
def test_a_classs_gradient_of_a_kernel_is_that_with_the_other_logits_held_fixed(norm):
    table = kernel_by_class(setting(norm, OneKernel, kernel=4)).to_pandas()
    start = recipe.start(setting(norm))
    for number in range(10):
        logits = start.model(start.x)
        kept = torch.where(torch.arange(10) == number, logits, logits.detach())
        weight = start.model.blocks[1].first.conv.weight
        sizes = torch.autograd.grad(F.cross_entropy(kept, start.y), weight)[0].abs().double().flatten()
        rows = table[(table["channel"] == number) & (table["layer"] == "blocks.1.first.conv")]
        values = rows.set_index(["measure", "index"])["value"]
        assert values["mean_abs"].item() == pytest.approx(sizes.mean().item(), rel=1e-4)
        quantiles = rows[rows["measure"] == "quantile_abs"].sort_values("index")["value"]
        expected = np.quantile(sizes.numpy(), np.arange(QUANTILES + 1) / QUANTILES)
        np.testing.assert_allclose(quantiles, expected, rtol=1e-3, atol=1e-5 * expected[-1])
        median = rows.loc[rows["measure"] == "median_abs", "value"].item()
        assert median == pytest.approx(expected[QUANTILES // 2], rel=1e-3)
    guesses = start.model(start.x).argmax(1)
    favoured = table[table["measure"] == "favoured"].set_index("channel")["value"]
    assert favoured.tolist() == [(guesses == number).float().mean().item() for number in range(10)]


@pytest.mark.parametrize("norm", NETWORKS)
def test_activations_are_of_the_second_unit_and_of_its_sum_with_the_shortcut(norm):
    table = activation_histograms(setting(norm, SomeLayers, layers=(3, 5))).to_pandas()
    start, expected = recipe.start(setting(norm)), {}
    x = torch.relu(start.model.stem(start.x))
    for number, block in enumerate(start.model.blocks[:2]):
        branch = block.second(torch.relu(block.first(x)))
        sums = branch.clone()
        sums[:, : x.shape[1]] += x[:, :, :: block.stride, :: block.stride]
        expected |= {f"blocks.{number}.second": branch, f"blocks.{number}.sum": sums}
        x = torch.relu(sums)
    assert [sum_name(layer) for layer in (3, 5)] == ["blocks.0.sum", "blocks.1.sum"]
    assert set(table["layer"]) == set(expected)
    for name, output in expected.items():
        rows = table[table["layer"] == name]
        values = output.detach().double().movedim(1, 0).flatten(1).numpy()
        edges = rows[rows["measure"] == "edge"].sort_values("index")["value"].to_numpy()
        np.testing.assert_allclose(
            edges, np.linspace(values.min(), values.max(), BINS + 1), rtol=1e-6, atol=1e-9
        )
        counts = (
            rows[rows["measure"] == "count"]
            .pivot(index="channel", columns="index", values="value")
            .to_numpy()
        )
        ours = np.array([np.histogram(channel, edges)[0] for channel in values])
        assert np.abs(counts - ours).sum() <= 1e-4 * ours.sum()  # a sum's last digit may move it over an edge
        by_channel = rows[rows["measure"].isin(["positive", "negative", "mean", "std"])]
        found = by_channel.pivot(index="channel", columns="measure", values="value")
        np.testing.assert_allclose(found["positive"], (values > 0).mean(1), atol=1e-3)
        np.testing.assert_allclose(found["negative"], (values < 0).mean(1), atol=1e-3)
        np.testing.assert_allclose(found["mean"], values.mean(1), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["std"], values.std(1), rtol=1e-5)


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINTS = {
    "bjorck2018.channel_moments": (channel_moments, AtInitialisation, "variance", 2.67985),
    "bjorck2018.output_gradients": (logit_gradients, AtInitialisation, "logit", 3.87041),
    "bjorck2018.class_gradients": (kernel_by_class, OneKernel, "mean_abs", 0.0295636),
    "bjorck2018.activation_histograms": (activation_histograms, SomeLayers, "std", 102.442),
}
SETTINGS = {OneKernel: {"kernel": 4}, SomeLayers: {"layers": (3, 5)}}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_the_rows_of_this_version_have_not_moved(name):
    function, kind, measure, expected = FINGERPRINTS[name]
    assert (function.name, function.version) == (name, 1)
    table = function(setting("batch", kind, **SETTINGS.get(kind, {}))).to_pandas()
    found = table.loc[table["measure"] == measure, "value"].sum()
    assert found == pytest.approx(expected, rel=2e-3)
