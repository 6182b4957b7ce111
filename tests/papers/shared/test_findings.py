import numpy as np
import pytest
from scipy import stats

from normscope.papers.shared import Findings, contrasts
from normscope.papers.shared.contrasts import Contrast, below, ratio
from normscope.protocol import Judgement, NotJudgedError


def contrast(*values, name="x", **bounds) -> Contrast:
    return ratio(name, dict(enumerate(values)), dict.fromkeys(range(len(values)), 1.0), **bounds)


def judged(*contrasts) -> Judgement:
    found = Findings()
    found.compare(*contrasts)
    return found.judgement()


SURE = contrast(2.0, 2.1, 2.2, least=1)
WRONG = contrast(0.1, 0.11, 0.12, least=1, name="y")
UNSURE = contrast(0.8, 1.2, 1.5, least=1, name="z")


def test_a_claim_holds_when_every_comparison_does_over_the_fewest_seeds():
    found = Findings({"a": 1.0})
    found.measure({"b": 2.0})
    found.compare(SURE, contrast(3.0, 3.1, least=1, name="y"))
    found.remark("and more")
    found.remark("")
    judgement = found.judgement()
    assert (judgement.holds, judgement.seeds, judgement.reason) == (True, 2, "and more")
    assert list(judgement.measured) == ["a", "b", "x", "y"]
    assert [one.name for one in judgement.comparisons] == ["x", "y"]


def test_the_sources_own_numbers_are_reported_also_where_the_claim_is_not_judged():
    found = Findings({"a": 1.0})
    found.publish({"a": 1.5})
    with pytest.raises(NotJudgedError) as raised:
        raise found.not_judged("too early")
    assert (raised.value.published, raised.value.measured) == ({"a": 1.5}, {"a": 1.0})
    found.compare(SURE)
    assert found.judgement().published == {"a": 1.5}
    found.compare(contrast(2.0, name="one seed"))
    with pytest.raises(NotJudgedError) as raised:
        found.judgement()
    assert raised.value.published == {"a": 1.5}


@pytest.mark.parametrize(
    ("comparisons", "expected"),
    [((SURE, WRONG), False), ((WRONG, UNSURE), False), ((SURE, UNSURE), None), ((UNSURE, UNSURE), None)],
)
def test_one_comparison_that_fails_is_enough_and_one_that_is_undecided_leaves_the_claim_so(
    comparisons, expected
):
    assert judged(*comparisons).holds is expected


def ends(*values):
    """Value and 95 % interval of a ratio's geometric mean, by SciPy, to four digits."""
    logs = np.log(values)
    found = np.exp([logs.mean(), *stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))])
    return [f"{number:.4g}" for number in found]


def test_the_reason_is_of_the_comparisons_that_keep_it_from_holding_with_this_runs_numbers():
    value, low, high = ends(0.8, 1.2, 1.5)
    assert judged(SURE, UNSURE).reason.startswith(
        f"z is {value}, over 3 seeds between {low} and {high}, and must be at least 1; about "
    )
    value, low, high = ends(0.1, 0.11, 0.12)
    assert judged(SURE, WRONG, UNSURE).reason == (
        f"y is {value}, over 3 seeds between {low} and {high}, and must be at least 1"
    )


def test_an_errors_ratio_is_not_shown_in_percent_and_an_error_is():
    found = judged(contrasts.level("error A", {0: 0.2, 1: 0.21, 2: 0.2}, most=0.1))
    assert found.reason.startswith("error A is 20.33\N{NO-BREAK SPACE}%, over 3 seeds between ")
    assert judged(contrast(2, 2.1, 2.2, most=1.25, name="error A / B")).reason.startswith(
        "error A / B is 2.098, "
    )


def test_a_comparison_that_only_just_misses_among_many_leaves_the_claim_undecided():
    just = contrast(0.90, 0.95, 0.97, 0.96, least=1.0)
    assert judged(just).holds is False
    among = judged(just, *[contrast(2.0, 2.1, 2.2, least=1, name=f"s{number}") for number in range(9)])
    assert among.holds is None
    assert "one of 10 comparisons misses its bound that far by chance" in among.reason


def test_without_two_seeds_it_is_not_judged():
    with pytest.raises(NotJudgedError, match="one seed"):
        judged(contrast(2.0, least=1))


@pytest.mark.parametrize("count", [3, 5, 10])
@pytest.mark.parametrize("orders", [2, 6, 20])
def test_of_claims_of_many_orders_without_an_effect_at_most_one_in_twenty_is_decided(count, orders):
    generator = np.random.default_rng(orders)
    decided = 0
    for _ in range(200):
        samples = [dict(enumerate(np.exp(0.3 * generator.normal(size=count)))) for _ in range(orders + 1)]
        decided += (
            judged(*(below(str(n), samples[0], other) for n, other in enumerate(samples[1:]))).holds
            is not None
        )
    assert decided / 200 <= 0.05 + 0.03


@pytest.mark.parametrize("effect", [0.1, 10.0])
def test_with_a_large_effect_every_claim_of_six_orders_is_decided_and_right(effect):
    generator = np.random.default_rng(6)
    for _ in range(40):
        low, *high = (dict(enumerate(np.exp(0.1 * generator.normal(size=5)))) for _ in range(7))
        scaled = [{seed: value * effect for seed, value in one.items()} for one in high]
        holds = judged(*(below(str(n), low, other) for n, other in enumerate(scaled))).holds
        assert holds is (effect > 1)
