import pytest
from chai_tables import join
from noise_tables import run_rows, run_table, zigzag

from normscope.papers.chai2020.cells.noise import ARRANGEMENTS
from normscope.papers.chai2020.fig10 import EXPERIMENT
from normscope.protocol import Scale, empty_table

QUIET = dict.fromkeys(ARRANGEMENTS, 0.002) | {"nlms_l1": 0.0005, "nlms_l2": 0.0005, "nlms_l2_sum": 0.0005}
"""Amplitude of each arrangement's zigzag without noise."""

RATIOS = {
    "baseline": 4.0, "batch": 5.0, "prior": 1.5, "nlms_l1": 2.0, "nlms_l2": 1.2, "nlms_l1_sum": 2.0, "nlms_l2_sum": 1.1
}  # fmt: skip
"""How much larger noise makes it, as the paper says."""

LEVELS = dict.fromkeys(ARRANGEMENTS, 0.05) | {"batch": 0.08}
SPREAD = dict.fromkeys(ARRANGEMENTS, 0.003) | {"nlms_l2": 0.001}
"""Distance from seed to seed."""

RULES = {rule.id: rule for rule in EXPERIMENT.rules}
ORDER_RULES = [
    most_sensitive_low_rate, least_sensitive_low_rate, most_sensitive_high_rate, least_sensitive_high_rate
] = [RULES[f"{which}-sensitive-{rate}-rate"] for rate in ("low", "high") for which in ("most", "least")]  # fmt: skip
power_as_mean, power_as_sum = RULES["power-as-mean"], RULES["power-as-sum"]
smoothest_curve, smallest_band = RULES["smoothest-curve"], RULES["smallest-band"]
batchnorm_settles_higher = RULES["batchnorm-settles-higher"]


def runs(ratios=None, levels=None, spread=None, quiet=None, rates=(0.1, 1.0), noise=1.0, seeds=5, skip=()):
    ratios, levels = RATIOS | (ratios or {}), LEVELS | (levels or {})
    spread, quiet = SPREAD | (spread or {}), QUIET | (quiet or {})
    return run_table(
        *(
            run_rows(
                name, rate, at, seed, zigzag(levels[name] + seed * spread[name], quiet[name] * (factor if at else 1))
            )
            for name, factor in ratios.items()
            for rate in rates
            for at in (0.0, noise)
            for seed in range(seeds)
            if name not in skip
        )
    )  # fmt: skip


def test_the_papers_order_bears_every_claim_out():
    table = runs()
    assert [rule(table).holds for rule in EXPERIMENT.rules] == [True] * len(EXPERIMENT.rules)
    assert all(rule(table).seeds == 5 for rule in EXPERIMENT.rules)


@pytest.mark.parametrize(
    ("rules", "ratios"),
    [
        ((most_sensitive_low_rate, most_sensitive_high_rate), {"baseline": 1.9}),
        ((most_sensitive_low_rate, most_sensitive_high_rate), {"batch": 1.4}),
        ((most_sensitive_low_rate, most_sensitive_high_rate), {"nlms_l2": 4.5}),
        ((least_sensitive_low_rate, least_sensitive_high_rate), {"nlms_l2": 1.6}),
        ((least_sensitive_low_rate, least_sensitive_high_rate), {"prior": 2.1}),
        ((least_sensitive_low_rate, least_sensitive_high_rate), {"baseline": 1.4}),
    ],
)
def test_an_order_claim_fails_on_sensitivities_that_deny_it(rules, ratios):
    assert [rule(runs(ratios)).holds for rule in rules] == [False, False]


def test_an_order_claim_reads_its_own_rate_only():
    table = join(runs({"baseline": 1.0}, rates=(0.1,)), runs(rates=(1.0,)))
    assert most_sensitive_low_rate(table).holds is False
    assert most_sensitive_high_rate(table).holds is True


def test_an_order_claim_gives_every_sensitivity_with_its_interval():
    measured = most_sensitive_low_rate(runs()).measured
    assert measured["Baseline"] == pytest.approx(4.0)
    assert measured["NLMS_L2 low"] == pytest.approx(1.2) == measured["NLMS_L2 high"]
    assert measured["rise BatchNorm"] == pytest.approx(1.0)
    assert len(measured) == 20


def test_the_literal_power_is_not_run_under_the_stronger_noise_and_the_figure_does_without_it():
    cells = EXPERIMENT.cells(Scale.LAPTOP, empty_table())
    means = {name for name, arrangement in ARRANGEMENTS.items() if arrangement.power == "mean"}
    assert {cell.config.arrangement for cell in cells if cell.config.noise == 3} == means
    assert {cell.config.arrangement for cell in cells if cell.config.noise == 1} == set(ARRANGEMENTS)
    strong = runs(noise=3.0, skip=set(ARRANGEMENTS) - means).query("noise > 0")
    panels = EXPERIMENT.figure(join(runs(), strong)).axes
    assert [len(panel.get_lines()) for panel in panels[:6]] == [8, 8, 8, 8, 6, 6]  # and chance


def test_an_order_claim_says_how_many_intervals_overlap_and_what_stronger_noise_says():
    sure = join(runs(), runs({"baseline": 1.0}, noise=3.0).query("noise > 0"))
    claim = most_sensitive_low_rate(sure)
    assert claim.holds is True
    assert claim.reason == (
        "the intervals overlap in 0 of 6 comparisons; on the rise at noise 1 it does not hold; "
        "on the sensitivity at noise 3 it does not hold; on the rise at noise 3 it does not hold"
    )
    wide = join(
        *(runs(RATIOS | {"prior": ratio}, seeds=9).query(f"seed == {s}") for s, ratio in enumerate([0.1] * 5 + [9] * 4))
    )  # fmt: skip
    claim = most_sensitive_low_rate(wide)
    assert claim.holds is True
    assert "overlap in 2 of 6" in claim.reason


@pytest.mark.parametrize("name", ["nlms_l1", "nlms_l2"])
def test_the_curve_claim_fails_when_an_nlms_curve_is_not_the_smoother(name):
    assert smoothest_curve(runs(quiet={name: 0.004})).holds is False


@pytest.mark.parametrize("name", ["nlms_l2", "prior"])
def test_the_band_claim_fails_when_another_band_is_smaller(name):
    spread = {"nlms_l2": 0.004} if name == "nlms_l2" else {name: 0.0005}
    claim = smallest_band(runs(spread=spread))
    assert claim.holds is False
    assert claim.measured[f"band {ARRANGEMENTS[name].label} at 0.1"] == pytest.approx(2 * spread[name])


def test_the_band_claim_gives_how_much_noise_widens_each_band():
    quiet = runs(spread=dict.fromkeys(ARRANGEMENTS, 0.001)).query("noise == 0")
    claim = smallest_band(join(quiet, runs().query("noise > 0")))
    assert claim.measured["with / without BN_Prior at 1"] == pytest.approx(3.0)


def test_batchnorm_must_settle_above_prior_at_both_rates():
    one_rate = join(runs(levels={"batch": 0.04}, rates=(0.1,)), runs(rates=(1.0,)))
    assert batchnorm_settles_higher(one_rate).holds is False


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (power_as_mean, {"levels": {"nlms_l1": 0.072}}),
        (power_as_mean, {"levels": {"nlms_l2": 0.072}}),
        (power_as_mean, {"ratios": {"nlms_l2": 1.6}}),
        (power_as_sum, {"levels": {"nlms_l1_sum": 0.072}}),
        (power_as_sum, {"levels": {"nlms_l2_sum": 0.072}}),
        (power_as_sum, {"ratios": {"nlms_l2_sum": 1.6}}),
    ],
)
def test_a_reading_of_the_power_fails_alone(rule, change):
    table = runs(**change)
    other = power_as_sum if rule is power_as_mean else power_as_mean
    assert rule(table).holds is False
    assert rule(table).reason.startswith("4 of 6 comparisons agree with the paper")
    assert other(table).holds is True


def test_an_arrangement_that_diverges_is_neither_insensitive_nor_trained():
    table = runs(skip=("nlms_l2",))
    diverged = [
        run_rows("nlms_l2", rate, noise, seed, [])
        for rate in (0.1, 1)
        for noise in (0, 1)
        for seed in range(5)
    ]
    table = join(table, run_table(*diverged))
    for rule in (*ORDER_RULES, smoothest_curve, power_as_mean):
        assert rule(table).holds is False
    assert power_as_mean(table).measured["error NLMS_L2 / Baseline at 1"] > 9


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    lacking = rule(runs(skip=("prior", "nlms_l1", "nlms_l1_sum")))
    assert lacking.holds is None
    assert "no finished run of" in lacking.reason
    assert rule(runs(seeds=1)).holds is None
    assert rule(runs(rates=(7.0,))).holds is None
