"""Figs. 13's and 14's claims on made-up activations."""

import numpy as np
import pytest
from chai_tables import without
from output_tables import activation_rows

from normscope.papers.bjorck2018 import fig13, fig14
from normscope.papers.bjorck2018.cells.activations import LAYERS
from normscope.papers.bjorck2018.fig13 import one_sign
from normscope.papers.bjorck2018.fig14 import means_close_to_zero
from normscope.protocol import Verdict, empty_table

MIXED, ON, OFF = (0.5, 0.5, 0.7, 1.0), (0.995, 0.001, 1.5, 1.0), (0.005, 0.99, -1.5, 1.0)
"""Channels: the shares of positive and of negative values, the mean, the standard deviation."""


def table(none=lambda layer: [MIXED, MIXED, ON, OFF], batch=lambda layer: [MIXED] * 4, **options):
    return activation_rows(
        {"none": lambda layer, seed: none(layer), "batch": lambda layer, seed: batch(layer)}, **options
    )


def shifted(ratio):
    return [(0.5, 0.5, sign * ratio, 1.0) for sign in (1, -1, 1)]


def test_both_claims_hold_on_the_papers_numbers():
    for claim in (one_sign(table()), means_close_to_zero(table())):
        assert (claim.verdict, claim.seeds) == (Verdict.HOLDS, 3)
    assert one_sign(table()).measured["channels of one sign, layer 81, unnormalized"] == 0.5
    assert one_sign(table()).measured["channels of one sign, layer 81, BN"] == 0.0


@pytest.mark.parametrize("layer", [45, 81, 83])
def test_each_of_the_three_layers_must_have_more_channels_of_one_sign(layer):
    equal = table(none=lambda here: [MIXED] * 4 if here == layer else [ON, MIXED, MIXED, MIXED])
    assert one_sign(equal).verdict is Verdict.FAILS
    more_with_bn = table(batch=lambda here: [ON, OFF, ON, OFF] if here == layer else [MIXED] * 4)
    assert one_sign(more_with_bn).verdict is Verdict.FAILS


@pytest.mark.parametrize(("share", "verdict"), [(0.99, "holds"), (0.989, "does not hold")])
@pytest.mark.parametrize("side", ["positive", "negative"])
def test_a_channel_is_of_one_sign_from_99_percent_on_and_zeros_have_none(share, side, verdict):
    channel = (share, 0.0, 1.0, 1.0) if side == "positive" else (0.0, share, -1.0, 1.0)
    assert one_sign(table(none=lambda layer: [channel, MIXED])).verdict == verdict


@pytest.mark.parametrize("layer", [45, 81, 83])
@pytest.mark.parametrize(("ratio", "verdict"), [(1.32, "holds"), (1.28, "does not hold")])
def test_the_shift_must_be_larger_by_the_factor_at_each_layer(layer, ratio, verdict):
    rows = table(
        none=lambda here: shifted(0.7 * (ratio if here == layer else 2.0)), batch=lambda here: shifted(0.7)
    )
    claim = means_close_to_zero(rows)
    assert claim.verdict == verdict
    assert claim.measured[f"|mean|/std, layer {layer}, unnormalized / BN"] == pytest.approx(ratio, rel=1e-2)


def test_the_shift_is_the_median_over_channels():
    rows = table(
        none=lambda layer: [*shifted(0.1), *[(1.0, 0.0, 99.0, 1.0)] * 2], batch=lambda layer: shifted(0.2)
    )
    assert means_close_to_zero(rows).measured["|mean|/std, layer 45, unnormalized / BN"] == pytest.approx(
        0.5, rel=1e-2
    )


def test_layer_9_and_the_layers_own_outputs_decide_nothing():
    flat = table(none=lambda layer: [MIXED] * 4 if layer == 9 else [ON, OFF, MIXED, ON])
    assert one_sign(flat).verdict is Verdict.HOLDS
    assert means_close_to_zero(flat).verdict is Verdict.HOLDS


def test_a_channel_without_spread_or_of_nan_is_not_taken_for_small():
    rows = table(none=lambda layer: [(1.0, 0.0, np.nan, np.nan), MIXED, ON], batch=lambda layer: [MIXED])
    assert means_close_to_zero(rows).verdict is Verdict.NOT_JUDGED


def test_seeds_scattered_about_the_bound_do_not_decide():
    rows = table(none=lambda layer: shifted(1.3 * 0.7), batch=lambda layer: shifted(0.7), scatter=0.1)
    assert means_close_to_zero(rows).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("rule", [*fig13.EXPERIMENT.rules, *fig14.EXPERIMENT.rules])
def test_a_claim_is_not_judged_without_rows_at_another_depth_or_with_one_seed(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    assert "this one has 20" in rule(table(depth=20)).reason
    assert "no finished run of BN" in rule(without(table(), norm="batch")).reason
    assert "one seed gives no interval" in rule(table(seeds=1)).reason


@pytest.mark.parametrize(
    ("experiment", "network"), [(fig13.EXPERIMENT, "unnormalized"), (fig14.EXPERIMENT, "BN")]
)
def test_the_panels_are_the_papers_layers_clockwise(experiment, network):
    top_left, top_right, below_left, below_right = experiment.figure(table()).axes
    clockwise = [axes.get_title() for axes in (top_left, top_right, below_right, below_left)]
    assert clockwise == [f"layer {layer}, {network}" for layer in LAYERS]
    assert all(len(axes.patches) == 6 for axes in (top_left, top_right, below_left, below_right))


def test_both_experiments_share_their_cells():
    one, other = (module.EXPERIMENT for module in (fig13, fig14))
    for scale, profile in one.profiles.items():
        assert one.list_cells(profile) == other.list_cells(other.profiles[scale])
