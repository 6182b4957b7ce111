import dataclasses

import pytest
from sample_cells import Behaviour, Numbers, numbers

from normscope.errors import InputError, UnknownNameError
from normscope.protocol import Cell, Rows, canonical_config, cell, known_cell


def no_data(name: str) -> str:
    raise AssertionError(f"asked for the digest of {name}")


def key(config: object, changes: dict[str, object] | None = None) -> str:
    return dataclasses.replace(Cell("m:f", 1, config), **(changes or {})).key(
        lambda name: f"digest of {name}"
    )


def test_equal_configurations_have_equal_keys():
    assert key(Numbers(2.0)) == key(Numbers(2.0))


def test_one_and_one_point_zero_are_alike():
    assert key(Numbers(1)) == key(Numbers(1.0))


def test_a_default_written_out_keeps_the_key():
    assert key(Numbers(1.0)) == key(Numbers(1.0, count=3, pair=(1, 2), label=None))


def test_a_new_option_with_a_default_keeps_old_keys():
    @dataclasses.dataclass(frozen=True)
    class Longer:
        start: float
        count: int = 3
        added: str = "as before"

    assert key(Numbers(1.0, count=5)) == key(Longer(1.0, count=5))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "m:g"},
        {"version": 2},
        {"config": Numbers(1.0, count=4)},
        {"config": Numbers(1.0, pair=(2, 1))},
        {"config": Numbers(1.0000000000000002)},
        {"data": ("mnist5k",)},
        {"device": "cuda"},
        {"device": "mps"},
    ],
    ids=str,
)
def test_what_changes_the_result_changes_the_key(changes):
    assert key(Numbers(1.0), changes) != key(Numbers(1.0))


def test_the_data_digest_is_part_of_the_key():
    reading = Cell("m:f", 1, Numbers(1.0), data=("mnist",))
    assert reading.key(lambda name: "old") != reading.key(lambda name: "new")


def test_the_content_of_a_users_file_is_part_of_the_key(tmp_path):
    norm = tmp_path / "norm.py"
    norm.write_text("eps = 1")
    cell_with_file = Cell("m:f", 1, Numbers(1.0), files=(str(norm),))
    before = cell_with_file.key(no_data)
    norm.write_text("eps = 2")
    assert cell_with_file.key(no_data) != before


def test_a_missing_users_file_is_named():
    with pytest.raises(InputError, match=r"no/such\.py"):
        Cell("m:f", 1, Numbers(1.0), files=("no/such.py",)).key(no_data)


def test_the_estimate_is_no_part_of_the_key():
    assert key(Numbers(1.0), {"cost": 5.0}) == key(Numbers(1.0), {"cost": 7.0})


def test_a_configuration_that_is_not_a_number_is_refused():
    with pytest.raises(InputError, match="start is not a number"):
        key(Numbers(float("nan")))


def test_infinity_in_a_configuration_survives_the_way_to_a_worker():
    sent = canonical_config(Numbers(float("inf")))
    assert numbers.config_from(sent) == Numbers(float("inf"))


@pytest.mark.parametrize(
    "config", [Numbers(1.0), Numbers(0.1, count=0), Numbers(1e-300, pair=(7,), label="x"), Numbers(2.0**60)]
)
def test_a_configuration_survives_the_way_to_a_worker(config):
    restored = numbers.config_from(canonical_config(config))
    assert restored == config
    assert isinstance(restored.start, float)


def test_the_module_of_a_cell_is_no_part_of_its_key():
    moved = dataclasses.replace(numbers.cell(Numbers(1.0)), module="elsewhere")
    assert moved.key(no_data) == numbers.cell(Numbers(1.0)).key(no_data)


def test_a_cell_function_is_found_by_its_name():
    assert numbers.cell(Numbers(1.0)).name == "samples.numbers"
    assert numbers.cell(Numbers(1.0)).module == "sample_cells"
    assert known_cell("samples.numbers") is numbers


def test_looking_a_name_up_imports_no_module(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("hostile", "hostile:cell", "sample_cells:numbers"):
        with pytest.raises(UnknownNameError, match="unknown cell"):
            known_cell(name)


def test_two_cells_of_one_name_are_refused():
    with pytest.raises(TypeError, match=r"two cells are named 'samples\.numbers'"):

        @cell(name="samples.numbers", version=1)
        def other(config: Numbers):
            return Rows().table()


def test_a_configuration_of_another_class_is_refused():
    with pytest.raises(TypeError, match="takes a Numbers"):
        numbers.cell(Behaviour("fine"))


def test_a_configuration_may_not_hide_a_column_of_the_table():
    @dataclasses.dataclass(frozen=True)
    class Clashing:
        epoch: int = 1

    globals()["Clashing"] = Clashing

    @cell(name="samples.clashing", version=1)
    def clashing(config: Clashing):
        return Rows().table()

    with pytest.raises(TypeError, match="epoch"):
        clashing.cell(Clashing())


def test_a_cell_describes_itself_in_a_line():
    assert numbers.cell(Numbers(0.5, count=7)).describe() == "numbers(start=0.5, count=7)"


@pytest.mark.parametrize("hint", [None, int, "loose", "two"])
def test_a_cells_parameter_must_be_a_frozen_dataclass(hint):
    @dataclasses.dataclass
    class Loose:
        start: float = 0.0

    def run(config):
        return Rows().table()

    def run_two(config, other):
        return Rows().table()

    function = run_two if hint == "two" else run
    types = {
        None: {},
        int: {"config": int},
        "loose": {"config": Loose},
        "two": {"config": Numbers, "other": Numbers},
    }
    function.__annotations__ = types[hint]
    with pytest.raises(TypeError, match="one parameter, annotated with a frozen dataclass"):
        cell(name=f"samples.hint {hint}", version=1)(function).cell(Numbers(1.0))


def test_functions_of_one_factory_cannot_be_cells_of_one_name():
    def make(value):
        @cell(name="samples.closure", version=1)
        def closure(config: Numbers):
            rows = Rows()
            rows.add("number", value)
            return rows.table()

        return closure

    make(1.0)
    with pytest.raises(TypeError, match=r"two cells are named 'samples\.closure'"):
        make(2.0)
