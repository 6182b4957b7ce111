"""Power lost at any moment: what was done to the disk is recorded, and every state it may be left in is opened."""

import random

import pytest
import trial
from failing import server
from lost_power import KINDS, Disk, events, states
from scenarios import SCENARIOS, files, results, set_aside, torn

from normscope.errors import InputError
from normscope.results import ResultsFolder
from normscope.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("failing")]

CELLS = {cell.key(str): cell for cell in trial.experiment().cells("quick", None)}
STARTS = {"reproduce": "empty", "report": "finished", "clean": "cluttered"}
FEW, MANY_RUNS = 25, 14


@pytest.fixture(scope="session")
def recording():
    with server("recording") as started:
        yield started


@pytest.fixture(scope="session")
def reference(starts):
    """The undisturbed rows."""
    return Store(starts.state("finished") / "runs" / "cells").table(CELLS)


@pytest.fixture(scope="session")
def recorded(recording, starts, tmp_path_factory):
    """All states that a crash of a command may leave; recorded once."""
    known = {}

    def record(command, seed):
        if command not in known:
            root, log = tmp_path_factory.mktemp("record") / "root", tmp_path_factory.mktemp("log") / "log"
            starts.copy(STARTS[command], root)
            disk = Disk(root)
            words = (
                ["observe", str(root / "runs")]
                if command == "reproduce"
                else SCENARIOS[command].command(root)
            )
            orders = f"{root}|{log}"
            ended = recording.run(words, {"RECORDING": orders, "TRIAL_SECONDS": "0"}, recording=orders)
            assert ended.status == 0, ended.stderr
            known[command] = list(states(disk, events(log), random.Random(seed)))
            # The model is right: with everything kept, the disk shows what is there.
            (last,) = (state for state in known[command][-len(KINDS) :] if state.kind == "everything")
            there = {str(path.relative_to(root)): path for path in root.rglob("*")}
            assert last.files == {
                name: path.read_bytes() if path.is_file() else None for name, path in there.items()
            }
        return known[command]

    return record


class Judge:
    """Opens states; one that was seen before is not opened again."""

    def __init__(self, folder, reference):
        self._folder, self._reference = folder, reference
        self._known = {}

    def __call__(self, state):
        """The keys that the store finds, and what is wrong."""
        same = frozenset(state.files.items())
        if same not in self._known:
            root = self._folder / f"state{len(self._known)}"
            state.write(root)
            self._known[same] = self._judge(root)
        return self._known[same]

    def _judge(self, root):
        wrong = [f"{path.relative_to(root)} is torn" for path in files(root) if torn(path)]
        folder = ResultsFolder(root / "runs")
        store = folder.store
        found = store.find(CELLS)
        if store.set_aside:
            wrong.append(f"{store.set_aside} files set aside")
        rows = store.table({key: CELLS[key] for key in found})
        wanted = self._reference[self._reference["cell"].isin(found)].reset_index(drop=True)
        if not rows.reset_index(drop=True).equals(wanted) and len(found):
            wrong.append("the rows are others")
        try:
            folder.scorecard.read()
            folder.experiments()
        except InputError as error:
            wrong.append(str(error))
        return set(found), wrong


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("command", "few"),
    [
        pytest.param("reproduce", True, id="reproduce-few"),
        *(pytest.param(command, False, id=f"{command}-all", marks=LONG) for command in STARTS),
    ],
)
def test_whenever_power_is_lost_no_file_is_torn_and_no_cell_reported_as_finished_is_gone(
    command, few, recorded, reference, dice, record_property, request, tmp_path
):
    found = recorded(command, request.config.option.fault_seed)
    chosen = dice.sample(found, FEW) if few else found
    judge = Judge(tmp_path, reference)
    torn_states, losing, lost = {}, {}, 0
    for state in chosen:
        keys, wrong = judge(state)
        reported = state.reported if command == "reproduce" else CELLS.keys()
        if gone := reported - keys:
            losing[state.place, state.last, state.kind] = len(gone)
            lost += len(gone)
        if wrong:
            torn_states[state.place, state.last, state.kind] = wrong
    record_property("power", f"{command}|{len(chosen)}|{len(torn_states)}|{len(losing)}|{lost}")
    assert not torn_states, f"{len(torn_states)} of {len(chosen)} states: {list(torn_states.items())[:5]}"
    assert not losing, f"{len(losing)} of {len(chosen)} states lost {lost} cells: {list(losing.items())[:5]}"


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        pytest.param("reproduce", 1, id="reproduce-one"),
        *(pytest.param(command, MANY_RUNS, id=f"{command}-many", marks=LONG) for command in STARTS),
    ],
)
def test_after_lost_power_the_next_run_ends_with_the_same_results(
    command, runs, recorded, recording, starts, dice, request, tmp_path
):
    wanted = results(starts.state("finished"))
    found = recorded(command, request.config.option.fault_seed)
    for index, state in enumerate(dice.sample(found, runs)):
        root = tmp_path / f"state{index}"
        state.write(root)
        aside = set_aside(root)
        again = SCENARIOS["reproduce"].run(recording, root)
        assert again.status == 0, (state.place, state.last, state.kind, again.stderr)
        assert results(root) == wanted, (state.place, state.last, state.kind)
        assert set_aside(root) == aside, (state.place, state.last, state.kind)
