import dataclasses

import pytest

from normscope.errors import InputError, UnknownNameError
from normscope.options import RunOptions


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"workers": 0}, "0 workers cannot run anything: give 1 or more."),
        ({"cell_timeout": 0.0}, "a cell time-out of 0 s is not positive."),
        ({"cell_timeout": float("nan")}, "a cell time-out of nan s is not positive."),
    ],
)
def test_options_that_make_no_sense_are_refused_in_a_sentence(fields, words):
    with pytest.raises(InputError) as refused:
        RunOptions(**fields)
    assert str(refused.value) == words


def test_an_unknown_engine_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean local"):
        RunOptions(engine="locl")


def test_options_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunOptions().workers = 2
