import dataclasses
from importlib.metadata import EntryPoint, EntryPoints

from normscope.nn import specs
from normscope.nn.descriptions import NORMS
from normscope.papers import catalogue


def test_everything_is_experiments_then_norms(command):
    status, output, errors = command("list")
    assert (status, errors) == (0, "")
    first = [line.split("  ")[0].strip() for line in output.splitlines()]
    names = [name for entry in catalogue.ENTRIES for name in (entry.id, *entry.aliases)]
    assert first == ["experiment", *names, "", "norm", *NORMS]
    lines = output.splitlines()[-len(NORMS) :]
    for norm, line in zip(NORMS.values(), lines, strict=True):
        assert norm.summary in line
        assert norm.source in line


def test_norms_alone_and_a_paper_alone(command):
    norms = command("list", "norms")[1]
    assert [line.split()[0] for line in norms.splitlines()] == ["norm", *NORMS]
    paper = command("list", "chai2020")[1]
    ids = [entry.id for entry in catalogue.ENTRIES if entry.id.startswith("chai2020.")]
    assert [line.split()[0] for line in paper.splitlines()] == ["experiment", *ids]


def test_an_alias_is_listed_below_the_experiment_that_shows_it_and_finds_it(command, monkeypatch):
    entries = (
        dataclasses.replace(catalogue.ENTRIES[0], id="p.fig1", place="Figs. 1 and 12", aliases=("p.fig12",)),
        dataclasses.replace(catalogue.ENTRIES[0], id="p.fig2"),
    )
    monkeypatch.setattr(catalogue, "ENTRIES", entries)
    for name in ("p.fig1", "p.fig12"):
        _, first, second = command("list", name)[1].splitlines()
        assert first.startswith("p.fig1 ")
        assert " ".join(second.split()).startswith("p.fig12 shown by p.fig1 ")
        assert second.endswith("Figs. 1 and 12")


def test_norms_of_installed_packages_are_listed_with_their_import_path(command, monkeypatch):
    points = EntryPoints([EntryPoint("own", "mypackage.norms:Own", specs.ENTRY_POINTS)])
    monkeypatch.setattr(specs, "entry_points", points.select)
    last = command("list", "norms")[1].splitlines()[-1]
    assert last.split()[:2] == ["own", "mypackage.norms:Own"]


def test_listing_imports_nothing_heavy(normscope, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "atexit.register(lambda: print('heavy' if {'torch', 'pandas'} & set(sys.modules) else 'light'))\n"
    )
    run = normscope("list", PYTHONPATH=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "light"


def test_a_misspelt_list_of_norms_is_among_the_suggestions(command):
    status, _, errors = command("list", "nrms")
    assert (status, errors) == (2, "normscope: unknown experiment 'nrms': did you mean norms?\n")


def test_on_a_narrow_terminal_each_row_is_lines_that_say_everything(command, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    wide, narrow = (command("list", "chai2020.fig7", COLUMNS=columns)[1] for columns in (200, 20))
    assert max(map(len, narrow.splitlines())) <= 20
    assert len(wide.splitlines()) == 2
    assert " ".join(narrow.split()) == (
        "chai2020.fig7 measures: validation error by epoch at four learning rates "
        "source: Chai, Pilanci & Murmann 2020, Fig. 7"
    )
