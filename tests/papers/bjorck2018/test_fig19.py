"""Fig. 19's claims on made-up gradients by layer."""

import numpy as np
import pytest
from chai_tables import join, without
from gradient_tables import layer_rows

from normscope.papers.bjorck2018.fig19 import EXPERIMENT, alike_with_bn, early_larger
from normscope.protocol import Verdict, empty_table


def falling(times):
    """So many times larger in the lower third (layers 1 to 36) than in the upper third (73 to 109)."""
    return lambda number: times if number <= 36 else 7.0 if number < 73 else 1.0


def table(none=100.0, batch=1.0, **options):
    return layer_rows({"none": falling(none), "batch": falling(batch)}, **options)


def test_both_claims_hold_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 2
    assert claims[0].measured["lower third unnormalized"] == pytest.approx(100, rel=1e-2)
    assert claims[0].measured["upper third unnormalized"] == 1


@pytest.mark.parametrize(
    ("times", "scatter", "verdict"),
    [(20.5, 1e-3, "holds"), (19.5, 1e-3, "does not hold"), (20, 0.1, "undecided")],
)
def test_early_layers_must_be_twenty_times_larger_without_norms(times, scatter, verdict):
    assert early_larger(table(none=times, scatter=scatter)).verdict == verdict


@pytest.mark.parametrize(
    ("times", "verdict"),
    [(4.9, "holds"), (5.1, "does not hold"), (1 / 4.9, "holds"), (1 / 5.1, "does not hold")],
)
def test_the_thirds_must_be_within_five_times_with_bn_either_way(times, verdict):
    assert alike_with_bn(table(batch=times)).verdict == verdict


def test_the_two_positions_in_the_block_are_pooled_and_single_layers_do_not_matter():
    """Seconds 70 times the firsts at every depth, and an extreme layer in each third."""

    def size(number):
        return {1: 1e9, 108: 1e-9}.get(number, 70.0 if number % 2 else 1.0)

    claim = alike_with_bn(layer_rows({"none": falling(100.0), "batch": size}))
    assert claim.verdict is Verdict.HOLDS


def test_the_network_with_one_norm_at_the_top_is_none_of_the_two():
    """Fig. 15 keeps its cells in the same store."""
    top = layer_rows({"batch": falling(1e6)}, place="top")
    assert alike_with_bn(join(table(), top)).verdict is Verdict.HOLDS


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_at_another_depth_or_without_its_rows(rule):
    missing = [
        empty_table(),
        table(depth=20, layers=range(1, 20)),
        without(table(), norm="none"),
        table(seeds=1),
    ]
    assert [rule(one).verdict for one in missing] == [Verdict.NOT_JUDGED] * 4


def test_the_figure_has_the_first_and_the_second_convolutions_apart():
    left, right = EXPERIMENT.figure(table()).axes
    lines = [{line.get_label(): line.get_data() for line in axes.lines} for axes in (left, right)]
    assert lines[0]["BN"][0].tolist() == [1, *range(2, 110, 2)]
    assert lines[1]["BN"][0].tolist() == list(range(3, 110, 2))
    np.testing.assert_allclose(
        lines[1]["unnormalized"][1], [falling(100.0)(n) for n in range(3, 110, 2)], rtol=5e-3
    )
