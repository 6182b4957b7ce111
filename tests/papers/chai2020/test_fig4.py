"""The claims on tables of made-up blocks, and the figure on a table that is real."""

import math

import pandas as pd
import pytest

from normscope.papers.chai2020.cells.scaled_inputs import SCALINGS, ScaledChannels, scale_channels
from normscope.papers.chai2020.fig4_channel_scaling import EXPERIMENT, blocks_scale, decorrelated, mixture
from normscope.papers.chai2020.profiles import CORRELATIONS
from normscope.protocol import Scale, empty_table

OWN = (1e-9, 1.0, 10.0)


def table_of(block_error=0.0, spread=lambda share: share, nudge=lambda value: value, **narrow):
    """Runs whose eigenvalues are the blocks' own, apart by ``spread`` of the correlation, then nudged."""
    rows = []
    for scaling in narrow.get("scalings", SCALINGS):
        for share in narrow.get("correlations", CORRELATIONS):
            for seed in range(2):
                run = {
                    "function": scale_channels.name,
                    "scaling": scaling,
                    "correlation": share,
                    "seed": seed,
                }
                rows.append({"measure": "block_error", "channel": 0, "value": block_error, **run})
                low, middle, top = OWN
                moved = 0.5 * spread(share)
                for index, value in enumerate((low, middle - moved, top * (1 + moved))):
                    rows.append({"measure": "eigenvalue", "index": index, "value": nudge(value), **run})
                for index, value in enumerate(OWN):
                    where = {"index": index, "channel": index, **run}
                    rows.append({"measure": "block_eigenvalue", "value": value, **where})
    return pd.DataFrame(rows)


def test_blocks_and_eigenvalues_as_the_paper_says_bear_every_claim_out():
    claims = EXPERIMENT.claims(table_of())
    assert [claim.holds for claim in claims] == [True, True, True]
    assert all(claim.seeds == 2 for claim in claims)


def test_powers_of_two_must_scale_exactly_and_others_to_rounding():
    assert blocks_scale(table_of(block_error=1e-16)).holds is False
    exact = table_of()
    rounded = (exact["scaling"] == "unit_power") & (exact["measure"] == "block_error")
    assert blocks_scale(exact.assign(value=exact["value"].mask(rounded, 9e-13))).holds is True
    assert blocks_scale(exact.assign(value=exact["value"].mask(rounded, 2e-12))).holds is False
    assert blocks_scale(exact.assign(value=exact["value"].mask(rounded, math.nan))).holds is False


def test_decorrelated_eigenvalues_must_be_the_blocks_own():
    assert decorrelated(table_of(nudge=lambda value: value * (1 + 5e-7))).holds is True
    claim = decorrelated(table_of(nudge=lambda value: value * (1 + 2e-6)))
    assert claim.holds is False
    assert claim.measured["largest relative error"] == pytest.approx(2e-6, rel=1e-4)
    assert decorrelated(table_of(nudge=lambda value: math.nan if value == 1 else value)).holds is False


def test_an_eigenvalue_below_rounding_is_compared_with_the_largest():
    assert decorrelated(table_of(nudge=lambda value: value + 1e-13)).holds is True
    assert decorrelated(table_of(nudge=lambda value: value + 1e-11)).holds is False


@pytest.mark.parametrize(
    "spread",
    [
        lambda share: 0.4 * share,  # the largest eigenvalue never far off
        lambda share: 1 if share else 0,  # no nearer on the way
        lambda share: 1 - share,  # the wrong way round
    ],
)
def test_the_mixture_fails_when_decorrelation_does_not_bring_the_eigenvalues_nearer(spread):
    assert mixture(table_of(spread=spread)).holds is False


def test_the_distance_is_the_share_of_power_at_another_eigenvalue():
    measured = mixture(table_of()).measured
    assert measured["distance at 1, to power 1"] == pytest.approx((0.5 + 5) / (0.5 + 15))
    assert measured["λ_max / blocks' own, powers of two"] == pytest.approx(1.5)


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    assert rule(table_of().assign(function="another")).holds is None


def test_half_a_table_is_not_judged():
    assert decorrelated(table_of(correlations=(0.5, 1.0))).holds is None
    assert "0.25" in mixture(table_of(correlations=(0.0, 0.5, 1.0))).reason
    assert "to power 1" in mixture(table_of(scalings=["powers_of_two"])).reason
    assert blocks_scale(table_of(scalings=["powers_of_two"])).holds is None


def test_there_is_a_cell_for_every_factor_correlation_and_seed():
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    assert len(cells) == len(SCALINGS) * len(CORRELATIONS) * 3


def test_on_real_digits_every_claim_holds_and_the_figure_draws():
    tables = []
    for scaling in SCALINGS:
        for share in CORRELATIONS:
            config = ScaledChannels(scaling, share, 0, "mnist5k", images=8)
            run = {"function": scale_channels.name, "scaling": scaling, "correlation": share, "seed": 0}
            tables.append(scale_channels(config).to_pandas().assign(**run))
    table = pd.concat(tables, ignore_index=True)
    assert [claim.holds for claim in EXPERIMENT.claims(table)] == [True, True, True]
    figure = EXPERIMENT.figure(table)
    assert [axes.get_title()[:3] for axes in figure.axes] == ["(a)", "(b)", "(c)"]
    figure.canvas.draw()


def test_eigenvalues_without_their_counterpart_are_left_out():
    table = table_of()
    lacking = table[(table["measure"] != "block_eigenvalue") | (table["index"] > 0)]
    claim = decorrelated(lacking)
    assert claim.holds is True
    assert claim.measured["eigenvalues compared"] == 8  # two of three, of two runs of either factors
