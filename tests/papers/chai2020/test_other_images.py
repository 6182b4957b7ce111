"""The cells on images of three channels and four classes, and what is read from their rows."""

import numpy as np
import pandas as pd
import pytest
from own_pictures import CHANNELS, CLASSES, TRAIN

from normscope import data
from normscope.papers.chai2020 import fig7, fig8
from normscope.papers.chai2020.cells import arrangements, recipe
from normscope.papers.chai2020.cells.gates import gate_activity
from normscope.papers.chai2020.cells.lenet import EarlySpectrum, LeNetTraining, early_spectrum, train_lenet
from normscope.papers.chai2020.cells.linear_descent import LinearDescent, descend
from normscope.papers.chai2020.cells.noise import (
    NoiseAmplification,
    NoiseTraining,
    noise_amplification,
    train_arrangement,
)
from normscope.papers.chai2020.cells.powers import channel_power
from normscope.papers.chai2020.cells.scaled_inputs import ScaledChannels, scale_channels
from normscope.papers.chai2020.cells.step_comparison import StepComparison, compare_steps
from normscope.papers.chai2020.readings.lenet import failed_error, failed_remark, validation_errors
from normscope.papers.chai2020.readings.noise import error_curves
from normscope.papers.shared import chance_error


@pytest.fixture(scope="module")
def pictures():
    return data.pinned("own_pictures:pictures")


def rows_of(function, config) -> pd.DataFrame:
    """A cell's rows, with its function and configuration as the store joins them."""
    frame = function(config).to_pandas()
    return frame.assign(
        function=function.name, **{k: str(v) if isinstance(v, tuple) else v for k, v in vars(config).items()}
    )


def test_the_network_has_the_channels_and_classes_of_the_data(pictures):
    model = recipe.lenet(0, pictures, norm="batch")
    assert (model.conv1.in_channels, model.fc.out_features) == (CHANNELS, CLASSES)
    digits = recipe.lenet(0, "mnist5k", norm="batch")
    assert (digits.conv1.in_channels, digits.fc.out_features) == (1, 10)


def test_a_training_run_learns_the_pictures_and_says_how_many_classes_there_are(pictures):
    rows = rows_of(train_lenet, LeNetTraining("batch", 0.5, 0, pictures, TRAIN, epochs=12))
    errors = rows[rows["measure"] == "validation_error"]["value"]
    assert errors.iloc[-1] < 0.25 < errors.iloc[0]
    assert rows[rows["measure"] == "classes"]["value"].tolist() == [CLASSES]
    assert chance_error(rows) == 0.75


def test_a_run_on_digits_has_no_such_row():
    rows = rows_of(train_lenet, LeNetTraining("batch", 0.1, 0, "mnist5k", 64, epochs=1))
    assert "classes" not in set(rows["measure"])


def test_a_diverged_run_counts_as_a_guess_among_the_classes(pictures):
    rows = rows_of(train_lenet, LeNetTraining("none", 1e6, 0, pictures, TRAIN, epochs=2))
    assert "diverged" in set(rows["measure"])
    assert validation_errors(rows)["value"].iloc[-1] == 0.75
    config = NoiseTraining("baseline", 1e6, 0.0, 0, pictures, TRAIN, epochs=2)
    assert error_curves(rows_of(train_arrangement, config)).iloc[0, -1] == 0.75


def test_spectra_and_powers_are_of_every_channel(pictures):
    config = EarlySpectrum("amplify", 0.1, 0, pictures, TRAIN)
    spectra, powers = rows_of(early_spectrum, config), rows_of(channel_power, config)
    assert spectra[spectra["measure"] == "lambda_max"]["value"].gt(0).all()
    assert set(powers[powers["layer"] == "conv1"]["channel"].dropna()) == set(range(6))
    shares = rows_of(gate_activity, config)
    assert shares[shares["measure"] == "share_above"]["value"].between(0, 1).all()


def test_the_blocks_of_the_second_convolutions_input_scale_with_the_square_of_the_factor(pictures):
    rows = rows_of(scale_channels, ScaledChannels("powers_of_two", 1.0, 0, pictures, 16))
    by_channel = {
        name: rows[rows["measure"] == name].set_index("channel")["value"]
        for name in ("factor", "block_ratio")
    }
    np.testing.assert_array_equal(by_channel["block_ratio"], by_channel["factor"] ** 2)


def test_a_convolution_of_three_channels_decays_mode_by_mode_as_the_law_says(pictures):
    rows = rows_of(descend, LinearDescent(0.4, 0, pictures, 8, steps=20))
    amplitude, law = (rows[rows["measure"] == name]["value"].to_numpy() for name in ("amplitude", "law"))
    assert set(rows["index"].dropna()) == set(range(CHANNELS * 25))
    np.testing.assert_allclose(amplitude, law, rtol=1e-6, atol=1e-6 * np.abs(law).max())


@pytest.mark.parametrize("arrangement", arrangements.PLAIN)
def test_steps_are_compared_with_nlms(pictures, arrangement):
    rows = rows_of(compare_steps, StepComparison(arrangement, 0.1, 0, pictures, TRAIN))
    assert rows[rows["measure"] == "cosine_mean"]["value"].between(-1, 1).all()


def test_noise_from_a_state_that_diverges_ends_at_a_guess_among_the_classes(pictures):
    config = NoiseAmplification(
        "baseline", 1e6, 0, pictures, 64, 1, states=(), noises=(1.0,), draws=1, span=2
    )
    rows = rows_of(noise_amplification, config).set_index("measure")["value"]
    assert rows["quiet_error"] == 0.75
    assert rows["displacement at noise 1"] == np.inf


@pytest.mark.parametrize(("classes", "failed"), [(None, 0.5), (4, 0.5 / 0.9 * 0.75)])
def test_a_claim_of_50_percent_error_is_read_in_units_of_a_guess(classes, failed):
    rows = [{"measure": "validation_error", "value": 0.6, "function": train_lenet.name}]
    if classes:
        rows.append({"measure": "classes", "value": classes, "function": train_lenet.name})
    table = pd.DataFrame(rows)
    assert failed_error(table) == pytest.approx(failed)
    assert (
        "41.7 % takes the place of 50" in failed_remark(table).replace("\N{NO-BREAK SPACE}", " ")
    ) is bool(classes)


def test_the_figures_mark_chance_where_it_is(pictures):
    table = pd.concat(
        rows_of(train_lenet, LeNetTraining(norm, rate, 0, pictures, TRAIN, epochs=1))
        for norm in ("none", "batch")
        for rate in (0.01, 0.1)
    )
    spectra = rows_of(early_spectrum, EarlySpectrum("none", 0.1, 0, pictures, TRAIN))
    for figure in (fig7.draw(table), fig8.draw(pd.concat([table, spectra]))):
        lines = [line.get_ydata() for line in figure.axes[0].get_lines()]
        assert any(len(set(ys)) == 1 and ys[0] == pytest.approx(0.75) for ys in lines)
