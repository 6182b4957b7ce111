"""A Ray that is started here is closed to everybody else: the real Ray, attacked from outside of its session."""

import ipaddress
import os
import re
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import grpc_calls
import pytest
from processes import command, descendants
from sample_cells import Numbers, numbers

from normscope import runner
from normscope.runner import Observer
from normscope.store import Store

pytest.importorskip("ray", reason="needs Ray: pip install 'normscope[ray]'")
pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux, which lists sockets"),
]

# Methods that read or write, by the process that offers them.
METHODS = [
    "/ray.rpc.InternalKVGcsService/InternalKVPut",
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.ActorInfoGcsService/GetAllActorInfo",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
]
AGENT = "RuntimeEnv|runtime_env/agent"
LISTENING = "0A"


def family():
    """This process and those that it and its children have started."""
    return [os.getpid(), *descendants(os.getpid())]


def sockets():
    """The address of every socket on which this process's Ray listens, with the process's command."""
    owners = {}
    for process in family():
        for file in Path(f"/proc/{process}/fd").iterdir():
            try:
                if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file)):
                    owners[found[1]] = process
            except FileNotFoundError:
                continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in owners and fields[3] == LISTENING:
                host, port = fields[1].split(":")
                words = [bytes.fromhex(host[start : start + 8])[::-1] for start in range(0, len(host), 8)]
                address = ipaddress.ip_address(b"".join(words))
                found.append((address, int(port, 16), command(owners[fields[9]])))
    return found


def is_loopback(address):
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@pytest.fixture(scope="module")
def running(here, tmp_path_factory):
    """The folder of a Ray that the engine has started, and that has run cells."""
    cells = [numbers.cell(Numbers(float(start))) for start in range(4)]
    store = Store(tmp_path_factory.mktemp("closed") / "cells")
    plan = runner.plan({cell.key(str): cell for cell in cells}, store, 2)
    assert runner.run(plan, store, Observer(), engine=here) == {}
    return Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent


@pytest.fixture(scope="module")
def token(running):
    return (running / "token").read_text()


def test_every_socket_of_ray_is_on_the_loopback_interface(running):
    found = sockets()
    words = " ".join(command for _, _, command in found)
    assert len(found) >= 6
    assert all(re.search(name, words) for name in ("gcs_server", "raylet", AGENT, "ray::"))
    assert [socket for socket in found if not is_loopback(socket[0])] == []


def refusal(port, method, given):
    """Whether a server refuses a call for want of the token; ``None`` when it does not know the method."""
    answer = grpc_calls.status(port, method, given)
    return {grpc_calls.UNAUTHENTICATED: True, grpc_calls.DONE: False}.get(answer)


def http(port, token):
    """The status of a request to a server that speaks HTTP only."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/get_or_create_runtime_env", data=b"", headers=headers
    )
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_no_socket_of_ray_answers_without_the_token_or_with_a_wrong_one(token):
    for _, port, words in sockets():
        known = [method for method in METHODS if refusal(port, method, token) is False]
        if known:
            for method in known:
                assert refusal(port, method, None), (method, words)
                assert refusal(port, method, "0" * len(token)), (method, words)
        else:
            assert re.search(AGENT, words)
            assert (http(port, None), http(port, "0" * len(token))) == (401, 403)
            assert http(port, token) not in (401, 403)


INTRUDER = """
import os, sys
from ray._raylet import AuthenticationTokenLoader, Config, GcsClient
for mode, token in ("disabled", "none"), ("token", "0" * 64), ("token", sys.stdin.read()):
    os.environ.update(RAY_AUTH_MODE=mode, RAY_AUTH_TOKEN=token)
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    try:
        client = GcsClient(address=sys.argv[1])
        client.internal_kv_put(b"normscope", b"written", True, None, 5)
        print(client.internal_kv_get(b"normscope", None, 5).decode())
    except Exception as error:
        print(type(error).__name__)
"""


def intrude(script, token=None, **environment):
    import ray

    cleared = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", script, ray.get_runtime_context().gcs_address],
        input=token,
        capture_output=True,
        text=True,
        env={**cleared, **environment},
    )


def test_rays_own_client_reads_and_writes_with_the_token_only(token):
    answer = intrude(INTRUDER, token)
    assert answer.stdout.split() == ["AuthenticationError", "AuthenticationError", "written"], answer.stderr


JOIN = "import ray, sys; ray.init(address=sys.argv[1]); print(ray.get(ray.remote(lambda: 7).remote()))"
# Without the first setting Ray looks for the loopback address elsewhere, and finds nothing.
KNOWING = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
WITHOUT = {**KNOWING, "RAY_AUTH_MODE": "disabled"}
WRONG = {**KNOWING, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("environment", [WITHOUT, WRONG], ids=["without a token", "with a wrong one"])
def test_another_program_cannot_join(running, environment):
    answer = intrude(JOIN, **environment)
    assert answer.returncode != 0
    assert "Unauthenticated" in answer.stderr
    assert "ConnectionError" in answer.stderr


@pytest.mark.long
@pytest.mark.faults
def test_the_same_program_with_the_token_does(token):
    answer = intrude(JOIN, **KNOWING, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    assert answer.stdout.split()[-1:] == ["7"], answer.stderr


def test_the_token_is_in_a_private_file_and_in_no_command_line_or_environment(running, token):
    assert len(token) == 64
    assert stat.S_IMODE((running / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(running.stat().st_mode) == 0o700
    for process in family():
        for name in ("cmdline", "environ"):
            assert token.encode() not in Path(f"/proc/{process}/{name}").read_bytes()
