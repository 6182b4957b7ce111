from normscope.papers.chai2020.cells.lenet import LeNetTraining, early_spectrum, train_lenet
from normscope.papers.shared import Profile, combinations


def test_every_combination_gets_a_cell_and_the_seed_varies_fastest():
    profile = Profile("mnist5k", 100, seeds=2, epochs=3)
    cells = combinations(train_lenet, profile, norm=("none", "batch"), rate=(0.1, 1.0))
    expected = [
        LeNetTraining(norm, rate, seed, "mnist5k", 100, 3)
        for norm in ("none", "batch") for rate in (0.1, 1.0) for seed in (0, 1)
    ]  # fmt: skip
    assert [cell.config for cell in cells] == expected
    assert {cell.name for cell in cells} == {train_lenet.name}


def test_a_field_with_a_default_keeps_it_whatever_the_profile_says():
    profile = Profile("mnist5k", 100, seeds=1, steps=70)
    (cell,) = combinations(early_spectrum, profile, norm=("none",), rate=(1.0,))
    assert cell.config.steps == 5
