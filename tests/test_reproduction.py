"""Planning and running, with cells that run in this process."""

import dataclasses

import pytest
import trial

from normscope import runner
from normscope.errors import InputError, NormscopeWarning, UnknownNameError
from normscope.options import RunOptions
from normscope.papers import catalogue
from normscope.protocol import known_cell
from normscope.reproduction import Reproduction, reproduce
from normscope.results import ResultsFolder
from normscope.runner.worker import run_and_store

ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Searching:
    """The trial experiment, but each round asks for one cell more than are finished, three in all."""

    id: str = "trial.search"
    question = method = caption = ""

    def cells(self, scale, table):
        finished = len(set(table["cell"])) if len(table) else 0
        return [trial.count_from.cell(trial.Number(start)) for start in range(min(finished + 1, ROUNDS))]

    def profile(self, scale):
        return trial.TrialProfile(ROUNDS)

    def claims(self, table):
        return trial.EXPERIMENT.claims(table)

    def figure(self, table):
        return trial.EXPERIMENT.figure(table)


@pytest.fixture
def ran(monkeypatch):
    """Cells run in this process, one after another; the fixture lists them."""
    begun = []

    def run(plan, store, observer, timeout, engine):
        for key, cell in plan.new.items():
            begun.append(cell.config.start)
            run_and_store(known_cell(cell.name), cell.config, key, store, {})
        return {}

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setenv("TRIAL_SECONDS", "0")
    return begun


@pytest.fixture
def options(tmp_path):
    return RunOptions(ResultsFolder(tmp_path))


def starts(cells):
    return sorted(cell.config.start for cell in cells.values())


def test_planning_twice_and_then_running_gives_the_whole_table(ran, options):
    reproduction = Reproduction([trial.EXPERIMENT], options)
    plans = [reproduction.plan() for _ in range(2)]
    assert plans[0] == plans[1]
    assert starts(plans[0].new) == list(range(trial.CELLS))
    (result,) = reproduction.run()
    assert sorted(ran) == list(range(trial.CELLS))
    assert result.table["cell"].nunique() == trial.CELLS
    assert [claim.holds for claim in result.claims] == [True]


def test_after_a_run_a_plan_finds_every_cell_and_a_second_run_gives_the_same(ran, options):
    reproduction = Reproduction([trial.EXPERIMENT], options)
    (first,) = reproduction.run()
    plan = reproduction.plan()
    assert (starts(plan.reused), plan.new) == (list(range(trial.CELLS)), {})
    (second,) = reproduction.run()
    assert len(ran) == trial.CELLS
    assert second.table.equals(first.table)


def test_a_plan_holds_the_finished_rounds_and_the_first_with_new_cells(ran, options):
    reproduction = Reproduction([Searching()], options)
    for finished in range(ROUNDS):
        plan = reproduction.plan()
        assert (starts(plan.reused), starts(plan.new)) == (list(range(finished)), [finished])
        runner.run(plan, options.folder.store, None, None, None)
    assert (starts(reproduction.plan().reused), reproduction.plan().new) == (list(range(ROUNDS)), {})


def test_a_plan_counts_a_shared_cell_in_each_experiments_part_and_once_in_all(ran, options):
    first = Reproduction([Searching()], options)
    runner.run(first.plan(), options.folder.store, None, None, None)
    plan = Reproduction([trial.EXPERIMENT, Searching()], options).plan()
    numbers, search = plan.parts[trial.ID], plan.parts["trial.search"]
    assert (starts(plan.reused), starts(plan.new)) == ([0], list(range(1, trial.CELLS)))
    assert (starts(numbers.reused), starts(numbers.new)) == ([0], list(range(1, trial.CELLS)))
    assert (starts(search.reused), starts(search.new)) == ([0], [])


def test_an_experiment_without_finished_cells_is_estimated_by_those_of_the_others(ran, options):
    Reproduction([Searching()], options).run()
    other = dataclasses.replace(
        trial.EXPERIMENT,
        id="trial.other",
        list_cells=lambda profile: [trial.count_from.cell(trial.Number(100))],
    )
    plan = Reproduction([other, Searching()], options).plan()
    assert plan.parts["trial.other"].estimate == plan.estimate
    assert plan.estimate.measured
    assert plan.parts["trial.search"].estimate.seconds == 0


def test_a_run_asks_round_by_round_until_the_experiment_wants_no_more(ran, options):
    (result,) = Reproduction([Searching()], options).run()
    assert ran == list(range(ROUNDS))
    assert result.table["cell"].nunique() == ROUNDS


def test_a_cell_that_two_experiments_share_runs_once_and_both_get_its_rows(ran, options):
    both = Reproduction([trial.EXPERIMENT, Searching()], options).run()
    assert sorted(ran) == list(range(trial.CELLS))
    assert [result.table["cell"].nunique() for result in both] == [trial.CELLS, ROUNDS]


def test_a_fresh_run_runs_every_cell_again(ran, options):
    Reproduction([Searching()], options).run()
    fresh = Reproduction([Searching()], dataclasses.replace(options, fresh=True))
    assert starts(fresh.plan().new) == [0]
    fresh.run()
    assert ran == [*range(ROUNDS), *range(ROUNDS)]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_cell_stays_where_it_is_while_it_is_planned_and_is_named_by_the_run(ran, options):
    Reproduction([Searching()], options).run()
    path = options.folder.store.path(trial.count_from.cell(trial.Number(1)).key(str))
    flip(path)
    again = RunOptions(ResultsFolder(options.folder.path))
    for _ in range(2):
        plan = Reproduction([Searching()], again).plan()
        assert (len(plan.new), plan.damaged) == (1, 1)
        assert path.exists()
    with pytest.warns(NormscopeWarning, match=f"damaged, so its cells run again: .*_unreadable/{path.name}"):
        (result,) = Reproduction([Searching()], RunOptions(ResultsFolder(options.folder.path))).run()
    assert len(set(result.table["cell"])) == ROUNDS


def test_a_damaged_table_is_named_and_set_aside_when_its_experiment_runs_again(ran, options, monkeypatch):
    Reproduction([Searching()], options).run()
    stored = options.folder.experiment("trial.search")
    whole = stored.table.read_bytes()
    flip(stored.table)
    with pytest.warns(NormscopeWarning, match="data.parquet: .* checksum; it is now in .*_unreadable"):
        Reproduction([Searching()], options).run()
    assert stored.table.read_bytes() == whole
    flip(stored.table)
    monkeypatch.setattr(ResultsFolder, "is_read_only", lambda folder: True)
    with pytest.warns(NormscopeWarning, match="data.parquet: its content does not match its checksum.$"):
        Reproduction([Searching()], options).run()


@pytest.mark.parametrize("part", ["claims", "figure"])
def test_cells_from_anybody_that_cannot_be_judged_or_drawn_end_in_a_sentence(ran, options, monkeypatch, part):
    Reproduction([Searching()], options).run()

    def raise_error(self, table):
        raise KeyError("epoch\x1b[2J")

    monkeypatch.setattr(Searching, part, raise_error)
    with pytest.raises(InputError, match=r"trial\.search: .*KeyError: .*run it with --fresh"):
        Reproduction([Searching()], options).run()


def test_the_check_refuses_a_plan_and_a_run_before_any_cell_has_run(ran, options):
    def refuse(plan):
        raise InputError("not today.")

    reproduction = Reproduction([trial.EXPERIMENT], options, refuse)
    for act in (reproduction.plan, reproduction.run):
        with pytest.raises(InputError, match="not today"):
            act()
    assert ran == []


def test_while_a_run_lasts_its_cells_are_noted_as_referred_to(ran, options, monkeypatch):
    stored = options.folder.experiment("trial.search")
    noted, run = [], runner.run

    def noting(plan, *rest):
        noted.append(len(stored.unfinished_cells()))
        return run(plan, *rest)

    monkeypatch.setattr(runner, "run", noting)
    Reproduction([Searching()], options).run()
    assert noted[:ROUNDS] == [1, 2, 3]
    assert not stored.unfinished.exists()
    assert len(stored.read().cells()) == ROUNDS


def test_python_takes_an_alias_for_the_experiment_that_shows_it(ran, tmp_path, monkeypatch):
    entry = dataclasses.replace(
        catalogue.ENTRIES[0], id=trial.ID, module="trial", aliases=("trial.table4", "trial.fig12")
    )
    monkeypatch.setattr(catalogue, "ENTRIES", (entry,))
    assert reproduce("trial.table4", out=tmp_path).id == trial.ID
    assert len(ran) == trial.CELLS
    with pytest.raises(UnknownNameError, match=r"did you mean trial\.fig12"):
        reproduce("trial.fig1", out=tmp_path)
