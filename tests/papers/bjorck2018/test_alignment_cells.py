"""The cells of Tables 1 and 4 and Figs. 22 and 23, run for real on shallow networks, against written-out terms."""

import dataclasses

import numpy as np
import pytest
import torch

from normscope.papers.bjorck2018.cells import recipe
from normscope.papers.bjorck2018.cells.alignment import (
    BINS,
    PICKS,
    SUMS,
    LayerAlignment,
    WeightAlignment,
    layer_alignment,
    weight_alignment,
    weight_terms,
)
from normscope.papers.bjorck2018.cells.configuration import AtInitialisation

CONFIG = AtInitialisation("batch", seed=1, data="mnist5k", images=64, depth=8, batch=4)
NAMES = {1: "stem.conv", 3: "blocks.0.second.conv", 6: "blocks.2.first.conv"}
EVERY_NORM = pytest.mark.parametrize("norm", ["none", "batch"])


def setting(kind, norm, **more):
    return kind(**dataclasses.asdict(CONFIG) | {"norm": norm} | more)


def written_out(config, number):
    """Every term of a layer, (weights, images, positions), from ``unfold`` and the gradient kept at the output."""
    start, seen = recipe.start(config), {}
    layer = start.model.get_submodule(NAMES[number])

    def keep(_, args, output):
        output.retain_grad()
        seen.update(x=args[0].detach(), out=output)

    layer.register_forward_hook(keep)
    torch.nn.functional.cross_entropy(start.model(start.x), start.y).backward()
    patches = torch.nn.functional.unfold(seen["x"].double(), 3, padding=1, stride=layer.stride)
    gradient = seen["out"].grad.double().flatten(2)
    return torch.einsum("bop,bkp->okbp", gradient, patches).flatten(0, 1).numpy()


def four(terms):
    return [
        abs(terms).sum((1, 2)),
        abs(terms.sum(2)).sum(1),
        abs(terms.sum(1)).sum(1),
        abs(terms.sum((1, 2))),
    ]


@EVERY_NORM
def test_a_layers_four_sums_are_those_of_its_written_out_terms(norm):
    config = setting(LayerAlignment, norm, layers=tuple(NAMES))
    found = layer_alignment(config).to_pandas().set_index(["layer", "measure"])["value"]
    for number, name in NAMES.items():
        terms = written_out(config, number)
        expected = [one.mean() / terms[0].size for one in four(terms)]
        np.testing.assert_allclose(found[name][list(SUMS)], expected, rtol=1e-3)
        assert found[name, "nonfinite"] == 0


@EVERY_NORM
def test_a_weights_sums_are_those_of_its_written_out_terms(norm):
    config = setting(WeightAlignment, norm, layer_number=6)
    table = weight_alignment(config).to_pandas()
    terms = written_out(config, 6)
    absolute, _, _, gradient = (one / terms[0].size for one in four(terms))
    for measure, expected in (("abs_terms", absolute), ("abs_gradient", gradient)):
        found = table[table["measure"] == measure]
        assert found["index"].tolist() == list(range(len(terms)))
        np.testing.assert_allclose(found["value"], expected, rtol=1e-3, atol=1e-4 * absolute.max())
    assert set(table["layer"]) == {NAMES[6]}


@EVERY_NORM
def test_the_picked_weights_have_the_largest_and_the_median_gradient_and_their_own_terms(norm):
    config = setting(WeightAlignment, norm, layer_number=6)
    table = weight_terms(config).to_pandas()
    terms = written_out(config, 6)
    sizes = np.sort(abs(terms.sum((1, 2)))[abs(terms).sum((1, 2)) > 0])
    for pick, size in zip(PICKS, (sizes[-1], sizes[(len(sizes) - 1) // 2]), strict=True):
        rows = table[table["measure"].str.startswith(f"{pick}_")]
        found = rows[rows["index"].isna()].set_index("measure")["value"]
        own = terms[int(found[f"{pick}_weight"])]
        assert abs(own.sum()) == pytest.approx(size, rel=1e-2)
        expected = {"alignment": abs(own.sum()) / abs(own).sum(), "mean": own.mean(), "std": own.std()}
        assert [found[f"{pick}_{name}"] for name in expected] == pytest.approx(
            list(expected.values()), rel=1e-2
        )
        assert found[f"{pick}_zeros"] == pytest.approx((own == 0).mean())
        edges, counts = (
            rows.loc[rows["measure"] == f"{pick}_{m}", "value"] for m in ("bin_edge", "bin_count")
        )
        assert (len(edges), len(counts), counts.sum()) == (BINS + 1, BINS, own.size)
        assert (edges.min(), edges.max()) == pytest.approx((-abs(own).max(), abs(own).max()), rel=1e-3)


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINTS = {
    layer_alignment: ({"layers": (3, 6)}, {"abs_terms": 3.02706e-4, "abs_gradient": 3.36756e-5}),
    weight_alignment: ({"layer_number": 6}, {"abs_terms": 3.58714, "abs_gradient": 0.538669}),
    weight_terms: ({"layer_number": 6}, {"largest_mean": 3.64234e-4, "median_std": 3.84060e-4}),
}


@pytest.mark.parametrize("function", FINGERPRINTS, ids=lambda function: function.name)
def test_the_rows_of_this_version_have_not_moved(function):
    more, expected = FINGERPRINTS[function]
    assert function.version == 1
    table = function(setting(function.config_type, "batch", **more)).to_pandas()
    sizes = table["value"].abs().groupby(table["measure"]).sum()
    assert {measure: sizes[measure] for measure in expected} == pytest.approx(expected, rel=2e-3)
