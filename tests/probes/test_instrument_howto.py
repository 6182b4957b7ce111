"""Every line of the page on adding an instrument is run: the reader's file, its use, and the way into the package."""

import importlib
import re
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

import normscope as ns
from normscope import probes

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-an-instrument.md"
BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def blocks():
    """The page's blocks of code: the instrument, its use, what it prints, the stub's line, the test."""
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [(kind, mark) for kind, mark, _ in found] == [
        ("python", ""),
        ("python", ""),
        ("text", ""),
        ("python", "stub"),
        ("python", "test"),
    ]
    return [text for _, _, text in found]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder from which modules can be imported, and of which none stays imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (
            getattr(sys.modules[name], "__file__", None)
            and tmp_path in Path(sys.modules[name].__file__).parents
        ):
            del sys.modules[name]


def test_the_instrument_in_a_file_of_its_own_prints_what_the_page_shows(blocks, folder, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    instrument, use, shown, *_ = blocks
    (folder / "dead_inputs.py").write_text(instrument, encoding="utf-8")
    exec(compile(use, PAGE.name, "exec"), {})
    assert capsys.readouterr().out == shown


def test_a_layer_that_did_not_run_has_a_note(blocks, folder):
    """The only line of the instrument that the page does not show at work."""
    (folder / "dead_inputs.py").write_text(blocks[0], encoding="utf-8")
    dead_inputs = importlib.import_module("dead_inputs").dead_inputs

    class OneOfTwo(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(self.used(x))

    table = dead_inputs(OneOfTwo(), torch.ones(1, 2))
    assert table["note"].tolist() == ["", "the layer did not run"]


def test_with_the_pages_line_the_file_is_part_of_a_copy_of_the_package_and_passes_the_pages_test(
    blocks, folder, monkeypatch
):
    instrument, _, _, line, test = blocks
    package = folder / "copied_probes"
    shutil.copytree(Path(probes.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "_dead_inputs.py").write_text(instrument, encoding="utf-8")
    stub = package / "__init__.pyi"
    text = stub.read_text(encoding="utf-8")
    place = text.index("from ._gradient_histogram")  # the first that follows in the alphabet
    stub.write_text(f"{text[:place]}{line}{text[place:]}", encoding="utf-8")
    monkeypatch.setattr(ns, "probes", importlib.import_module("copied_probes"))
    module = types.ModuleType("test_dead_inputs")
    exec(compile(test, PAGE.name, "exec"), module.__dict__)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 2
    for one in tests:
        one()
