"""The figures of Fig. 10 and of §4, drawn from made-up tables; a warning is an error."""

import functools
import math

import pytest
from chai_tables import join, without
from noise_tables import (
    AMPLIFICATION,
    RATES,
    amplification_rows,
    balanced_rows,
    noisy_rows,
    states_of,
    step_rows,
    study,
)

from normscope.papers.chai2020.cells.arrangements import ARRANGEMENTS, LABELS, PAPERS_FIVE, PLAIN
from normscope.papers.chai2020.cells.noise import train_arrangement
from normscope.papers.chai2020.cells.step_comparison import balanced_step
from normscope.papers.chai2020.fig10 import EXPERIMENT as FIG10
from normscope.papers.chai2020.pmd import EXPERIMENT as PMD
from normscope.papers.chai2020.profiles import VARIATIONS
from normscope.protocol import NotJudgedError, empty_table

pytestmark = pytest.mark.filterwarnings("error")


def panels(experiment, table):
    figure = experiment.figure(table)
    figure.draw_without_rendering()
    return figure.axes


@functools.cache
def papers():
    """The panels of the paper's numbers, every reading run."""
    return panels(FIG10, study())


def rows_of(panel):
    """The names at a panel's rows."""
    return [label.get_text() for label in panel.get_yticklabels()]


def marked(panel):
    """The horizontal places of a panel's markers; those in units of the panel are its right edge."""
    return [float(line.get_xdata()[0]) for line in panel.get_lines() if len(line.get_xdata()) == 1]


class TestFig10:
    def test_has_a_column_a_rate_of_curves_without_and_with_noise_d_and_the_jitters_change(self):
        found = papers()
        assert [panel.get_title() for panel in found] == [
            "(a) rate 0.1, no noise",
            "(b) rate 1, no noise",
            "(c) rate 0.1, noise 1",
            "(d) rate 1, noise 1",
            "(e) noise amplification, rate 0.1",
            "(f) noise amplification, rate 1",
            "(g) jitter, rate 0.1",
            "(h) jitter, rate 1",
        ]
        assert [len(panel.get_lines()) for panel in found[:4]] == [6] * 4  # five arrangements and chance

    def test_has_a_row_of_d_for_every_arrangement_in_every_reading(self):
        low, high = papers()[4:6]
        first = {name for name in ARRANGEMENTS if name.endswith("_first")}
        assert rows_of(low) == [LABELS[name] for name in ARRANGEMENTS if name not in first]
        assert rows_of(high) == list(LABELS.values())

    def test_is_drawn_without_readings(self):
        found = panels(FIG10, study(readings=False))
        assert len(found) == 8
        for panel in found[4:]:
            assert rows_of(panel) == [LABELS[name] for name in PAPERS_FIVE]

    def test_marks_d_at_its_geometric_mean_over_seeds(self):
        (panel,) = panels(FIG10, study(readings=False, rates=(1.0,)))[2:3]
        assert marked(panel) == pytest.approx(list(AMPLIFICATION.values()))

    def test_marks_the_factor_of_the_jitter(self):
        (panel,) = panels(FIG10, study(readings=False, rates=(1.0,)))[3:4]
        assert marked(panel) == pytest.approx([4.0, 5.0, 1.5, 2.0, 1.2])

    def test_shows_a_stronger_noise_hollow_beside_noise_1(self):
        (panel,) = panels(FIG10, study(readings=False, rates=(1.0,), noises=(1.0, 3.0)))[2:3]
        d = list(AMPLIFICATION.values())
        assert marked(panel) == pytest.approx([*d, *(3 * one for one in d)])
        points = [line for line in panel.get_lines() if len(line.get_xdata()) == 1]
        assert [line.get_fillstyle() for line in points] == ["full"] * 5 + ["none"] * 5

    def test_shows_no_stronger_noise_of_the_readings_on_which_it_was_not_tried(self):
        (panel,) = panels(FIG10, study(rates=(1.0,), noises=(1.0, 3.0)))[2:3]
        assert len(marked(panel)) == len(ARRANGEMENTS) + len(PAPERS_FIVE)

    def test_shows_a_diverged_arrangement_at_the_right_edge_and_its_curve_at_chance(self):
        found = panels(FIG10, study(readings=False, rates=(1.0,), diverged=("nlms_l2",)))
        assert marked(found[2])[-1] == 1.0
        assert marked(found[2])[:-1] == pytest.approx(list(AMPLIFICATION.values())[:-1])
        ends = {line.get_label(): line.get_ydata() for line in found[0].get_lines()}
        assert set(ends["NLMS_L2"]) == {0.9}
        assert rows_of(found[3]) == [LABELS[name] for name in PAPERS_FIVE if name != "nlms_l2"]

    def test_is_drawn_with_one_seed_of_an_arrangement_diverged(self):
        table = without(study(readings=False), arrangement="nlms_l2", seed=1)
        one = [rows("nlms_l2", rate, 1, []) for rate in RATES for rows in (amplification_rows, noisy_rows)]
        assert len(panels(FIG10, join(table, *one))) == 8

    def test_is_drawn_where_every_d_is_infinite(self):
        runs = [
            amplification_rows(name, rate, seed, [0.1] * 10, {1000: {1.0: [math.inf] * 2}})
            for name in PAPERS_FIVE
            for rate in RATES
            for seed in range(3)
        ]
        found = panels(FIG10, join(*runs, noisy_rows("prior", 0.1, 0, [0.1] * 10)))
        assert [marked(panel) for panel in found[4:6]] == [[1.0] * 5] * 2

    def test_is_drawn_where_a_d_is_zero(self):
        assert len(panels(FIG10, study({"prior": 0.0}, readings=False))) == 8

    def test_is_drawn_where_every_run_has_diverged(self):
        found = panels(FIG10, study(readings=False, diverged=PAPERS_FIVE).assign(epoch=math.nan))
        assert [rows_of(panel) for panel in found[6:]] == [[]] * 2
        assert {tuple(set(line.get_ydata())) for line in found[0].get_lines()} == {(0.9,)}

    def test_is_drawn_with_one_seed_and_so_without_intervals(self):
        found = panels(FIG10, study(seeds=1, readings=False))
        assert [marked(panel) for panel in found[4:]] == [[]] * 4

    def test_is_drawn_with_too_few_epochs_for_a_jitter(self):
        found = panels(FIG10, study(epochs=3, readings=False))
        assert [rows_of(panel) for panel in found[6:]] == [[]] * 2

    def test_is_drawn_before_any_noisy_run_has_finished(self):
        quiet = without(study(readings=False), function=train_arrangement.name).drop(columns="noise")
        found = panels(FIG10, quiet)
        assert len(found) == 8
        assert [len(rows_of(panel)) for panel in found[4:]] == [5, 5, 0, 0]

    def test_is_drawn_from_a_single_run(self):
        assert len(panels(FIG10, amplification_rows("prior", 0.1, 0, [0.1] * 10, states_of(0.1)))) == 4

    def test_is_not_drawn_from_nothing(self):
        with pytest.raises(NotJudgedError):
            FIG10.figure(empty_table())


def steps(rates=RATES, seeds=2, diverged=()):
    """Sixty compared steps of the plain arrangements; those of ``diverged`` end after the fifth."""
    tables = [balanced_rows(seed, {v: v / 2 or 1e-14 for v in VARIATIONS}) for seed in range(seeds)]
    for name in PLAIN:
        for rate in rates:
            for seed in range(seeds):
                measures = {"cosine_mean": 0.6, "cosine_sum": 0.3, "length": 0.9, "power_variation": 0.8}
                norm = {"gain_distance": 0.0, "bias_distance": 0.0} if name != "baseline" else {}
                by_step = {step: measures | dict.fromkeys(norm, step / 100) for step in range(60)}
                if name in diverged:
                    by_step = {step: by_step[step] for step in range(5)} | {5: {"diverged": math.inf}}
                tables.append(step_rows(name, rate, seed, by_step))
    return join(*tables)


class TestPmd:
    def test_has_a_column_a_rate_of_cosine_length_and_distances_and_the_assumption_below(self):
        found = panels(PMD, steps())
        assert len(found) == 8
        assert [panel.get_title() for panel in found[:2]] == ["rate 0.1", "rate 1"]
        assert [len(panel.get_lines()) for panel in found[:2]] == [3, 3]
        assert [panel.get_xscale() for panel in found] == ["log"] * 6 + ["linear"] * 2
        assert found[7].get_yscale() == "log"

    def test_shows_every_balanced_step_and_where_digits_are(self):
        cosine, distance = panels(PMD, steps())[6:]
        (line, balanced, digits) = cosine.get_lines()
        assert list(line.get_xdata()) == list(VARIATIONS)
        assert len(balanced.get_xdata()) == 2 * len(VARIATIONS)
        assert set(digits.get_xdata()) == {0.8}
        assert set(digits.get_ydata()) == {0.6}
        assert len(distance.get_lines()) == 3  # the line, the markers, and where a step counts as exact

    @pytest.mark.parametrize("diverged", [("baseline",), PLAIN])
    def test_is_drawn_with_diverged_runs(self, diverged):
        found = panels(PMD, steps(diverged=diverged))
        baseline = found[0].get_lines()[0]
        assert list(baseline.get_xdata()) == [1, 2, 3, 4, 5]

    def test_is_drawn_at_one_rate_and_with_one_seed(self):
        assert len(panels(PMD, steps(rates=(1.0,)))) == 4
        assert len(panels(PMD, steps(seeds=1))) == 8

    def test_is_drawn_without_balanced_steps(self):
        table = without(steps(), function=balanced_step.name)
        found = panels(PMD, table)
        assert [len(panel.get_lines()) for panel in found[:2]] == [3, 3]

    def test_is_not_drawn_from_nothing(self):
        with pytest.raises(NotJudgedError):
            PMD.figure(empty_table())
