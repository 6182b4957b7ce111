"""Specs: strings that name a norm and its arguments, read without importing torch.

A spec is ``name``, ``name(argument=value, ...)`` or ``package.module:Class(argument=value, ...)``. Values are Python
literals; ``true``, ``false``, ``none`` and ``inf`` may be written in any case. :func:`parse` checks a spec, and
:func:`normscope.nn.make` builds its layer.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from normscope.errors import InputError, UnknownNameError
from normscope.nn.descriptions import NORMS

ENTRY_POINTS = "normscope.norms"

#: The arguments of each built-in norm.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {name: norm.arguments for name, norm in NORMS.items()}

_WORDS = {"true": True, "false": False, "none": None, "inf": math.inf}


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed spec: the name of a built-in norm or entry point, or a ``module:attribute`` path; and its arguments."""

    name: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_path(self) -> bool:
        """Whether the name is the import path of a user's own class."""
        return ":" in self.name

    def __str__(self) -> str:
        """The canonical text, with sorted arguments; without brackets if there are none."""
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in sorted(self.arguments.items()))})"


def parse(text: str) -> Spec:
    """Read a norm's spec, and check its name and, for a built-in norm, the names of its arguments.

    Raises:
        UnknownNameError: for a name or an argument that does not exist.
        InputError: for text that is not a spec.
    """
    spec = read(text)
    if spec.is_path:
        return spec
    if spec.name in ARGUMENTS:
        check_arguments(spec.name, spec.arguments, ARGUMENTS[spec.name])
    elif spec.name not in (installed := plugins()):
        raise UnknownNameError("norm", spec.name, [*ARGUMENTS, *installed])
    return spec


def read(text: str, kind: str = "norm") -> Spec:
    """Read a spec of any kind of object, without checking that the name exists.

    Args:
        text: ``name``, ``name(argument=value, ...)`` or ``package.module:Class(argument=value, ...)``.
        kind: the kind of object, as messages call it.

    Raises:
        InputError: for text that is not a spec.
    """
    name, bracket, rest = text.strip().partition("(")
    name = name.strip()
    if bracket and not rest.endswith(")"):
        raise InputError(f"{kind} spec {text!r} does not end in ')': write {name}(argument=value).")
    spec = Spec(name, _arguments(f"{kind} spec {text!r}", rest[:-1]) if bracket else {})
    if spec.is_path:
        module, _, attribute = name.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
            raise InputError(f"{kind} spec {text!r} is not an import path: write package.module:Class.")
    return spec


def check_arguments(name: str, given: Iterable[str], allowed: Iterable[str], kind: str = "norm") -> None:
    """Refuse the first argument of ``given`` that is not in ``allowed``."""
    allowed = tuple(allowed)
    for argument in given:
        if argument not in allowed:
            if not allowed:
                raise InputError(f"{kind} {name!r} takes no arguments, but {argument!r} was given.")
            raise UnknownNameError(f"argument of {kind} {name!r}:", argument, allowed)


def plugins() -> dict[str, str]:
    """The norms that installed packages register in the entry-point group ``normscope.norms``: name and import path."""
    return dict(sorted((point.name, point.value) for point in entry_points(group=ENTRY_POINTS)))


def _arguments(spec: str, inside: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f({inside})", mode="eval").body
    except (SyntaxError, ValueError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise InputError(f"{spec} cannot be read: write name(argument=value, ...).")
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise InputError(f"{spec} has an argument without a name: write name(argument=value, ...).")
    names = [keyword.arg for keyword in call.keywords]
    if len(set(names)) < len(names):
        raise InputError(f"{spec} gives an argument twice: give each argument once.")
    return {str(keyword.arg): _literal(spec, keyword) for keyword in call.keywords}


def _literal(spec: str, keyword: ast.keyword) -> Any:
    node = keyword.value
    if isinstance(node, ast.Name) and node.id.lower() in _WORDS:
        return _WORDS[node.id.lower()]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise InputError(
            f"{spec}: the value of {keyword.arg!r} is not a literal; "
            "numbers, true, false, none, inf, quoted strings and lists are allowed."
        ) from None
