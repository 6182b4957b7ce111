"""Every operation on every architecture, each checked against brute force.

    python -m benchmarks.zoo [--only NAME ...] [--columns batch layer rms ...] [--quiet]

Prints a row per architecture and a column per operation. A cell holds its key number, as docs/zoo.md explains. A cell
that is not right reads WRONG, and its sentence follows the table, as do the sentences with which ``fold`` refuses. The
exit status is 1 if any cell is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

import torch

from benchmarks.zoo import table
from benchmarks.zoo.architectures import ARCHITECTURES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", default=[""], help="architectures whose name contains one of these words"
    )
    parser.add_argument("--columns", nargs="+", choices=table.COLUMNS, default=list(table.COLUMNS))
    parser.add_argument("--quiet", action="store_true", help="leave out the sentences of right cells")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    importlib.import_module("transformers").logging.set_verbosity_error()
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    chosen = [a for a in ARCHITECTURES if any(word in a.name for word in options.only)]
    print(table.head(options.columns))
    said, wrong, total = [], 0, 0
    for architecture, row, seconds in table.rows(chosen, options.columns):
        print(table.line(architecture, row, seconds), flush=True)
        said += [text for text in table.sentences(architecture, row) if "WRONG" in text or not options.quiet]
        wrong += sum(not cell.right for cell in row.values())
        total += len(row)
    print(f"\n{total - wrong} of {total} cells are right, of {len(chosen)} architectures.\n")
    print("\n".join(said))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
