"""Calls of the system that fail: each command ends in one line or goes on, and the next one ends as if nothing was."""

import pytest
from points import draw, slots, try_point

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("failing")]

ALWAYS = {
    *(("report", "driver", kind, 0) for kind in ("open", "write", "stat", "list")),
    *(("clean", "driver", kind, 0) for kind in ("unlink", "list", "stat")),
    *(("reproduce, finished", "driver", kind, 0) for kind in ("read", "lock")),
}
"""The points that run by default."""


def all_slots():
    found = []
    for slot in slots():
        always = (slot.scenario, slot.role, slot.kind, slot.number) in ALWAYS
        found.append(pytest.param(slot, id=str(slot), marks=[] if always else [pytest.mark.long]))
    return found


@pytest.mark.parametrize("slot", all_slots())
def test_a_command_whose_call_fails_ends_in_one_line_or_goes_on_and_nothing_is_torn_or_lost(
    slot, failing, starts, calls_of, request, record_property, tmp_path
):
    paths = calls_of(slot.scenario).get(slot.role, {}).get(slot.kind, [])
    point = draw(slot, paths, request.config.option.fault_seed)
    if point is None:
        return  # the command makes too few calls of this kind
    outcome, wrong = try_point(point, failing, starts, tmp_path / "root")
    record_property("point", f"{slot.scenario}|{slot.kind}|{outcome}")
    assert not wrong, f"{point}\n" + "\n\n".join(wrong)
