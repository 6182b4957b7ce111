import pytest

from normscope.papers.shared import Estimate, Findings


def test_a_claim_holds_when_every_comparison_does_over_the_fewest_seeds():
    found = Findings()
    found.measure({"a": 1.0})
    found.measure({"b": 2.0})
    found.compare(True, seeds=5, remark="sure")
    found.compare(True, seeds=3)
    found.remark("and more")
    judgement = found.judgement()
    assert (judgement.holds, judgement.seeds) == (True, 3)
    assert judgement.measured == {"a": 1.0, "b": 2.0}
    assert judgement.reason == "sure; and more"


@pytest.mark.parametrize("comparisons", [(True, False), (False, True), (False, False)])
def test_one_comparison_that_fails_is_enough(comparisons):
    found = Findings()
    for holds in comparisons:
        found.compare(holds, seeds=1)
    assert found.judgement().holds is False


def test_an_order_of_estimates_is_one_comparison_that_says_how_sure_it_is():
    estimates = {"low": Estimate(1.0, 0.5, 1.5, 4), "high": Estimate(2.0, 1.4, 3.0, 5)}
    found = Findings()
    found.compare_order([("low", "high")], estimates, "at rate 1 ")
    assert found.judgement().holds is True
    assert found.judgement().seeds == 4
    assert found.judgement().reason == "at rate 1 the intervals overlap in 1 of 1 comparisons"
    found.compare_order([("high", "low")], estimates)
    assert found.judgement().holds is False
