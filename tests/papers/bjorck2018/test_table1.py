"""Table 1's claims on the paper's numbers and on others, and the table that is drawn."""

import math

import numpy as np
import pytest
from alignment_tables import layer_rows
from chai_tables import without

from normscope.papers.bjorck2018.cells.alignment import SUMS
from normscope.papers.bjorck2018.readings.alignment import LAYERS, WORDS, published
from normscope.papers.bjorck2018.table1 import EXPERIMENT, agreement, cancellation, growth
from normscope.protocol import Verdict, empty_table

# Table 1 as the paper's text has it, column by column, "BN" above "unnormalized", layers 18, 54 and 90.
COLUMNS = (
    "7.44509e-05 1.90210e-05 6.62426e-06 6.31433e-05 2.19251e-04 2.59182e-04",
    "4.56393e-06 2.49563e-06 3.24293e-06 3.65324e-05 8.63927e-05 1.59253e-04",
    "1.30080e-05 3.31031e-06 1.12625e-06 4.06954e-05 1.54601e-04 1.80002e-04",
    "2.95631e-07 1.68555e-07 1.62689e-07 3.63081e-05 8.35946e-05 1.23079e-04",
)
ROWS = [("batch", 18), ("batch", 54), ("batch", 90), ("none", 18), ("none", 54), ("none", 90)]


def paper(**changes):
    """The paper's numbers in millionths; ``none_18=(…)`` replaces a row."""
    sums = {
        norm: {number: list(published(norm, number).values()) for number in LAYERS}
        for norm in ("none", "batch")
    }
    for row, values in changes.items():
        norm, number = row.split("_")
        sums[norm][int(number)] = values
    return sums


def ratio(value, gradient=10.0):
    """The four sums of a layer whose first column is ``value`` times its last, which is ``gradient``."""
    return (gradient * value, gradient, gradient, gradient)


def test_the_published_numbers_are_those_of_the_papers_text():
    for column, numbers in zip(SUMS, COLUMNS, strict=True):
        found = [published(norm, number)[column] for norm, number in ROWS]
        assert found == pytest.approx([1e6 * float(one) for one in numbers.split()])


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("number", [18, 19, 54, 55, 90, 91])
def test_no_published_sum_is_larger_than_one_with_more_absolute_values(norm, number):
    """The order of the columns, which the text has lost, is the only one that fits."""
    terms, by_example, by_position, gradient = published(norm, number).values()
    for larger, smaller in (
        (terms, by_example),
        (terms, by_position),
        (by_example, gradient),
        (by_position, gradient),
    ):
        assert not larger < smaller


def test_every_claim_holds_on_the_papers_numbers_which_stand_beside_the_measured_ones():
    claims = EXPERIMENT.claims(layer_rows(paper()))
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 3
    for claim in claims:
        assert set(claim.published) <= set(claim.measured)
        for name, value in claim.published.items():
            assert claim.measured[name] == pytest.approx(value, rel=2e-3)
    for word in WORDS.values():
        assert f"{word} ×1e6, layer 54, BN" in claims[0].published


@pytest.mark.parametrize(("number", "bound"), [(18, 5), (54, 5), (90, 3)])
def test_bn_must_cancel_so_many_times_more_at_each_layer(number, bound):
    for factor, verdict in ((1.02, Verdict.HOLDS), (0.98, Verdict.FAILS)):
        changes = {f"none_{number}": ratio(2), f"batch_{number}": ratio(2 * factor * bound)}
        assert cancellation(layer_rows(paper(**changes))).verdict is verdict


def test_seeds_scattered_about_the_bound_do_not_decide():
    table = layer_rows(paper(none_90=ratio(2), batch_90=ratio(6)), scatter=0.05)
    assert cancellation(table).verdict is Verdict.UNDECIDED


def test_the_layers_around_are_reported_but_not_judged():
    sums = paper()
    for norm in sums:
        sums[norm][17] = ratio(1)
    claim = cancellation(layer_rows(sums))
    assert claim.verdict is Verdict.HOLDS
    assert claim.measured["Σ|d| / |Σ d|, layer 17, BN"] == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize("number", LAYERS)
def test_without_norms_the_sums_must_agree_within_a_factor_of_ten_at_each_layer(number):
    assert agreement(layer_rows(paper(**{f"none_{number}": ratio(9.9)}))).verdict is Verdict.HOLDS
    assert agreement(layer_rows(paper(**{f"none_{number}": ratio(10.1)}))).verdict is Verdict.FAILS


@pytest.mark.parametrize(
    "changes", [{"none_54": ratio(2, 36)}, {"none_90": ratio(2, 83)}, {"none_18": ratio(2, 84)}]
)
def test_gradients_that_do_not_grow_from_layer_to_layer_are_no_growth(changes):
    assert growth(layer_rows(paper(**changes))).verdict is Verdict.FAILS


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_at_another_depth_or_batch_or_without_its_rows(rule):
    at_18 = {norm: {18: ratio(2)} for norm in ("none", "batch")}
    others = [layer_rows(paper(), depth=56), layer_rows(paper(), batch=64), layer_rows(paper(), seeds=1)]
    tables = [empty_table(), *others, without(layer_rows(paper()), norm="none"), layer_rows(at_18)]
    claims = [rule(table) for table in tables]
    assert [claim.verdict for claim in claims] == [Verdict.NOT_JUDGED] * 6
    assert "this one has 56" in claims[1].reason
    assert "128 images, and this one 64" in claims[2].reason


def test_networks_whose_gradients_are_not_finite_do_not_hold_anything():
    broken = layer_rows(paper())
    broken.loc[broken["norm"] == "none", "value"] = np.nan
    assert not any(claim.holds for claim in EXPERIMENT.claims(broken))
    EXPERIMENT.figure(broken)


def test_the_table_shows_each_number_with_the_papers_in_brackets():
    sums = paper()
    sums["batch"][17] = (1234.0, 99.0, 1.2345, 0.0)
    left, right, below = EXPERIMENT.figure(layer_rows(sums, scatter=0.0)).axes
    assert (left.get_title(), right.get_title()) == ("(a) unnormalized", "(b) BN")
    texts = {place: cell.get_text().get_text() for place, cell in below.tables[0].get_celld().items()}
    assert [texts[1, column] for column in range(-1, 4)] == ["layer 17, BN", "1,234", "99", "1.23", "0"]
    assert [texts[2, column] for column in (-1, 0, 3)] == ["layer 18, BN", "74.5  (74.5)", "0.296  (0.296)"]
    assert texts[7, -1] == "layer 90, unnormalized"


def test_the_panels_show_the_medians_and_the_papers_numbers_of_each_layer():
    doubled = {
        norm: {number: [2 * one for one in row] for number, row in rows.items()}
        for norm, rows in paper().items()
    }
    left, *_ = EXPERIMENT.figure(layer_rows(doubled, scatter=0.0)).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in left.lines}
    np.testing.assert_allclose(lines["layer 90"], 2 * lines["the paper's, hollow"])
    assert lines["layer 90"][0] == pytest.approx(2 * 259.182e-6)


def test_unknown_published_numbers_are_no_numbers():
    assert published("none", 17) == {}
    assert math.isnan(published("none", 55)["abs_terms"])
    assert published("none", 55)["abs_by_example"] == 20.8266
