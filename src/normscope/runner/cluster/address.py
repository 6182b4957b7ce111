"""Checks the address of a Ray cluster that a user wants to join."""

from __future__ import annotations

import socket
import subprocess
import sys

from normscope.errors import InputError

_CONNECT_SECONDS, _JOIN_SECONDS = 5.0, 30.0
_ADVICE = "give host:port of a Ray cluster that this machine belongs to, or 'auto'"


def check_form(address: str) -> None:
    """Refuse what is neither ``"host:port"`` nor ``"auto"``.

    Raises:
        InputError: the address has another form.
    """
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and "/" not in host and port.isdigit() and int(port) < 2**16):
        raise InputError(f"{address!r} is not the address of a Ray cluster: {_ADVICE}.")


def check_cluster(address: str) -> None:
    """Join the cluster once in a process of its own, since Ray itself would keep trying for minutes.

    Raises:
        InputError: nothing answers at the address, or what answers is not a cluster that this machine can join.
    """
    script = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    command = [sys.executable, "-c", script, address]
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        subprocess.run(command, check=True, capture_output=True, timeout=_JOIN_SECONDS)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_JOIN_SECONDS:g} s"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return
    raise InputError(f"no Ray cluster to join at {address} ({reason}): {_ADVICE}.")
