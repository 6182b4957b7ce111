"""The house's rules that no test of a single room can see."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
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


def test_the_version_is_the_packages():
    from importlib import metadata

    import normscope as ns

    assert ns.__version__ == metadata.version("normscope")


def test_no_source_file_is_longer_than_a_reader_bears():
    long = {path.name for path in (ROOT / "src").rglob("*.py") if len(path.read_text().splitlines()) > 350}
    assert long == set()
