"""The how-to page on a paper's experiments on other data: its module and its commands, exactly as written."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from normscope import data

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "reproduce-on-your-data.md"
TEXT = PAGE.read_text(encoding="utf-8")
(MODULE,) = re.findall(r"^```python\n(# shapes\.py\n.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^normscope (reproduce .*)$", TEXT, re.MULTILINE)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the page's module."""
    (tmp_path / "shapes.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("shapes", None)


@pytest.mark.parametrize("number", range(2))
def test_the_pages_commands_are_planned(place, command, number):
    assert len(COMMANDS) == 2
    status, output, _ = command(*shlex.split(COMMANDS[number]), "--dry-run")
    names = re.findall(r"^(chai2020\.\w+)@(\S+) +0 found", output, re.MULTILINE)
    assert status == 0
    assert len(names) == (1, 8)[number]
    label = "fashion-mnist" if number == 0 else f"load-{data.pinned('shapes:load')[-16:-8]}"
    assert {on for _, on in names} == {label}


def test_the_pages_data_are_what_the_page_says(place):
    facts = data.facts_of("shapes:load")
    assert (facts.shape, facts.classes, facts.train, facts.test) == ((3, 24, 24), 5, 600, 200)


def test_the_page_names_every_data_set_of_the_catalogue():
    assert all(f"`{name}`" in TEXT for name in data.CATALOGUE)
