"""What is read from a sweep's table, on tables that the tests write."""

import math

import pandas as pd
import pytest
from sweep_tables import sweep, table

from normscope.errors import UnknownNameError
from normscope.protocol import NotJudgedError, empty_table
from normscope.sweep.readings import eigenvalues, final_errors, labels, summary


def test_the_error_is_that_of_the_last_epoch_and_a_diverged_run_counts_as_chance():
    asked = sweep()
    found = final_errors(
        table(asked, lambda run: run.rate / 100, lambda run: run.rate == 10 and run.seed == 1), asked
    )
    assert len(found) == 6
    assert found.set_index(["rate", "seed"])["value"].to_dict() == {
        (0.1, 0): 0.001, (0.1, 1): 0.001, (1.0, 0): 0.01, (1.0, 1): 0.01, (10.0, 0): 0.1, (10.0, 1): 0.9,
    }  # fmt: skip
    assert found.loc[found["diverged"], ["rate", "seed"]].to_numpy().tolist() == [[10.0, 1.0]]


def test_eigenvalues_are_the_second_layers_after_five_steps_and_infinite_where_the_run_had_ended():
    asked = sweep()
    found = eigenvalues(table(asked, lambda run: 0.1, lambda run: run.rate == 10), asked, "lambda_max")
    by_rate = found.groupby("rate")["value"].first().to_dict()
    assert by_rate == {0.1: 5 + 500 + 0.1, 1.0: 5 + 500 + 1.0, 10.0: math.inf}


def test_another_layer_can_be_shown_and_an_unknown_one_is_refused():
    asked = sweep(layer="fc")
    found = eigenvalues(table(asked, lambda run: 0.1), asked, "lambda_min")
    assert found["value"].min() == 5 + 200 + 0.1
    with pytest.raises(UnknownNameError, match="did you mean fc"):
        eigenvalues(table(asked, lambda run: 0.1), sweep(layer="fcc"), "lambda_min")


def test_a_grouped_convolution_shows_the_extremes_over_its_groups():
    asked = sweep(lr=0.1, seeds=1)
    rows = table(asked, lambda run: 0.1)
    both = pd.concat([rows, rows.assign(index=1, value=rows["value"] + 7)])
    assert eigenvalues(both, asked, "lambda_min")["value"].item() == 505.1
    assert eigenvalues(both, asked, "lambda_max")["value"].item() == 512.1


def test_the_summary_finds_the_best_rate_and_where_runs_diverge():
    asked = sweep(norm="batch,none")
    found = summary(
        table(
            asked,
            lambda run: abs(run.rate - 1) / 20 + 0.01,
            lambda run: run.norm == "none" and (run.rate == 10 or (run.rate == 1 and run.seed == 0)),
        ),
        asked,
    ).set_index("label")
    assert found.loc["batch"].tolist() == [1.0, 0.01, 10.0, 0, 6]
    assert found.loc["no norm"].tolist() == [0.1, pytest.approx(0.055), 0.1, 3, 6]


def test_a_rate_is_stable_only_when_all_lower_ones_are():
    asked = sweep()
    found = summary(table(asked, lambda run: 0.1, lambda run: run.rate == 1), asked)
    assert found["stable_rate"].item() == 0.1
    nowhere = summary(table(asked, lambda run: 0.1, lambda run: run.rate == 0.1), asked)
    assert math.isnan(nowhere["stable_rate"].item())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"norm": "batch,none"}, ["batch", "no norm"]),
        ({"norm": "batch", "place": "after,before"}, ["batch after", "batch before"]),
        ({"norm": "batch,none", "place": "after,before"}, ["batch, after", "batch, before", "no norm"]),
        ({"network": "lenet,resnet(depth=8)", "norm": "batch"}, ["lenet", "resnet(depth=8)"]),
        ({"network": "my.net:make"}, ["my.net:make"]),
        ({"norm": "suppress"}, ["suppress"]),
    ],
    ids=str,
)
def test_a_line_is_named_by_what_varies(words, expected):
    assert list(labels(sweep(**words)).values()) == expected
    assert len(set(expected)) == len(expected)


def test_nothing_is_summed_up_when_no_run_has_finished():
    with pytest.raises(NotJudgedError):
        summary(empty_table(), sweep())
