"""A value of 0 in a panel with a logarithmic axis is marked at the panel's edge; a warning is an error."""

import math

import numpy as np
import pytest
from chai_tables import join, power_rows, scaling_table, spectrum_rows, training_rows, variants
from noise_tables import RATES, balanced_rows, step_rows, study

from normscope.papers.chai2020 import fig4_channel_scaling, fig5, fig6, fig7, fig8, fig10, pmd
from normscope.papers.chai2020.profiles import CURVE_RATES
from normscope.papers.chai2020.readings.scaled_inputs import eigenvalues
from normscope.report.plots import new_figure

pytestmark = pytest.mark.filterwarnings("error")


def drawn(module, table):
    figure = module.EXPERIMENT.figure(table)
    figure.draw_without_rendering()
    return figure.axes


def at_edge(panel):
    """The places, in units of the panel, of the markers that are at its lower or left edge."""
    transforms = (panel.get_xaxis_transform(), panel.get_yaxis_transform())
    lines = [line for line in panel.get_lines() if line.get_marker() not in ("None", "", None)]
    return [
        place
        for axis, transform in enumerate(transforms, start=-1)
        for line in lines
        if line.get_transform() == transform and not line.get_clip_on()
        for place in np.asarray(line.get_data()[axis], dtype=float)
        if place == 0
    ]


def nothing_is_lost(panel):
    """Whether each marker of a line in units of the data has a place on the logarithmic axes."""
    inside = [line for line in panel.get_lines() if line.get_transform() == panel.transData]
    places = [
        np.asarray(line.get_data()[axis], dtype=float)
        for axis, scale in enumerate((panel.get_xscale(), panel.get_yscale()))
        for line in inside
        if scale == "log" and line.get_marker() not in ("None", "", None)
    ]
    return all((one[np.isfinite(one)] > 0).all() for one in places)


def test_fig6_marks_a_smallest_eigenvalue_of_0():
    table = join(
        *(spectrum_rows(variants(0.0, 1.0, 1.0, 0.0), rate, "lambda_min") for rate in (0.01, 0.1, 1.0))
    )
    (panel,) = drawn(fig6, table)
    assert (len(at_edge(panel)), nothing_is_lost(panel)) == (6, True)


def test_fig7_marks_an_error_of_0_at_every_epoch():
    table = join(
        *(training_rows(variants([0.0, 0.0], [0.1, 0.0], [0.5] * 2, []), rate) for rate in CURVE_RATES)
    )
    for panel in drawn(fig7, table):
        assert (len(at_edge(panel)), nothing_is_lost(panel)) == (3, True)


def test_fig8_marks_zeros_of_the_error_and_of_the_eigenvalue():
    runs = [
        rows
        for rate in (0.01, 1.0)
        for rows in (
            training_rows(variants(*[[0.0, 0.0]] * 4), rate),
            spectrum_rows(variants(0.0, 1.0, 1.0, 2.0), rate, "lambda_max"),
        )
    ]
    found = drawn(fig8, join(*runs))
    assert [len(at_edge(panel)) for panel in found] == [8, 2]
    assert all(map(nothing_is_lost, found))


def test_fig5_marks_a_dead_channel():
    found = drawn(fig5, power_rows((0.0, 0.9, 8.0)))
    assert [len(at_edge(panel)) for panel in found[:3]] == [1, 1, 2]  # batch and amplify give it power 1
    assert all(map(nothing_is_lost, found))


def test_fig4_marks_eigenvalues_of_0():
    figure, (panel,) = new_figure(1)
    table = scaling_table(nudge=lambda value: 0.0 if value < 1e-6 else value)
    fig4_channel_scaling._draw_eigenvalues(panel, eigenvalues(table))
    figure.draw_without_rendering()
    assert (len(at_edge(panel)), nothing_is_lost(panel)) == (2, True)


def test_fig10_marks_a_noise_amplification_of_0_at_the_left_edge():
    found = drawn(fig10, study({"prior": 0.0}, readings=False))
    assert [len(at_edge(panel)) for panel in found[4:6]] == [1, 1]


def test_the_balanced_step_marks_a_distance_of_0():
    norm = {"gain_distance": 0.1, "bias_distance": 0.1}
    measures = {"cosine_mean": 0.6, "cosine_sum": 0.3, "length": 0.0, "power_variation": 0.8, **norm}
    compared = [step_rows("prior", rate, 0, {0: measures, 1: measures}) for rate in RATES]
    found = drawn(pmd, join(*compared, balanced_rows(0, {0.0: 0.0, 1.0: 0.5})))
    assert [len(at_edge(panel)) for panel in found[2:4]] == [2, 2]
    assert (len(at_edge(found[7])), nothing_is_lost(found[7])) == (1, True)
    assert not math.isnan(found[7].get_ylim()[0])
