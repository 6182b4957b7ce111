"""A worker: ``python -m normscope.runner.worker`` runs the cells it is sent, one after another.

It reads one JSON object a line from its standard input: first the driver's import path, then the cells. It writes each
cell's rows to the store and answers with one line on its standard output. Cells have neither of the two: whatever they
print goes to the standard error, and there is nothing for them to read. When the input ends, the driver is gone, and
the worker stops at once, with the processes that its cell has started.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from normscope import devices
from normscope.errors import InputError, NormscopeError
from normscope.protocol import CellFunction, known_cell
from normscope.store import Store, StoreError
from normscope.store.provenance import current_provenance

_OUT_OF_MEMORY = "out of memory: fewer workers leave more for each."
_LOST = "CUDA error"


def main() -> None:
    """Run cells until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    driver = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(errors="backslashreplace")  # What a cell prints never stops it.
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(driver, requests), daemon=True).start()
    for path in requests.get()["path"]:
        if path not in sys.path:
            sys.path.append(path)
    while True:
        answers.write(json.dumps(_answer(requests.get())) + "\n")
        answers.flush()


def _read(driver: IO[bytes], requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass requests on. When the input ends nobody waits for the current cell, so the process ends, too."""
    for line in driver:
        requests.put(json.loads(line))
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run a cell; the answer is described in :meth:`normscope.runner.worker_process.WorkerProcess.run`.

    It has an entry ``lost`` when this process can use its accelerator no more: once a kernel has failed, all others do.
    """
    try:
        return _answer_if_memory_lasts(request)
    except MemoryError:
        return {"error": _OUT_OF_MEMORY}


def _answer_if_memory_lasts(request: dict[str, Any]) -> dict[str, Any]:
    """As :func:`_answer`.

    Raises:
        MemoryError: the cell, or what is done about its rows or its error, takes more memory than there is.
    """
    try:
        _import(request["module"], request["function"])
        function = known_cell(request["function"])
        config = function.config_from(request["config"])
        store = Store(Path(request["store"]))
        metadata = {"version": request["version"], "config": request["config"]}
        device = request["device"]
        return {"seconds": run_and_store(function, config, request["key"], store, metadata, device)}
    except StoreError as error:
        return {"fatal": str(error)}
    except NormscopeError as error:
        return {"error": str(error)}
    except MemoryError:
        raise
    except Exception as error:
        sys.stderr.write(traceback.format_exc())
        if type(error).__name__ == "OutOfMemoryError":  # torch's, of an accelerator
            raise MemoryError from error
        said = "".join(traceback.format_exception_only(error)).strip()
        return {"error": said, "lost": True} if _LOST in said else {"error": said}


def _import(module: str, function: str) -> None:
    """Import the module in which the driver's cell function is defined."""
    if module == "__main__":
        raise InputError(
            f"cell {function!r} is defined in a script or notebook, which workers cannot import: move it to a module."
        )
    importlib.import_module(module)


def run_and_store(
    function: CellFunction[Any],
    config: Any,
    key: str,
    store: Store,
    metadata: Mapping[str, Any],
    device: str = "cpu",
) -> float:
    """Run one cell in this process, on a kind of device, and keep its rows; returns the seconds it took.

    Raises:
        InputError: this machine has no such device.
    """
    devices.kind_of(device)
    started = time.perf_counter()
    with devices.running_on(device):
        rows = function(config)
    seconds = time.perf_counter() - started
    about = {**current_provenance(device), **metadata, "function": function.name, "seconds": seconds}
    store.write(key, rows, about)
    return seconds


if __name__ == "__main__":
    main()
