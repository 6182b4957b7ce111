import inspect
import math
import subprocess
import sys

import pytest

from normscope.errors import InputError, UnknownNameError
from normscope.nn import factory, specs


def test_reading_specs_imports_no_torch() -> None:
    code = (
        "import sys; from normscope.nn.specs import parse; parse('suppress(threshold=2)'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("none", "none", {}),
        (" batch ", "batch", {}),
        ("batch()", "batch", {}),
        ("suppress(threshold=2)", "suppress", {"threshold": 2}),
        (
            "batch(center=false, momentum=None, gain=TRUE)",
            "batch",
            {"center": False, "momentum": None, "gain": True},
        ),
        ("amplify(threshold=inf, eps=1e-3)", "amplify", {"threshold": math.inf, "eps": 1e-3}),
        ("my.own:Norm(a=-1, b='x(y)', c=[1, 2])", "my.own:Norm", {"a": -1, "b": "x(y)", "c": [1, 2]}),
    ],
)
def test_a_spec_is_a_name_and_literal_arguments(text: str, name: str, arguments: dict[str, object]) -> None:
    spec = specs.parse(text)
    assert (spec.name, dict(spec.arguments)) == (name, arguments)


def test_the_canonical_text_is_the_same_for_every_spelling_and_reads_back() -> None:
    spec = specs.parse("batch( gain = false,center=False)")
    assert (
        str(spec) == str(specs.parse("batch(center=false, gain=false)")) == "batch(center=False, gain=False)"
    )
    assert specs.parse(str(spec)) == spec
    assert specs.parse(str(specs.parse("amplify(threshold=inf)"))).arguments == {"threshold": math.inf}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bacth", "did you mean batch?"),
        ("", "unknown norm ''"),
        ("suppress(treshold=2)", "did you mean threshold?"),
        ("none(eps=1)", "takes no arguments"),
        ("batch(eps=1", "does not end in ')'"),
        ("batch(1e-3)", "argument without a name"),
        ("batch(**{})", "argument without a name"),
        ("batch(eps=1, eps=2)", "gives an argument twice"),
        ("batch(eps=)", "cannot be read"),
        ("batch(eps=1)(eps=2)", "cannot be read"),
        ("batch(eps=__import__('os').name)", "not a literal"),
        ("batch(eps=x)", "not a literal"),
        ("my-module:Norm", "not an import path"),
        (":Norm", "not an import path"),
    ],
)
def test_a_bad_spec_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        specs.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_name_carries_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError) as caught:
        specs.parse("supress")
    assert caught.value.near[0] == "suppress"


def test_the_table_of_arguments_is_the_constructors_own() -> None:
    left_out = {"device", "dtype", "generator"}
    assert set(specs.ARGUMENTS) == set(factory._FACTORIES)
    for name, make in factory._FACTORIES.items():
        channels, *rest = inspect.signature(make).parameters
        assert channels in ("C", "num_features")
        assert set(specs.ARGUMENTS[name]) == set(rest) - left_out, name
