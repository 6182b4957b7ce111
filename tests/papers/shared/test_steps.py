import itertools

import pytest

from normscope.papers.shared.steps import ever_rarer, in_equal_ratios


@pytest.mark.parametrize("last", [1, 2, 250, 500])
def test_steps_in_equal_ratios_begin_at_0_and_1_and_end_at_the_last(last):
    steps = sorted(in_equal_ratios(last, 40))
    assert steps[:2] == [0, 1]
    assert steps[-1] == last
    assert len(steps) <= 42
    ratios = [after / before for before, after in itertools.pairwise(steps[1:]) if before > 20]
    assert all(1 < ratio < 1.3 for ratio in ratios)


def test_steps_that_become_rarer_are_all_of_the_first_and_so_many_a_doubling():
    steps = ever_rarer(401, dense=50, per_doubling=10)
    assert steps[:50] == tuple(range(50))
    assert steps[-1] == 400
    assert sum(100 < step <= 200 for step in steps) == 10
