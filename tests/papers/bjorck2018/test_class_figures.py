"""Figs. 20's and 21's claims on made-up gradients by class."""

import numpy as np
import pytest
from chai_tables import without
from output_tables import class_rows

from normscope.papers.bjorck2018 import fig20, fig21
from normscope.papers.bjorck2018.fig20 import one_class
from normscope.papers.bjorck2018.fig21 import order_of_magnitude
from normscope.protocol import Scale, Verdict, empty_table

EXPERIMENTS = [fig20.EXPERIMENT, fig21.EXPERIMENT]
BOTH = pytest.mark.parametrize("rule", [one_class, order_of_magnitude])


def sizes(favourite, others=1.0):
    """Of ten classes, one of which is as large as nothing else; the others' median is ``others``."""
    found = np.full(10, others)
    found[[0, 1]] = others * 3, others / 3
    found[4] = favourite
    return found


def table(size=20.0, batch=3.0, **options):
    return class_rows({"none": sizes(size), "batch": sizes(batch)}, **options)


@BOTH
def test_it_holds_on_the_papers_numbers_and_bns_are_told(rule):
    claim = rule(table())
    assert (claim.verdict, claim.seeds) == (Verdict.HOLDS, 3)
    told = {name: value for name, value in claim.measured.items() if name.endswith(("unnormalized", "BN"))}
    assert list(told.values()) == pytest.approx([20.0, 3.0], rel=1e-2)


@BOTH
@pytest.mark.parametrize(("size", "verdict"), [(5.1, "holds"), (4.9, "does not hold")])
def test_the_favourite_class_must_have_five_times_the_others_median(rule, size, verdict):
    assert rule(table(size)).verdict == verdict


@BOTH
def test_the_favourite_class_is_the_one_that_most_images_are_put_into_not_the_largest_gradient(rule):
    assert rule(table(20.0, favourite=7)).verdict is Verdict.FAILS


@BOTH
def test_seeds_scattered_about_the_bound_do_not_decide(rule):
    assert rule(table(5.0, scatter=0.2)).verdict is Verdict.UNDECIDED


@BOTH
def test_bn_decides_nothing(rule):
    assert rule(without(table(), norm="batch")).verdict is Verdict.HOLDS
    assert rule(without(table(), norm="none")).verdict is Verdict.NOT_JUDGED


@BOTH
def test_it_is_not_judged_without_rows_at_another_depth_or_kernel_or_with_one_seed(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    assert "this one has 20" in rule(table(depth=20)).reason
    assert rule(table(kernel=54)).verdict is Verdict.NOT_JUDGED
    assert "one seed gives no interval" in rule(table(seeds=1)).reason


def test_each_reads_its_own_statistic():
    rows = table()
    rows.loc[rows["measure"] == "median_abs", "value"] = 1.0
    assert one_class(rows).verdict is Verdict.FAILS
    assert order_of_magnitude(rows).verdict is Verdict.HOLDS


@pytest.mark.parametrize("scale", Scale)
def test_both_experiments_share_their_cells_with_the_profiles_seeds(scale):
    one, other = (experiment.list_cells(experiment.profile(scale)) for experiment in EXPERIMENTS)
    assert one == other
    profile = fig20.EXPERIMENT.profile(scale)
    norms = [cell.config.norm for cell in one]
    assert (norms.count("none"), norms.count("batch")) == (profile.seeds, profile.normed_seeds)


def test_the_figures_mark_the_favourite_class():
    left, right = fig21.EXPERIMENT.figure(table()).axes
    for axes in (left, right):
        assert [number for number, bar in enumerate(axes.patches) if bar.get_hatch()] == [4]
    left, _ = fig20.EXPERIMENT.figure(table()).axes
    (thick,) = (line for line in left.get_lines() if line.get_linewidth() > 2)
    assert np.nanmax(thick.get_ydata()) == pytest.approx(40.0, rel=1e-2)
    assert len(left.get_lines()) == 10


@BOTH
def test_a_seed_that_favours_no_class_is_left_out(rule):
    rows = table()
    unknown = (rows["measure"] == "favoured") & (rows["norm"] == "none")
    assert rule(rows.assign(value=rows["value"].mask(unknown))).holds is None
    claim = rule(rows.assign(value=rows["value"].mask(unknown & (rows["seed"] == 0))))
    assert claim.seeds == 2
