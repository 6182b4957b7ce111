"""A stored sweep from anybody: every value may be of any kind."""

import json

import pytest

from normscope.errors import DamagedError, InputError
from normscope.sweep import Sweep

OWN_DATA = {
    "name": "my:data#0123456789abcdef", "shape": [3, 8, 8], "kind": "images", "target_shape": [], "classes": 10,
    "train": 100, "test": 10, "digest": "0123456789abcdef", "standardized": True, "vocabulary": None, "nonfinite": 0,
}  # fmt: skip
STORED = {**Sweep.of("lenet", "batch", lr="0.1,1").to_json(), "data": OWN_DATA["name"], "own_data": OWN_DATA}
WRONG = [None, True, "a", "", 7, -1, 10**400, 0.5, [], [1], ["a", None], {}, {"a": 1}, [[[[]]]], "(" * 9_000]


def read(fields):
    return Sweep.from_json(json.loads(json.dumps(fields)))


def test_a_sweep_on_a_users_own_data_comes_back_as_it_was():
    assert read(read(STORED).to_json()) == read(STORED)


@pytest.mark.parametrize("name", STORED)
def test_a_value_of_another_kind_is_damage_in_every_field(name):
    refused = 0
    for value in WRONG:
        try:
            read({**STORED, name: value}).describe()
        except DamagedError:
            refused += 1
        except InputError:
            assert name == "own_data"  # no facts, or too few: another version's
    texts = 4  # of these values, an optional text or number allows as many at most
    assert refused >= len(WRONG) - texts


@pytest.mark.parametrize("name", OWN_DATA)
def test_a_value_of_another_kind_is_damage_in_every_fact_of_the_data(name):
    refused = 0
    for value in WRONG:
        try:
            read({**STORED, "own_data": {**OWN_DATA, name: value}}).describe()
        except DamagedError:
            refused += 1
    assert refused >= len(WRONG) - 4


@pytest.mark.parametrize("fields", [None, [], "a", 7])
def test_what_is_no_object_is_damage(fields):
    with pytest.raises(DamagedError, match="not an object"):
        Sweep.from_json(fields)


@pytest.mark.parametrize(
    "change", [{"seeds": 10**9}, {"rates": [0.1] * 4000, "norms": ["batch"] * 4000}, {"seeds": 2**62}]
)
def test_a_few_characters_that_ask_for_a_billion_runs_are_damage(change):
    with pytest.raises(DamagedError, match="more runs"):
        read({**STORED, **change})


@pytest.mark.parametrize("change", [{"new": 1}, {"data": "a-set-of-later", "own_data": None}])
def test_other_fields_and_unknown_data_sets_are_another_versions(change):
    with pytest.raises(InputError, match="another version of normscope") as caught:
        read({**STORED, **change})
    assert not isinstance(caught.value, DamagedError)
