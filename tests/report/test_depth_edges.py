"""Panels by depth of numbers that no axis can show."""

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.report.depth.layers import INFINITE, ZERO

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("number", [5e-324, 1e-291, 1e291, 1.7e308])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)], ids=["one row", "all rows"])
def test_numbers_at_the_ends_of_double_precision_are_at_the_edges(number, rows, tmp_path):
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), torch.randn(9, 3)
    spectrum, moments = ns.probes.spectrum(model, x), ns.probes.moments(model, x)
    spectrum.loc[spectrum.index[rows], ["lambda_min", "lambda_max", "lr_bound"]] = number
    moments.loc[moments.index[rows], ["mean", "variance", "power"]] = number
    said = []
    for place, table in enumerate((spectrum, moments)):
        figure = ns.plot(table)
        figure.savefig(tmp_path / f"{place}.png", dpi=30)
        said.append([text.get_text() for legend in figure.legends for text in legend.get_texts()])
    assert (ZERO if number < 1 else INFINITE) in said[0]
    assert ("power 0" if number < 1 else "power NaN or infinite") in said[1]
