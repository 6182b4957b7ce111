"""What is prepared for a Ray that is started here, without starting it."""

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import pytest
from processes import alive

from normscope import runner
from normscope.errors import InputError
from normscope.runner.cluster import session as session_file
from normscope.runner.cluster.session import Environment, Session


class Ray:
    """The parts of Ray that a session touches."""

    def __init__(self, address="127.0.0.1", mode="token"):
        self.__version__ = "2.52.0"
        self.read = []
        loader = types.SimpleNamespace(reset_cache=lambda: self.read.append(dict(os.environ)))
        self._private = types.SimpleNamespace(ray_constants=types.SimpleNamespace(ENABLE_RAY_CLUSTER=True))
        self._raylet = types.SimpleNamespace(
            Config=types.SimpleNamespace(initialize=lambda settings: None),
            AuthenticationTokenLoader=types.SimpleNamespace(instance=lambda: loader),
            AuthenticationMode=types.SimpleNamespace(TOKEN="token"),
            get_authentication_mode=lambda: mode,
        )
        self.util = types.SimpleNamespace(get_node_ip_address=lambda: address)


@pytest.fixture(autouse=True)
def places(monkeypatch):
    """The user's folder for temporary files and the system's, both of short names and empty."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as first,
        tempfile.TemporaryDirectory(dir="/tmp") as second,
    ):
        monkeypatch.setattr(tempfile, "tempdir", first)
        monkeypatch.setattr(session_file, "_FALLBACK", Path(second))
        for name in list(os.environ):
            if name.startswith("RAY_"):
                monkeypatch.delenv(name)
        yield Path(first), Path(second)


def held(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_start_has_a_fresh_token_that_only_its_user_can_read():
    tokens = set()
    for _ in range(2):
        session = Session(Ray())
        path = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        tokens.add(path.read_text())
        session.close()
        assert not path.parent.exists()
    assert {len(token) for token in tokens} == {64}
    assert len(tokens) == 2


WEAK = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_AUTH_TOKEN": "known",
    "RAY_AUTH_TOKEN_PATH": "/known",
    "RAY_ENABLE_K8S_TOKEN_AUTH": "true",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
}
HARMLESS = {
    "RAY_USAGE_STATS_ENABLED": "1",
    "RAY_health_check_period_ms": "500",
    "RAY_ADDRESS": "10.0.0.1:6379",
}


def test_the_users_settings_hold_unless_they_open_ray_to_others_and_come_back(monkeypatch):
    for name, value in {**WEAK, **HARMLESS}.items():
        monkeypatch.setenv(name, value)
    before, ray = dict(os.environ), Ray()
    session = Session(ray)
    assert {name: os.environ[name] for name in HARMLESS} == HARMLESS
    assert [name for name in WEAK if os.environ.get(name) == WEAK[name]] == []
    assert ray._private.ray_constants.ENABLE_RAY_CLUSTER is False
    session.close()
    assert dict(os.environ) == before
    assert ray._private.ray_constants.ENABLE_RAY_CLUSTER is True
    assert [read["RAY_AUTH_MODE"] for read in ray.read] == ["token", "disabled"]


def test_the_environment_is_left_as_it_was_found():
    before = dict(os.environ)
    with Environment({"RAY_AUTH_MODE": "token", "HOME": None}):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "HOME" not in os.environ
    assert dict(os.environ) == before


def test_importing_ray_and_making_an_engine_change_no_variable():
    pytest.importorskip("ray", reason="needs Ray: pip install 'normscope[ray]'")
    before = dict(os.environ)
    runner.make_engine("ray").close()
    assert dict(os.environ) == before


@pytest.mark.parametrize("version", ["2.9.3", "2.51.2", "1.13.0"])
def test_a_ray_that_demands_no_token_is_refused_in_one_sentence(monkeypatch, version):
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(__version__=version))
    with pytest.raises(InputError, match=rf"Ray {version} .*2\.52 or newer is needed") as refusal:
        runner.make_engine("ray")
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("version", ["2.52.0", "2.60.0", "3.0.0.dev0"])
def test_a_newer_ray_is_not(monkeypatch, version):
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(__version__=version))
    runner.make_engine("ray").close()


@pytest.mark.parametrize(
    ("ray", "reason"), [(Ray("192.0.2.1"), "listens on 192"), (Ray(mode="disabled"), "demands? no")]
)
def test_a_ray_that_is_open_all_the_same_is_refused(ray, reason):
    session = Session(ray)
    with pytest.raises(InputError, match=reason.replace("demands? no", "does not demand a token")):
        session.check()
    session.close()


def test_a_closed_ray_is_accepted():
    session = Session(Ray())
    session.check()
    session.close()


def test_a_long_or_unwritable_name_gives_way_to_the_systems_folder(places, monkeypatch):
    first, second = places
    (first / ("long" * 10)).mkdir()
    for place in (first / ("long" * 10), Path("/proc")):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        session = Session(Ray())
        assert len(held(second)) == 1
        session.close()
        assert held(second) == []


def test_a_folder_with_the_longest_name_leaves_room_for_rays_sockets(places, monkeypatch):
    first, _ = places
    session = Session(Ray())
    socket = Path(session.temporary).parent / session_file._SOCKET
    room = session_file._LONGEST_SOCKET - len(str(socket))
    session.close()
    for more, chosen in ((room - 1, True), (room, False)):
        place = first / ("n" * more)
        place.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        session = Session(Ray())
        assert Path(session.temporary).is_relative_to(place) == chosen
        session.close()


def unusable(monkeypatch, name):
    monkeypatch.setattr(session_file, "_FALLBACK", Path("/proc/missing"))
    if name == "none":

        def refuse():
            raise FileNotFoundError(2, "No usable temporary directory found")

        monkeypatch.setattr(tempfile, "gettempdir", refuse)
    else:
        monkeypatch.setattr(tempfile, "tempdir", name)


@pytest.mark.parametrize("name", ["/proc", "/proc/missing", "/tmp/" + 200 * "n", "none"])
def test_without_any_usable_folder_the_message_says_what_to_set(monkeypatch, name):
    before = dict(os.environ)
    unusable(monkeypatch, name)
    with pytest.raises(
        InputError, match=r"set TMPDIR to a folder that can be written .* at most 25"
    ) as refusal:
        Session(Ray())
    assert len(str(refusal.value).splitlines()) == 1
    assert dict(os.environ) == before


def test_a_disk_that_is_full_leaves_nothing_behind(places, monkeypatch):
    def refuse(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(session_file, "_write_token", refuse)
    with pytest.raises(InputError, match="No space left on device"):
        Session(Ray())
    assert held(places[0]) == []


def drive(pipe):
    folder = Path(Session(Ray()).temporary)
    folder.mkdir()
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(["sleep", "600"], stdout=log, start_new_session=True)
    pipe.send((child.pid, folder.parent))
    signal.pause()


@pytest.fixture
def killed():
    """The process that a killed driver has left, and its folder."""
    here, there = multiprocessing.Pipe()
    driver = multiprocessing.get_context("fork").Process(target=drive, args=(there,))
    driver.start()
    process, folder = here.recv()
    Session(Ray()).close()
    assert alive(process)
    assert folder.exists()
    driver.kill()
    driver.join()
    yield process, folder
    if alive(process):
        os.kill(process, signal.SIGKILL)


def test_what_a_killed_driver_leaves_is_removed_at_the_next_start(killed, places):
    process, folder = killed
    assert alive(process)
    Session(Ray()).close()
    assert not folder.exists()
    assert not alive(process)
    assert held(places[0]) == []


def test_no_process_is_ended_that_has_no_file_of_the_dead_session_open(killed, tmp_path):
    other = subprocess.Popen(["sleep", "600"], cwd=tmp_path)
    try:
        Session(Ray()).close()
        time.sleep(0.1)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
