"""In a real kernel, as a notebook starts it."""

import os
import re
import sys
import textwrap

import pytest

jupyter_client = pytest.importorskip("jupyter_client", reason="needs ipykernel")


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """The messages that a notebook gets while one of its cells runs a plan, and afterwards."""
    store = tmp_path_factory.mktemp("store")
    code = textwrap.dedent(f"""
        from pathlib import Path
        from sample_cells import Behaviour, behave
        from normscope import progress, runner
        from normscope.store import Store
        store = Store(Path({str(store)!r}))
        cells = [behave.cell(Behaviour("fine", seconds=seconds)) for seconds in (1.5, 0.1)]
        cells.append(behave.cell(Behaviour("raise")))
        plan = runner.plan({{cell.key(str): cell for cell in cells}}, store, 1)
        with progress.watching() as observer:
            observer.planned(plan)
            runner.run(plan, store, observer)
    """)
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3", env=_environment())
    sent = []
    try:
        reply = client.execute_interactive(code, timeout=120, output_hook=sent.append)
        assert reply["content"]["status"] == "ok", reply["content"]
        request = reply["parent_header"]["msg_id"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return [message for message in sent if message["parent_header"]["msg_id"] == request]


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _shown(messages, kind):
    return [message["content"] for message in messages if message["msg_type"] == kind]


def test_one_output_is_shown_and_replaced_in_place_while_cells_run(messages):
    (first,) = _shown(messages, "display_data")
    updates = _shown(messages, "update_display_data")
    place = first["transient"]["display_id"]
    assert {update["transient"]["display_id"] for update in updates} == {place}
    assert any("1 running" in update["data"]["text/plain"] for update in updates)
    assert _shown(messages, "stream") == []


def test_the_last_state_stays_with_bar_counts_failures_and_last_results(messages):
    last = _shown(messages, "update_display_data")[-1]["data"]
    assert "3/3 cells" in last["text/plain"]
    assert "1 failed" in last["text/plain"]
    assert "RuntimeError: this went wrong" in last["text/plain"]
    assert re.search(r"<pre.*━.*3/3 cells", last["text/html"], re.DOTALL)
