"""One worker: ``python -m normscope.runner.worker`` runs the cells it is sent, one after another.

It reads one JSON object a line from its standard input: first the driver's import path, then the cells. Each cell's
rows go straight to the store; one line a cell comes back on what was its standard output, which cells cannot write to:
whatever they print goes to the standard error. When its input ends, the driver is gone: it stops at once.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from normscope.errors import NormscopeError
from normscope.protocol import CellFunction, known_cell
from normscope.store.provenance import current_provenance
from normscope.store.store import Store, StoreError


def main() -> None:
    """Run cells until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    for path in requests.get()["path"]:
        if path not in sys.path:
            sys.path.append(path)
    while True:
        json.dump(_answer(requests.get()), answers)
        _end_line(answers)


def _read(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Hand on requests; the end of the input means that the driver is gone, and so is the point of the current cell."""
    for line in sys.stdin:
        requests.put(json.loads(line))
    os._exit(0)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        importlib.import_module(request["module"])
        function = known_cell(request["function"])
        config = function.config_from(request["config"])
        store = Store(Path(request["store"]))
        metadata = {"version": request["version"], "config": request["config"]}
        seconds = run_and_store(function, config, request["key"], store, metadata)
        return {"seconds": seconds}
    except StoreError as error:
        return {"fatal": str(error)}
    except NormscopeError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "out of memory: fewer workers leave more for each."}
    except Exception as error:
        sys.stderr.write(traceback.format_exc())
        return {"error": "".join(traceback.format_exception_only(error)).strip()}


def run_and_store(
    function: CellFunction[Any], config: Any, key: str, store: Store, metadata: Mapping[str, Any]
) -> float:
    """Run one cell in this process and keep its rows; gives the seconds it took."""
    started = time.perf_counter()
    rows = function(config)
    seconds = time.perf_counter() - started
    about = {**current_provenance(), **metadata, "function": function.name, "seconds": seconds}
    store.write(key, rows, about)
    return seconds


def _end_line(stream: TextIO) -> None:
    stream.write("\n")
    stream.flush()


if __name__ == "__main__":
    main()
