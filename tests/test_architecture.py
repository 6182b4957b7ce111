"""The house's rules that no test of a single room can see."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("data", "networks", "nn", "probes", "surgery")  # the packages that `normscope` itself lists
HEAVY = ("torch", "pandas", "matplotlib", "pyarrow", "scipy", "sklearn", "mlxtend")


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split()) if run.stdout.strip() else set()


def test_imports_run_downwards_only():
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize(
    "code",
    [
        "import normscope",
        "import normscope.cli",
        "import normscope.errors, normscope.protocol, normscope.runner, normscope.store, normscope.data",
        "import normscope.sweep, normscope.papers.catalogue",
        "import normscope.nn.specs",
        "import normscope.options, normscope.reproduction, normscope.results.rebuilding, normscope.sweeping",
        "from normscope.papers import catalogue; [entry.id for entry in catalogue.find('all')]",
    ],
)
def test_start_up_imports_nothing_heavy(code):
    assert loaded_by(code) == set()


def test_the_help_of_every_command_imports_nothing_heavy():
    code = """
import sys
from normscope.cli import main
for command in ([], ['reproduce'], ['sweep'], ['list'], ['report'], ['data'], ['info']):
    try:
        main([*command, '--help'])
    except SystemExit as end:
        assert not end.code, end.code
"""
    assert loaded_by(code) == set()


def test_public_names_load_on_first_use():
    import normscope as ns

    assert callable(ns.reproduce)
    assert callable(ns.run_sweep)
    assert callable(ns.nn.BatchNorm)
    assert callable(ns.networks.lenet)
    assert callable(ns.probes.spectrum)
    assert set(ns.__all__) <= set(dir(ns))
    with pytest.raises(AttributeError, match="attribute nosuch"):
        _ = ns.nosuch


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    """Every module of normscope by name, imported."""
    import normscope

    names = [found.name for found in pkgutil.walk_packages(normscope.__path__, "normscope.")]
    imported = {name: importlib.import_module(name) for name in names if not name.endswith("__main__")}
    return {"normscope": normscope, **imported}


def functions_of(module: ModuleType) -> dict[str, str]:
    """The public functions and classes in a module, each with the name of the module that defines it."""
    return {
        name: value.__module__
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isroutine(value) or inspect.isclass(value))
    }


def defined_in(module: ModuleType) -> set[str]:
    """The public functions and classes that a module defines itself."""
    return {name for name, home in functions_of(module).items() if home == module.__name__}


def test_no_public_name_of_a_package_is_also_one_of_its_modules(modules):
    """Importing the module would put it in the place of the function of that name."""
    clashes = set()
    for package, head in modules.items():
        listed = getattr(head, "__all__", None) or functions_of(head)
        inside = [module for name, module in modules.items() if name.startswith(f"{package}.")]
        defined = {name for module in inside for name in defined_in(module)}
        clashes |= {f"{package}.{name}" for name in defined.intersection(listed)} & modules.keys()
    assert clashes == set()


def test_a_file_whose_function_bears_its_name_begins_with_an_underscore(modules):
    clashes = {name for name, module in modules.items() if name.rpartition(".")[2] in defined_in(module)}
    assert {name for name in clashes if "._" not in name} == set()


@pytest.mark.parametrize("package", ["normscope", *(f"normscope.{room}" for room in ROOMS)])
def test_every_listed_name_is_what_it_was_after_everything_was_imported(modules, package):
    listed = {name: getattr(modules[package], name) for name in modules[package].__all__}
    assert listed
    replaced = {name for name, value in listed.items() if inspect.ismodule(value)}
    assert replaced == (set(ROOMS) if package == "normscope" else set())
    constants = {name for name, value in listed.items() if not callable(value)} - replaced
    assert all(name.isupper() for name in constants)


def test_the_version_is_the_packages():
    from importlib import metadata

    import normscope as ns

    assert ns.__version__ == metadata.version("normscope")


def test_no_source_file_is_longer_than_a_reader_bears():
    long = {path.name for path in (ROOT / "src").rglob("*.py") if len(path.read_text().splitlines()) > 350}
    assert long == set()


def test_what_the_map_of_the_house_names_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text()
    source = ROOT / "src" / "normscope"
    rooms, places = (text[text.index(head) :].split("\n\n")[0] for head in ("| room | what", "| to find |"))
    named = re.findall(
        r"`([\w/]+(?:/|\.py))`", rooms.replace("`tracing/`", "").replace("`_autocorrelation/`", "")
    )
    named = [name for name in named if name.count("/") or (source / name).exists()]
    in_places = re.findall(r"`([\w/]+(?:/|\.py))`", places)
    assert len(in_places) > 8
    assert [name for name in in_places if not (source / name).exists()] == []
    packages = {f"{path.parent.name}/" for path in source.glob("*/__init__.py")}
    assert packages <= set(named)


def test_the_floors_on_the_map_are_the_contracts():
    floors = (ROOT / "docs" / "architecture.md").read_text().split("```")[1].split("\n")[1:-1]
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    assert floors == contract["layers"][1:]  # __main__ is left out


def test_a_figures_file_is_at_most_150_lines_long():
    papers = ROOT / "src" / "normscope" / "papers"
    figures = [path for path in papers.glob("*20*/*.py") if path.name != "entries.py"]  # a table
    lengths = {str(path.relative_to(papers)): len(path.read_text().splitlines()) for path in figures}
    assert lengths
    assert {name for name, length in lengths.items() if length > 150} == {
        "chai2020/fig10.py"
    }  # a study of seven arrangements
