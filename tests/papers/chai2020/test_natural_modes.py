"""The claims on tables whose modes are made up, and the figure on a table that is real."""

import math

import pandas as pd
import pytest

from normscope.papers.chai2020.cells.linear_descent import LinearDescent, descend
from normscope.papers.chai2020.natural_modes import (
    ABOVE,
    BELOW,
    EXPERIMENT,
    modes_decay,
    stability_bound,
    time_constants_hold,
)
from normscope.papers.chai2020.profiles import NATURAL_MODES, SHARES
from normscope.protocol import Scale, empty_table

EIGENVALUES = (0.01, 0.3, 1.0)
STEPS = (0, 1, 10, 500)


def runs(bend=lambda share, step, mode, amplitude: amplitude, excess=None, seeds=2, shares=SHARES):
    """Descents on three modes that follow the law but for ``bend``; ``excess`` replaces a share's losses by step."""
    rows = []
    for share in shares:
        for seed in range(seeds):
            run = {"function": descend.name, "share": share, "seed": seed}
            shrinkages = [2 * share * value for value in EIGENVALUES]
            for mode, shrinkage in enumerate(shrinkages):
                constant = -1 / math.log(abs(1 - shrinkage))
                rows.append({"measure": "shrinkage", "index": mode, "value": shrinkage, **run})
                rows.append({"measure": "time_constant", "index": mode, "value": constant, **run})
            for place, step in enumerate(STEPS):
                where = {"step": step, **run}
                law = [(1 - shrinkage) ** step * (1 + seed) for shrinkage in shrinkages]
                for mode, value in enumerate(law):
                    found = bend(share, step, mode, value)
                    rows.append({"measure": "law", "index": mode, "value": value, **where})
                    rows.append({"measure": "amplitude", "index": mode, "value": found, **where})
                loss = sum(value * v**2 for value, v in zip(EIGENVALUES, law, strict=True))
                loss = loss if excess is None or share not in excess else excess[share][place]
                rows.append({"measure": "excess", "value": loss, **where})
                rows.append({"measure": "excess_law", "value": loss, **where})
    return pd.DataFrame(rows)


def test_modes_that_follow_the_law_bear_every_claim_out():
    claims = EXPERIMENT.claims(runs())
    assert [claim.holds for claim in claims] == [True, True, True]
    assert all(claim.seeds == 2 for claim in claims)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(("mode", "step"), [(0, 10), (1, 10), (2, 1)])
def test_one_mode_off_by_two_in_a_million_denies_the_law(share, mode, step):
    def bend(at, n, k, amplitude):
        return amplitude * (1 + 2e-6 * ((at, n, k) == (share, step, mode)))

    claim = modes_decay(runs(bend))
    assert claim.holds is False
    assert claim.measured[f"largest error at {share:g} × bound"] == pytest.approx(2e-6, rel=1e-6)


def test_the_law_holds_to_half_a_millionth():
    assert modes_decay(runs(lambda _, __, ___, amplitude: amplitude * (1 + 5e-7))).holds is True


def test_a_mode_below_rounding_is_compared_with_the_whole():
    """Mode 1 is gone after 500 steps: what rounding leaves of it is no error, what would be seen of it is."""
    assert modes_decay(runs(lambda _, n, k, v: v + 1e-14 * (n == 500 and k == 1))).holds is True
    claim = modes_decay(runs(lambda _, n, k, v: v + 1e-9 * (n == 500 and k == 1)))
    assert claim.holds is False
    assert 0 < claim.measured["share of amplitudes below 1e-7 of the whole"] < 0.5


def test_an_amplitude_that_is_not_a_number_denies_the_law():
    claim = modes_decay(runs(lambda share, n, k, v: math.nan if (share, n, k) == (BELOW, 10, 1) else v))
    assert claim.holds is False
    assert math.isnan(claim.measured["largest error at 0.99 × bound"])


def test_time_constants_are_measured_on_the_amplitudes_alone():
    def slower(share, step, mode, amplitude):
        return amplitude if mode or not step else amplitude * 1.01

    claim = time_constants_hold(runs(slower))
    assert claim.holds is False
    assert claim.measured["largest relative error"] > 1e-4
    assert time_constants_hold(runs()).measured["slowest, steps"] == pytest.approx(-1 / math.log(1 - 0.008))


@pytest.mark.parametrize(
    "excess",
    [
        {BELOW: (1.0, 0.5, 0.1, 0.011)},
        {BELOW: (1.0, 0.5, 0.6, 0.001)},
        {BELOW: (1.0, 0.5, 0.1, math.nan)},
        {ABOVE: (1.0, 2.0, 50.0, 99.0)},
        {ABOVE: (1.0, 2.0, 500.0, 400.0)},
    ],
)
def test_the_bound_fails_when_the_loss_does_not_part_there(excess):
    assert stability_bound(runs(excess=excess)).holds is False


def test_the_bound_holds_up_to_its_numbers():
    just = {BELOW: (1.0, 0.9, 0.5, 0.0099), ABOVE: (1.0, 0.9, 50.0, 101.0)}
    claim = stability_bound(runs(excess=just))
    assert claim.holds is True
    assert list(claim.measured.values()) == pytest.approx([0.0099, 101.0])
    assert stability_bound(runs(excess={ABOVE: (1.0, 2.0, 300.0, math.inf)})).holds is True


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    other = runs().assign(function="another")
    assert rule(other).holds is None


def test_the_bound_is_not_judged_from_one_side():
    assert stability_bound(runs(shares=(0.4, BELOW))).holds is None


def test_there_is_a_descent_for_every_rate_and_seed():
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    assert {(cell.config.share, cell.config.seed) for cell in cells} == {
        (share, seed) for share in SHARES for seed in range(NATURAL_MODES[Scale.QUICK].seeds)
    }


def test_on_real_digits_every_claim_holds_and_the_figure_draws():
    """Fewer images and one seed, else as at quick scale."""
    tables = []
    for share in SHARES:
        config = LinearDescent(share, 0, "mnist5k", images=4, steps=250)
        tables.append(descend(config).to_pandas().assign(function=descend.name, share=share, seed=0))
    table = pd.concat(tables, ignore_index=True)
    assert [claim.holds for claim in EXPERIMENT.claims(table)] == [True, True, True]
    figure = EXPERIMENT.figure(table)
    assert [axes.get_title()[:3] for axes in figure.axes] == ["(a)", "(b)", "(c)"]
    figure.draw_without_rendering()


def test_the_figure_is_drawn_where_no_value_of_a_panel_is_finite():
    table = runs()
    figure = EXPERIMENT.figure(table.assign(value=table["value"].mask(table["measure"] == "law", math.nan)))
    figure.draw_without_rendering()
    assert all(axes.get_xscale() == "log" and axes.get_xlim()[0] > 0 for axes in figure.axes)
