import math

import pandas as pd
import pytest

from normscope.papers.shared import at_last_epoch, chance_error, errors_by_epoch, filled, side_by_side
from normscope.protocol import NotJudgedError


def measured(*rows):
    return pd.DataFrame(rows, columns=["measure", "seed", "step", "value"])


def test_measures_of_the_same_things_become_columns():
    rows = measured(
        ("b", 1, 0, 4.0), ("a", 0, 0, 1.0), ("b", 0, 0, 2.0), ("a", 1, 0, math.nan), ("c", 0, 0, 9.0)
    )
    found = side_by_side(rows, ("a", "b"), ["seed", "step"])
    assert found[["seed", "step", "b"]].values.tolist() == [[0, 0, 2.0], [1, 0, 4.0]]
    assert found["a"].isna().tolist() == [False, True]


def test_a_measure_without_rows_is_named():
    with pytest.raises(NotJudgedError, match="no rows of c and d"):
        side_by_side(measured(("a", 0, 0, 1.0)), ("a", "d", "c"), ["seed"])


def test_a_run_that_did_not_get_there_counts_as_what_is_said():
    rows = measured(("loss", 0, 0, 1.0), ("loss", 1, 0, 2.0), ("end", 1, 5, 3.0))
    found = filled(rows, rows[rows["measure"] == "end"], ["seed"], math.inf)
    assert found.set_index("seed")["value"].to_dict() == {0: math.inf, 1: 3.0}


def test_a_value_that_is_null_is_not_that_of_a_run_which_did_not_get_there():
    rows = measured(("loss", 0, 0, 1.0), ("loss", 1, 0, 2.0), ("end", 1, 5, math.nan))
    found = filled(rows, rows[rows["measure"] == "end"], ["seed"], math.inf).set_index("seed")["value"]
    assert found[0] == math.inf
    assert math.isnan(found[1])


def test_a_run_is_at_chance_from_its_divergence_on():
    rows = pd.DataFrame(
        [
            {"measure": "validation_error", "seed": 0, "epoch": 1, "value": 0.5, "epochs": 2},
            {"measure": "validation_error", "seed": 0, "epoch": 2, "value": 0.4, "epochs": 2},
            {"measure": "validation_error", "seed": 1, "epoch": 1, "value": 0.6, "epochs": 2},
            {"measure": "diverged", "seed": 1, "epoch": None, "value": 2e3, "epochs": 2},
            {"measure": "diverged", "seed": 2, "epoch": None, "value": 2e3, "epochs": 2},
        ]
    )
    errors = errors_by_epoch(rows, ["seed"])
    assert errors.pivot(index="seed", columns="epoch", values="value").values.tolist() == [
        [0.5, 0.4], [0.6, 0.9], [0.9, 0.9],
    ]  # fmt: skip
    assert at_last_epoch(errors)["value"].tolist() == [0.4, 0.9, 0.9]


def test_chance_is_that_of_ten_classes_unless_the_rows_say_how_many_there_are():
    rows = pd.DataFrame({"measure": ["validation_error"], "value": [0.2]})
    assert chance_error(rows) == 0.9
    counted = pd.concat([rows, pd.DataFrame({"measure": ["classes"], "value": [4.0]})])
    assert chance_error(counted) == 0.75
