"""Memory that runs out, in the driver and in a worker: one line says so, and the next run ends as if nothing was."""

import pytest
from points import Slot, draw, judged, outcome, try_point
from scenarios import SCENARIOS

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("failing")]

SLOTS = 5
COMMANDS = ("reproduce", "reproduce, resumed", "reproduce, finished", "report", "clean", "data, prepared")
MEGABYTES = (1, 4, 12, 24, 48, 96)
ALWAYS = {("report", "driver", 0), ("clean", "driver", 0), ("report", 4)}


def places():
    found = [
        (name, role, number) for name in COMMANDS for role in SCENARIOS[name].roles for number in range(SLOTS)
    ]
    return [pytest.param(*place, marks=[] if place in ALWAYS else [pytest.mark.long]) for place in found]


@pytest.mark.parametrize(("command", "role", "number"), places())
def test_an_allocation_that_fails_is_survived_or_named_in_one_line(
    command, role, number, failing, starts, calls_of, request, record_property, tmp_path
):
    slot = Slot(command, role, "allocate", number)
    point = draw(slot, calls_of(command).get(role, {}).get("allocate", []), request.config.option.fault_seed)
    if point is None:
        return  # the command makes too few large allocations
    found, wrong = try_point(point, failing, starts, tmp_path / "root")
    record_property("point", f"{command}|allocate|{found}")
    assert not wrong, f"{point}\n" + "\n\n".join(wrong)


def limits():
    found = [
        (name, megabytes)
        for name in ("reproduce", "reproduce, finished", "report", "clean")
        for megabytes in MEGABYTES
    ]
    return [pytest.param(*place, marks=[] if place in ALWAYS else [pytest.mark.long]) for place in found]


@pytest.mark.parametrize(("command", "megabytes"), limits())
def test_a_process_that_may_not_grow_says_so_in_one_line(
    command, megabytes, failing, starts, record_property, tmp_path
):
    scenario, root = SCENARIOS[command], tmp_path / "root"
    starts.copy(scenario.start, root)
    ended = scenario.run(failing, root, memory=megabytes * 2**20)
    wrong = dict(judged(scenario, ended, starts, root))
    if ended.status in (1, 2) and "memory" not in (ended.stdout + ended.stderr).lower():
        wrong.setdefault("other", f"memory is not named: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    record_property("point", f"{command}|grow|{outcome(wrong, ended)}")
    assert not wrong, f"{command} with {megabytes} MB:\n" + "\n\n".join(wrong.values())
