"""The claims on tables of made-up channels, and the figure on a table that is real."""

import dataclasses
import math

import pandas as pd
import pytest
from chai_tables import LAWS, power_rows

from normscope.papers.chai2020.cells.lenet import VARIANTS, EarlySpectrum
from normscope.papers.chai2020.cells.powers import channel_power
from normscope.papers.chai2020.fig5 import EXPERIMENT, amplify_raises, batchnorm_to_one, suppress_lowers
from normscope.protocol import NotJudgedError, Scale, empty_table

RULES = {"batch": batchnorm_to_one, "amplify": amplify_raises, "suppress": suppress_lowers}


def test_the_papers_laws_bear_every_claim_out():
    claims = EXPERIMENT.claims(power_rows())
    assert [claim.holds for claim in claims] == [True, True, True]
    assert [claim.measured["channels changed"] for claim in claims] == [16, 8, 8]
    assert [claim.measured["channels left alone"] for claim in claims] == [0, 8, 8]
    assert all(claim.seeds == 2 for claim in claims)


@pytest.mark.parametrize("norm", RULES)
@pytest.mark.parametrize("other", VARIANTS)
def test_each_norms_claim_fails_on_any_other_norms_law(norm, other):
    assert RULES[norm](power_rows(out=LAWS[other])).holds is (norm == other)


@pytest.mark.parametrize("norm", RULES)
def test_a_power_may_be_off_by_one_percent(norm):
    law = LAWS[norm]
    assert RULES[norm](power_rows(out=lambda power: law(power) * 0.991)).holds is True
    assert RULES[norm](power_rows(out=lambda power: law(power) * 0.989)).holds is False
    assert RULES[norm](power_rows(out=lambda power: math.nan)).holds is False


def test_the_swapped_definitions_of_the_papers_text_are_denied():
    assert amplify_raises(power_rows(out=LAWS["suppress"])).holds is False
    assert suppress_lowers(power_rows(out=LAWS["amplify"])).holds is False


def test_channels_whose_variance_is_not_much_above_eps_are_counted_and_not_judged():
    """A constant channel of power 0.1 and variance 1e-6 is normalized to 0.09, which denies no claim."""

    def out(power):
        return 0.09 if power == 0.1 else LAWS["amplify"](power)

    claim = amplify_raises(power_rows(out=out, variance=lambda power: 1e-6 if power == 0.1 else power))
    assert claim.holds is True
    assert claim.measured["not judged, σ² < 100 ε"] == 4
    assert amplify_raises(power_rows(out=out)).holds is False


def test_without_a_channel_that_the_norm_would_change_its_claim_is_not_judged():
    below, above = (0.1, 0.9), (1.1, 8.0)
    assert "BN_Suppress" in suppress_lowers(power_rows(below)).reason
    assert "BN_Amplify" in amplify_raises(power_rows(above)).reason
    assert suppress_lowers(power_rows(above)).holds is True
    assert batchnorm_to_one(power_rows(variance=lambda _: 1e-9)).holds is None


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    assert rule(power_rows(norms=["none"])).holds is None
    assert rule(power_rows().assign(function="another")).holds is None


def test_there_is_a_cell_for_every_variant_rate_and_seed():
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    assert {cell.config.norm for cell in cells} == set(VARIANTS)
    assert len(cells) == 4 * 2 * 3


def test_on_real_digits_every_claim_holds_and_the_figure_draws():
    tables = []
    for norm in VARIANTS:
        config = EarlySpectrum(norm, 1.0, seed=0, data="mnist5k", images=512)
        run = {"function": channel_power.name, **dataclasses.asdict(config)}
        tables.append(channel_power(config).to_pandas().assign(**run))
    table = pd.concat(tables, ignore_index=True)
    assert [claim.holds for claim in EXPERIMENT.claims(table)] == [True, True, True]
    figure = EXPERIMENT.figure(table)
    assert [axes.get_title()[:3] for axes in figure.axes] == ["(a)", "(b)", "(c)", "(d)"]
    figure.draw_without_rendering()


def test_a_run_that_never_trained_has_no_figure():
    table = power_rows()
    with pytest.raises(NotJudgedError, match="after training"):
        EXPERIMENT.figure(table[table["step"] == 0])
