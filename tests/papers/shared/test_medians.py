import pandas as pd
import pytest

from normscope.papers.shared import Medians, seed_count
from normscope.protocol import NotJudgedError

NAMES = {"none": "Baseline", "batch": "BatchNorm"}


def runs(**values):
    """Values by variant, one a seed."""
    rows = [(norm, seed, value) for norm, found in values.items() for seed, value in enumerate(found)]
    return pd.DataFrame(rows, columns=["norm", "seed", "value"]).assign(rate=0.1)


def test_medians_know_their_names_and_the_fewest_seeds():
    found = Medians.of(runs(none=[1, 5, 2], batch=[4, 6]), NAMES, rate=0.1)
    assert dict(found) == {"none": 2.0, "batch": 5.0}
    assert found.seeds == 2
    assert found.named("error") == {"error Baseline": 2.0, "error BatchNorm": 5.0}
    assert found.named("λ", "batch", after=" at 1") == {"λ BatchNorm at 1": 5.0}


def test_a_variant_without_a_run_is_named():
    with pytest.raises(NotJudgedError, match="no finished run of BatchNorm"):
        Medians.of(runs(none=[1.0]), NAMES)
    with pytest.raises(NotJudgedError, match="rate = 7"):
        Medians.of(runs(none=[1.0], batch=[1.0]), NAMES, rate=7)


def test_seeds_are_counted_in_the_group_that_has_the_fewest():
    assert seed_count(runs(none=[1, 2, 3], batch=[1]), "norm") == 1
