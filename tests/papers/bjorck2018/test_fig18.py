"""Fig. 18's and App. K's claims on made-up channels."""

import math

import numpy as np
import pytest
from chai_tables import join, without
from gradient_tables import CHANNELS, channel_rows, pair_rows
from scipy import stats

from normscope.papers.bjorck2018.fig18 import EXPERIMENT, dominating, means_decide, scale_of_channels
from normscope.papers.bjorck2018.readings.gradients import input_channels
from normscope.protocol import Verdict, empty_table

RISING = np.arange(1.0, CHANNELS + 1)


def turned(count):
    """1 to 16, the first ``count`` backwards: Spearman's correlation with 1 to 16 is 1 − count(count² − 1)/2040."""
    return np.concatenate([RISING[:count][::-1], RISING[count:]])


def table(gradients=RISING, contributions=RISING, times=0.3, layer=35, **options):
    """Unnormalized channels whose means rise with their number; BN's gradients are ``times`` as uneven."""
    matrix = np.tile(gradients, (CHANNELS, 1))
    flat = 1 + times * (matrix / matrix.mean() - 1)
    means = {"none": RISING - 8, "batch": 1e-6 * np.cos(RISING)}
    channels = {
        norm: {
            "channel_mean": means[norm],
            "contribution": contributions if norm == "none" else RISING * 0 + 1,
        }
        for norm in means
    }
    scatter = options.pop("scatter", 1e-3)
    return join(
        pair_rows({"none": matrix, "batch": flat}, layer, scatter=scatter, **options),
        channel_rows(channels, layer, **options),
    )


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 3
    assert claims[0].measured["rank correlation of mean and |gradient|"] == pytest.approx(1)
    assert claims[2].measured["share of the largest contribution, unnormalized"] == pytest.approx(
        16 / RISING.sum()
    )


@pytest.mark.parametrize(("count", "verdict"), [(8, "holds"), (9, "does not hold"), (16, "does not hold")])
def test_the_rank_correlation_must_reach_seven_tenths(count, verdict):
    for rule, changed in ((means_decide, "gradients"), (dominating, "contributions")):
        claim = rule(table(**{changed: turned(count)}))
        assert claim.verdict == verdict
        assert claim.deciding.value == pytest.approx(1 - count * (count**2 - 1) / 2040)
        assert claim.deciding.value == pytest.approx(stats.spearmanr(turned(count), RISING).statistic)
    assert means_decide(table(contributions=turned(16))).verdict is Verdict.HOLDS
    assert dominating(table(gradients=turned(16))).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("times", "scatter", "verdict"),
    [(1 / 2.05, 1e-3, "holds"), (1 / 1.95, 1e-3, "does not hold"), (0.5, 0.1, "undecided")],
)
def test_the_unnormalized_channels_must_be_twice_as_uneven(times, scatter, verdict):
    assert scale_of_channels(table(times=times, scatter=scatter)).verdict == verdict


def test_channels_whose_means_are_all_equal_have_no_rank_correlation():
    flat = table()
    flat.loc[(flat["measure"] == "channel_mean"), "value"] = 0.0
    assert means_decide(flat).verdict is Verdict.NOT_JUDGED


def test_a_channels_gradient_is_the_mean_over_its_outgoing_weights():
    matrix = np.arange(6.0).reshape(3, 2)
    rows = join(
        pair_rows({"none": matrix}, 35, seeds=1, scatter=0.0),
        channel_rows({"none": {"channel_mean": [1.0, 2.0], "contribution": [3.0, 4.0]}}, seeds=1),
    )
    found = input_channels(rows, 35)
    assert found["gradient"].tolist() == [(0 + 2 + 4) / 3, (1 + 3 + 5) / 3]
    assert found["contribution"].tolist() == [3.0, 4.0]


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_at_another_depth_or_layer_or_without_its_rows(rule):
    missing = [empty_table(), table(depth=56), table(layer=45), without(table(), norm="none"), table(seeds=1)]
    assert [rule(one).verdict for one in missing] == [Verdict.NOT_JUDGED] * 5


@pytest.mark.parametrize("rule", [means_decide, dominating])
def test_channels_that_are_no_numbers_have_no_rank(rule):
    broken = table()
    broken.loc[(broken["norm"] == "none") & (broken["channel"] == 3), "value"] = math.nan
    assert rule(broken).verdict is Verdict.NOT_JUDGED


def test_the_figure_shows_every_channel_of_both_networks_and_those_of_no_gradient_at_the_edge():
    dead = RISING.copy()
    dead[0] = 0.0
    left, middle, right = EXPERIMENT.figure(table(gradients=dead)).axes
    points = [line for line in left.lines if line.get_label().startswith("all weights")]
    assert len(points[0].get_xdata()) == CHANNELS - 1
    assert "0 at this edge" in [text.get_text() for text in left.texts]
    assert middle.get_xlim() == left.get_xlim()
    assert [len(line.get_xdata()) for line in right.lines] == [CHANNELS, CHANNELS]
