"""The how-to page on sweeps: its module, its Python and its commands, exactly as written."""

import inspect
import re
import shlex
import sys
from pathlib import Path

import pytest

from normscope.cli import sweep

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "sweep.md"
TEXT = PAGE.read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
MODULES = {found[1]: block for block in PYTHON if (found := re.match(r"# (\w+)\.py\n", block))}
COMMANDS = re.findall(r"^normscope (sweep .*)$", TEXT, re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the page's modules."""
    for name, module in MODULES.items():
        (tmp_path / f"{name}.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_pages_python_runs_exactly_as_written(folder):
    namespace: dict[str, object] = {}
    for block in PYTHON:
        if block not in MODULES.values():
            exec(compile(block, PAGE.name, "exec"), namespace)
    assert (folder / "sweep.png").exists()
    for name in ("from-python", "own"):
        assert (folder / "normscope-runs" / name / "data.parquet").exists()


def test_a_network_and_data_of_ones_own_fit_in_thirty_lines():
    assert set(MODULES) == {"mynet", "stripes"}
    assert len(MODULES["stripes"].splitlines()) <= 30


@pytest.mark.parametrize(("number", "runs"), [(0, 105), (1, 18), (2, 45)])
def test_the_pages_commands_plan_what_the_page_says(folder, command, number, runs):
    assert len(COMMANDS) == 3
    status, output, _ = command(*shlex.split(COMMANDS[number]), "--dry-run")
    assert status == 0
    assert f"0 cells found, {runs} to run" in output


def test_the_page_names_every_option_of_the_command():
    source = inspect.signature(sweep.command).parameters
    options = {"--" + name.replace("_", "-") for name in source}
    assert len(options) > 20
    assert options <= set(re.findall(r"--[a-z-]+", TEXT))
