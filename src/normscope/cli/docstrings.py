"""Help texts: the docstrings of the commands, also under ``python -OO``, which drops them."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from typing import Any


def help_of(command: Callable[..., Any]) -> str:
    """The docstring of a module's function, read from the module's source where Python has dropped it."""
    if command.__doc__ is not None or sys.flags.optimize < 2:
        return inspect.cleandoc(command.__doc__ or "")
    tree = ast.parse(inspect.getsource(sys.modules[command.__module__]))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == command.__name__:
            return ast.get_docstring(node) or ""
    return ""
