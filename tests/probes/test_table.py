"""The instruments' tables: data frames that print every column."""

from __future__ import annotations

import pickle

import pandas as pd
import pytest
import torch
from torch import nn

import normscope as ns
from normscope.probes.table import Table


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def spectra():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4), nn.Flatten(), nn.Linear(32, 4)
    )
    return ns.probes.spectrum(model, torch.randn(6, 3, 8, 8) * 1e-3)


def moments():
    return ns.probes.moments(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), torch.randn(6, 3))


@pytest.mark.parametrize("make", [spectra, moments])
def test_every_column_and_number_is_printed_within_the_terminals_width(narrow, make):
    table = make()
    text = str(table)
    assert repr(table) == text
    assert "..." not in text
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for column in table.columns.drop("note"):
        assert column in words
        for value in table[column]:
            assert (f"{value:.3g}" if isinstance(value, float) else str(value)) in words


def test_a_note_is_printed_once_with_the_layers_that_it_explains(narrow):
    table = Table({"layer": list("abcdef"), "power": 1.0, "note": ["same"] * 5 + [""]})
    assert str(table).splitlines()[-1] == "a, b, c and 2 more: same"
    assert "other" in str(table.assign(note=["same"] * 5 + ["other"])).splitlines()[-1]
    text = str(spectra())
    assert text.count("λ_min is 0 whatever the data") == 1
    assert "4: 6 patches span at most 6 of 32 dimensions" in text


def test_a_row_can_be_told_after_rows_were_chosen():
    table = spectra()
    assert list(map(str.split, str(table[table.layer == "2"][["layer", "dim"]]).splitlines())) == [
        ["layer", "dim"],
        ["1", "2", "18"],
    ]


def test_a_table_without_rows_or_layers_is_printed():
    assert "lambda_max" in str(spectra().iloc[:0])
    assert "power" in str(spectra()[["power"]])


def test_many_rows_are_left_out_in_the_middle_as_in_any_data_frame():
    table = ns.probes.moments(nn.Linear(3, 200), torch.randn(6, 3))
    assert len(str(table).splitlines()) < 200


def test_a_table_is_a_data_frame_that_stays_one():
    table = spectra()
    assert isinstance(table, pd.DataFrame)
    for made in (
        table[table.dim > 20],
        table[["layer", "power"]],
        table.assign(x=1),
        pd.concat([table, table]),
    ):
        assert isinstance(made, Table)
    labels = pd.DataFrame({"layer": ["0", "4"], "label": ["in", "out"]})
    assert table.merge(labels, on="layer").label.tolist() == ["in", "out"]
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(table)), table)
    pd.testing.assert_frame_equal(pd.DataFrame(table), table, check_frame_type=False)


def test_a_sampled_table_is_printed_in_full_too(narrow):
    model = nn.Linear(3, 2)
    sampler = ns.probes.SpectrumSampler(model, every=1)
    assert list(sampler.table().columns[:3]) == ["step", "layer", "kind"]
    with sampler:
        model(torch.randn(5, 3))
    assert "lr_bound" in str(sampler.table())
