"""The promises of docs/results-folder.md: each names the tests that keep it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = re.findall(
    r"^\| (?!\|)(.+) \| (`.+`) \|$",
    (ROOT / "docs" / "results-folder.md")
    .read_text()
    .partition("## What is promised")[2]
    .partition("## Mixed")[0],
    re.MULTILINE,
)


def test_the_page_makes_promises():
    assert len(ROWS) > 20


@pytest.mark.parametrize(("promise", "keepers"), ROWS)
def test_a_promise_names_tests_that_are_there(promise, keepers):
    for name in re.findall("`(.+?)`", keepers):
        assert "\ndef test_" in (ROOT / "tests" / name).read_text(), f"{promise} {name}"
