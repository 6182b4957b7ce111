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
COMMANDS = re.findall(r"^normscope (sweep .*)$", TEXT, re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the page's module."""
    (module,) = (block for block in PYTHON if block.startswith("# mynet.py"))
    (tmp_path / "mynet.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("mynet", None)


def test_the_pages_python_runs_exactly_as_written(folder):
    namespace: dict[str, object] = {}
    for block in PYTHON:
        if not block.startswith("# mynet.py"):
            exec(compile(block, PAGE.name, "exec"), namespace)
    assert (folder / "sweep.png").exists()
    assert (folder / "normscope-runs" / "from-python" / "data.parquet").exists()


@pytest.mark.parametrize(("number", "runs"), [(0, 105), (1, 18)])
def test_the_pages_commands_plan_what_the_page_says(folder, command, number, runs):
    assert len(COMMANDS) == 2
    status, output, _ = command(*shlex.split(COMMANDS[number]), "--dry-run")
    assert status == 0
    assert f"0 cells found, {runs} to run" in output


def test_the_page_names_every_option_of_the_command():
    source = inspect.signature(sweep.command).parameters
    options = {"--" + name.replace("_", "-") for name in source}
    assert len(options) > 20
    assert options <= set(re.findall(r"--[a-z-]+", TEXT))
