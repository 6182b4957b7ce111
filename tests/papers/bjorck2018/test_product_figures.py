"""The claims of Figs. 8 to 12 on spectra that are made up, and their figures on spectra that are real."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from chai_tables import join, real_table, without
from product_tables import COUNTS, of_law, product_rows, wobble

from normscope.papers.bjorck2018 import fig8, fig9, fig10, fig11, fig12
from normscope.papers.bjorck2018.cells.products import ENTRIES
from normscope.papers.bjorck2018.readings.products import (
    condition,
    distance,
    kurtosis,
    largest,
    opening,
    tail,
)
from normscope.protocol import Scale, Verdict, empty_table
from normscope.theory.random_matrices import ProductLaw

FIGURES = {name.__name__.rpartition(".")[2]: name for name in (fig8, fig9, fig10, fig11, fig12)}


def every_kind(change=None, changed=None, **options):
    """The law's spectra for every kind of entries, but for one of another spectrum."""
    return join(
        *(
            product_rows(change, entries, **options)
            if entries == changed
            else product_rows(entries=entries, **options)
            for entries in ENTRIES
        )
    )


@pytest.mark.parametrize("module", FIGURES.values(), ids=FIGURES)
def test_every_claim_holds_on_the_laws_own_spectra(module):
    claims = module.EXPERIMENT.claims(every_kind(counts=(1, 2, 6)))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * len(claims)
    assert all(claim.seeds == 3 for claim in claims)


@pytest.mark.parametrize("weak", [2, 4, 6])
class TestWithOneFactorTooLittle:
    """One product has the spectrum of the product before it, or less."""

    def table(self, weak, change):
        return product_rows(lambda count, seed: change(count, seed) if count == weak else of_law(count))

    def test_its_tail_is_not_heavier(self, weak):
        same = self.table(weak, lambda count, seed: of_law(count - 1))
        assert fig8.heavier_tails(same).verdict is Verdict.FAILS

    def test_its_condition_number_is_not_higher(self, weak):
        same = self.table(weak, lambda count, seed: of_law(count - 1))
        assert fig11.condition_grows(same).verdict is Verdict.FAILS

    def test_its_largest_singular_value_is_not_larger(self, weak):
        same = self.table(weak, lambda count, seed: of_law(count - 1))
        assert fig12.largest_grows(same).verdict is Verdict.FAILS

    def test_draws_on_both_sides_do_not_decide(self, weak):
        def scattered(count, seed):
            return of_law(count - 1) * np.array([1, *np.full(999, (0.9, 1.0, 1.1)[seed])])

        table = self.table(weak, scattered)
        assert fig11.condition_grows(table).verdict is Verdict.UNDECIDED


def test_a_heavier_tail_by_the_kurtosis_alone_is_not_enough():
    def outliers(count, seed):
        values = of_law(min(count, 5)).copy()
        values[:3] *= 1 + 9 * (count == 6)
        return values

    claim = fig8.heavier_tails(product_rows(outliers))
    assert claim.verdict is Verdict.FAILS
    beyond = [one.name for one in claim.comparisons if not one.holds]
    assert beyond == ["99th percentile / median, M = 5 / M = 6"]


@pytest.mark.parametrize("count", [1, 5])
class TestTheDistance:
    """Its bound is 0.02; a shift of the shares is the distance, but for half a step of 1/1000."""

    def shifted(self, count, shift):
        return lambda factors, seed: of_law(factors, shift * (factors == count) * wobble(seed))

    def test_decides_the_law(self, count):
        assert fig10.law_holds(product_rows(self.shifted(count, 0.019))).verdict is Verdict.HOLDS
        claim = fig10.law_holds(product_rows(self.shifted(count, 0.0215)))
        assert claim.verdict is Verdict.FAILS
        assert claim.measured[f"KS distance, M = {count}"] == pytest.approx(0.022, rel=0.05)
        assert fig10.law_holds(product_rows(self.shifted(count, 0.0195))).verdict is Verdict.UNDECIDED

    def test_decides_the_law_of_the_angles(self, count):
        assert fig9.angles_follow(product_rows(self.shifted(count, 0.019))).verdict is Verdict.HOLDS
        assert fig9.angles_follow(product_rows(self.shifted(count, 0.0215))).verdict is Verdict.FAILS

    @pytest.mark.parametrize("entries", ["uniform", "rademacher", "sparse_10"])
    def test_decides_universality_by_every_kind_of_entries(self, count, entries):
        table = every_kind(self.shifted(count, 0.0215), entries, counts=(count,))
        claim = fig10.universality(table)
        assert claim.verdict is Verdict.FAILS
        assert ENTRIES[entries] in claim.deciding.name

    def test_of_matrices_that_are_nearly_empty_is_reported_only(self, count):
        claim = fig10.universality(every_kind(self.shifted(count, 0.1), "sparse_1", counts=(count,)))
        assert claim.verdict is Verdict.HOLDS
        name = f"KS distance, 1 % nonzero entries, M = {count}"
        assert claim.measured[name] == pytest.approx(0.1, rel=0.05)
        assert "reported, not judged" in claim.reason


@pytest.mark.parametrize(("power", "holds"), [(1.3, False), (1.2, True), (0.83, True), (0.75, False)])
def test_the_density_blows_up_with_the_papers_power_within_a_factor(power, holds):
    claim = fig10.blows_up(product_rows(lambda count, seed: of_law(count, power=power * wobble(seed, 0.001))))
    assert claim.holds is holds


@pytest.mark.parametrize(("factor", "holds"), [(1.052, False), (1.048, True), (0.952, True), (0.948, False)])
def test_the_largest_singular_value_is_within_5_percent_of_the_laws(factor, holds):
    def scaled(count, seed):
        values = of_law(count) / of_law(count)[0] * ProductLaw(count).edge ** 0.5
        return values * (factor if count == 4 else 1) * wobble(seed, 1e-5)

    claim = fig12.edge(product_rows(scaled))
    assert claim.holds is holds
    assert claim.deciding.name.endswith("M = 4")


def test_a_law_that_does_not_give_its_angles_back_is_not_injective(monkeypatch):
    exact = ProductLaw.angle_of
    monkeypatch.setattr(ProductLaw, "angle_of", lambda law, x: exact(law, x) * (1 - 1e-7))
    claim = fig9.injective(product_rows())
    assert claim.verdict is Verdict.FAILS
    assert claim.measured["largest error / width of the support"] > 1e-9


def test_a_law_that_gives_two_squares_one_angle_is_not_injective(monkeypatch):
    exact = ProductLaw.square_at
    monkeypatch.setattr(ProductLaw, "angle_of", lambda law, x: np.full_like(x, 0.1))
    monkeypatch.setattr(ProductLaw, "square_at", lambda law, angle: np.full_like(angle, np.nan))
    assert fig9.injective(product_rows()).verdict is Verdict.FAILS
    assert exact(ProductLaw(1), 0.0) == 4


@pytest.mark.parametrize("claim", [fig8.heavier_tails, fig11.condition_grows], ids=["fig8", "fig11"])
def test_without_a_product_of_gaussian_entries_nothing_is_judged(claim):
    assert claim(product_rows(entries="uniform")).verdict is Verdict.NOT_JUDGED


def test_where_no_square_is_inside_the_support_there_is_nothing_to_map():
    table = product_rows(lambda count, seed: np.full(5, math.sqrt(2 * ProductLaw(count).edge)))
    assert fig9.injective(table).verdict is Verdict.NOT_JUDGED


@pytest.mark.parametrize("claim", [fig8.heavier_tails, fig11.condition_grows], ids=["fig8", "fig11"])
def test_products_of_one_number_of_matrices_have_no_order(claim):
    assert claim(product_rows(counts=COUNTS[:1])).verdict is Verdict.NOT_JUDGED


def test_squares_beyond_the_support_have_no_angle_and_are_counted():
    claim = fig9.injective(product_rows(lambda count, seed: of_law(count) * np.array([1.2, *np.ones(999)])))
    assert claim.verdict is Verdict.HOLDS
    assert claim.measured["squares beyond the support"] == 3 * len(COUNTS)
    assert claim.measured["squares"] == 3000 * len(COUNTS)


@pytest.mark.parametrize("module", [fig8, fig9, fig10])
def test_a_singular_value_that_is_not_a_number_never_lets_a_claim_on_all_of_them_hold(module):
    def broken(count, seed):
        return of_law(count) * np.array([*np.ones(500), math.nan, *np.ones(499)])

    table, of_all = product_rows(broken, counts=(1, 2)), ("heavier-tails", "injective", "angles", "law")
    for rule in module.EXPERIMENT.rules:
        if rule.id in of_all:
            assert rule(table).verdict is not Verdict.HOLDS


class TestAStatistic:
    """Against what the law says of it, and against definitions written out."""

    values = np.array([4.0, 2.0, 1.0, 1.0])

    def test_of_the_tails_is_the_kurtosis_and_a_ratio_of_percentiles(self):
        assert kurtosis(self.values, 1) == pytest.approx(np.mean((self.values - 2) ** 4) / 1.5**2)
        assert tail(np.arange(101.0), 1) == pytest.approx(99 / 50)

    def test_of_the_ends_is_their_ratio_or_the_largest(self):
        assert condition(self.values, 1) == 4
        assert largest(self.values, 1) == 4
        assert condition(np.array([1.0, 0.0]), 1) == math.inf

    def test_of_the_distance_is_the_peers(self):
        from scipy.stats import kstest

        values = np.linspace(2.1, 0.01, 50)
        assert distance(values, 2) == pytest.approx(kstest(values**2, ProductLaw(2).cdf).statistic)

    def test_of_the_lower_end_is_1_for_the_law(self):
        assert [opening(of_law(count), count) for count in COUNTS] == pytest.approx([1] * 6, abs=0.01)


@pytest.mark.parametrize("module", FIGURES.values(), ids=FIGURES)
def test_no_claim_is_judged_without_rows_or_on_smaller_matrices(module):
    small = join(
        *(product_rows(lambda count, seed: of_law(count, size=300), entries, (1, 2)) for entries in ENTRIES)
    )
    for rule in module.EXPERIMENT.rules:
        assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
        claim = rule(small)
        if rule.id != "injective":  # It holds for a square of any matrix.
            assert claim.verdict is Verdict.NOT_JUDGED
            assert "1,000 rows" in claim.reason
            assert "300" in claim.reason


def test_universality_is_not_judged_without_one_kind_of_entries():
    claim = fig10.universality(without(every_kind(counts=(1,)), entries="uniform"))
    assert claim.verdict is Verdict.NOT_JUDGED


@pytest.mark.parametrize("module", FIGURES.values(), ids=FIGURES)
def test_the_figure_is_drawn_from_small_real_products(module):
    profile = dataclasses.replace(
        module.EXPERIMENT.profile(Scale.QUICK), seeds=2, size=40, factors=3, others=2
    )
    figure = module.EXPERIMENT.figure(real_table(module.EXPERIMENT, profile))
    figure.draw_without_rendering()
    assert all(axes.has_data() for axes in figure.axes)


@pytest.mark.parametrize("module", FIGURES.values(), ids=FIGURES)
def test_there_is_a_product_of_the_papers_size_for_every_seed_at_every_scale(module):
    for scale in Scale:
        cells = module.EXPERIMENT.cells(scale, empty_table())
        gaussian = [cell.config for cell in cells if cell.config.entries == "gaussian"]
        assert len(gaussian) >= 5
        assert {(config.size, config.factors) for config in gaussian} == {(1000, 6)}
    kinds = pd.Series([cell.config.entries for cell in fig10.EXPERIMENT.cells(Scale.QUICK, empty_table())])
    assert set(kinds) == set(ENTRIES)
