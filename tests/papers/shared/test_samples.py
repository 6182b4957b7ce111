import math

import pandas as pd
import pytest

from normscope.papers.shared import Samples, seed_count
from normscope.protocol import NotJudgedError

NAMES = {"none": "Baseline", "batch": "BatchNorm"}


def runs(**values):
    """Values by variant, one a seed."""
    rows = [(norm, seed, value) for norm, found in values.items() for seed, value in enumerate(found)]
    return pd.DataFrame(rows, columns=["norm", "seed", "value"]).assign(rate=0.1)


def test_medians_are_over_seeds_and_have_the_papers_names():
    found = Samples.of("error", runs(none=[1, 5, 2], batch=[4, 6]), NAMES, rate=0.1)
    assert (found.median("none"), found.median("batch")) == (2.0, 5.0)
    assert found.seeds == 2
    assert found.named() == {"error Baseline": 2.0, "error BatchNorm": 5.0}
    assert found.named("batch", after=" at 1") == {"error BatchNorm at 1": 5.0}


def test_a_ratio_is_taken_within_each_seed():
    found = Samples.of("λ", runs(none=[1.0, 10.0, 100.0], batch=[2.0, 20.0, 200.0]), NAMES)
    ratio = found.ratio("batch", "none", least=2)
    assert ratio.name == "λ BatchNorm / Baseline"
    assert ratio.interval() == pytest.approx((2.0, 2.0))


def test_an_order_wants_the_first_of_every_pair_below_the_second():
    found = Samples.of("D", runs(none=[1.0, 1.1, 1.2], batch=[2.0, 2.1, 2.5]), NAMES)
    right, wrong = found.order(("none", "batch"), ("batch", "none"))
    assert (right.name, right.decide()) == ("D Baseline / BatchNorm", True)
    assert wrong.decide() is False
    assert math.isclose(right.value * wrong.value, 1)


def test_a_variant_without_a_run_is_named():
    with pytest.raises(NotJudgedError, match="no finished run of BatchNorm"):
        Samples.of("error", runs(none=[1.0]), NAMES)
    with pytest.raises(NotJudgedError, match="rate = 7"):
        Samples.of("error", runs(none=[1.0], batch=[1.0]), NAMES, rate=7)


def test_seeds_are_counted_in_the_group_that_has_the_fewest():
    assert seed_count(runs(none=[1, 2, 3], batch=[1]), "norm") == 1
