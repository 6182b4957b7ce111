"""What is refused before Ray is started or a cluster joined."""

import socket
import sys

import pytest

from normscope import runner
from normscope.errors import InputError, UnknownNameError
from normscope.runner.cluster import address as address_file

pytest.importorskip("ray", reason="needs Ray: pip install 'normscope[ray]'")
# In the process of the tests of Ray, but before them: a Ray that runs there would be used.
pytestmark = pytest.mark.xdist_group("ray")


def test_an_unknown_engine_and_an_address_for_another_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean local"):
        runner.make_engine("lokal")
    with pytest.raises(InputError, match="needs --engine ray"):
        runner.make_engine("local", "127.0.0.1:6379")


def test_without_ray_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'normscope\[ray\]'"):
        runner.make_engine("ray")


@pytest.mark.parametrize("address", ["rubbish", "ray://127.0.0.1:10001", "127.0.0.1:99999999"])
def test_what_is_not_an_address_is_refused(address):
    with pytest.raises(InputError, match=r"host:port") as refusal:
        runner.make_engine("ray", address)
    assert len(str(refusal.value).splitlines()) == 1


def test_where_nothing_or_something_else_listens_the_wait_is_bounded(monkeypatch):
    monkeypatch.setattr(address_file, "_JOIN_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(
            InputError, match=rf"no Ray cluster to join at {address} \(no answer within 1 s\)"
        ):
            runner.make_engine("ray", address).workers("cpu")
    with pytest.raises(InputError, match=rf"no Ray cluster to join at {address} \(.*refused"):
        runner.make_engine("ray", address).workers("cpu")
