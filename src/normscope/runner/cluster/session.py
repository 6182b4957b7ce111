"""A Ray that is started here is closed to everybody else.

It listens on the loopback interface only, and demands a token that is drawn at each start. The token is in a file of a
private folder, together with Ray's own files and sockets. Ray's processes are given the name of the file in their
environment. The folder is removed with the end of Ray; if this process is killed, by the next one that starts Ray.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normscope.errors import InputError
from normscope.runner.cluster.folders import LockedFolder, remove_leftovers

_PREFIX, _FALLBACK = "ns-ray-", Path("/tmp")
_OLDEST = (2, 52)  # The first version that demands a token and can be kept to the loopback interface.

_ENDING_SECONDS = 5.0

# The longest name that Ray gives a socket in its folder, and the longest that the system allows.
_SOCKET = "r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107

# No usage reports, no warning about accelerators; workers notice sooner that their driver was killed.
_DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_death_check_interval_milliseconds": "250",
}
# Ray's name for the setting is misleading: without "clusters" it takes the loopback address on every system.
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_SET_BY_RAY = "PYTHONBREAKPOINT"
# These take the place of the token's file, or of the check for the same token.
_OTHER_TOKENS = ("RAY_AUTH_TOKEN", "RAY_ENABLE_K8S_TOKEN_AUTH")


def import_ray() -> Any:
    """Ray, if it is installed and can be closed to others.

    Raises:
        InputError: it is not installed, or too old.
    """
    try:
        with Environment({}):
            import ray
    except ImportError as error:
        raise InputError("Ray is not installed: pip install 'normscope[ray]'.") from error
    numbers = re.match(r"(\d+)\.(\d+)", ray.__version__)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < _OLDEST:
        raise InputError(
            f"Ray {ray.__version__} lets every user of this machine run code as you: "
            f"Ray {_OLDEST[0]}.{_OLDEST[1]} or newer is needed (pip install -U 'normscope[ray]')."
        )
    return ray


class Environment:
    """Ray's variables in this process's environment until they are restored.

    Variables that a user has set stay as they are, except those of ``settings``.

    Args:
        settings: variables to set; ``None`` removes one.
    """

    def __init__(self, settings: Mapping[str, str | None]) -> None:
        defaults = {name: value for name, value in _DEFAULTS.items() if name not in os.environ}
        changes = {**defaults, **settings}
        self._before = {name: os.environ.get(name) for name in (*changes, _SET_BY_RAY)}
        _set(changes)

    def restore(self) -> None:
        """Give every variable the value that it had before."""
        _set(self._before)

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()


class Session:
    """What a Ray that is started here needs: a private folder, a token, and Ray's settings, until it is closed.

    Args:
        ray: Ray.

    Attributes:
        temporary: the folder for Ray's own files.

    Raises:
        InputError: no folder can be made whose name leaves room for those of Ray's sockets.
    """

    def __init__(self, ray: Any) -> None:
        self._ray, self._constants = ray, ray._private.ray_constants
        self._folder = _session_folder()
        self.temporary = str(self._folder.path / "r")
        try:
            token = _write_token(self._folder.path)
        except OSError as error:
            self._folder.remove()
            raise _no_folder(error.strerror or str(error)) from error
        self._clusters = getattr(self._constants, "ENABLE_RAY_CLUSTER", None)
        # Ray reads the variable when it is imported, which the program may have done before.
        self._constants.ENABLE_RAY_CLUSTER = False
        settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), _LOOPBACK: "0"}
        self._environment = Environment({**settings, **dict.fromkeys(_OTHER_TOKENS)})
        self._reload()

    def check(self) -> None:
        """Make sure that the Ray that was started is closed to others.

        Raises:
            InputError: it is not.
        """
        raylet, address = self._ray._raylet, self._ray.util.get_node_ip_address()
        if address not in ("127.0.0.1", "::1"):
            raise InputError(f"Ray {self._ray.__version__} listens on {address}, not on this machine only.")
        if raylet.get_authentication_mode() != raylet.AuthenticationMode.TOKEN:
            raise InputError(f"Ray {self._ray.__version__} does not demand a token.")

    def close(self) -> None:
        """End the processes that Ray has left, remove the folder, and restore Ray's settings."""
        _end_processes(self._folder.path)
        self._folder.remove()
        self._environment.restore()
        self._constants.ENABLE_RAY_CLUSTER = self._clusters
        self._reload()

    def _reload(self) -> None:
        """Let this process's Ray read the environment again."""
        self._ray._raylet.Config.initialize("")
        self._ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


def _session_folder() -> LockedFolder:
    """A new folder for Ray's files; those of killed drivers are removed, with their processes."""
    parents = list(_parents())
    for parent in parents:
        remove_leftovers(parent, _PREFIX, _end_processes)
    reason = "its name is too long"
    for parent in parents:
        if len(os.fsencode(parent / f"{_PREFIX}12345678" / _SOCKET)) <= _LONGEST_SOCKET:
            try:
                return LockedFolder(parent, _PREFIX)
            except OSError as error:
                reason = error.strerror or str(error)
    raise _no_folder(reason)


def _parents() -> Iterator[Path]:
    """The folders for temporary files: the system's or the user's, then the one with a short name."""
    with contextlib.suppress(FileNotFoundError):  # None can be written.
        yield Path(tempfile.gettempdir())
    yield _FALLBACK


def _no_folder(reason: str) -> InputError:
    longest = _LONGEST_SOCKET - len(f"/{_PREFIX}12345678/{_SOCKET}")
    return InputError(
        f"Ray finds no folder for its files ({reason}): set TMPDIR to a folder that can be written and whose name has "
        f"at most {longest} characters."
    )


def _write_token(folder: Path) -> Path:
    path = folder / "token"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    return path


def _end_processes(folder: Path) -> None:
    """Kill the processes that use files in the folder of a Ray that was started here, and wait for their end."""
    end = time.monotonic() + _ENDING_SECONDS
    while (
        found := [process for process in _processes() if _uses(process, folder)]
    ) and time.monotonic() < end:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _processes() -> Iterator[int]:
    """The other processes of this user, where the system has a /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and entry.stat().st_uid == os.getuid():
                yield int(entry.name)


def _uses(process: int, folder: Path) -> bool:
    """Whether a process has files in the folder open, but not the folder itself: this would be the owner's fork."""
    found = set()
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(file))
    return str(folder) not in found and any(name.startswith(f"{folder}/") for name in found)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
