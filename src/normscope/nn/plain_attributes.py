"""Modules in the plain attributes of other modules: in containers, objects, bound methods and partial calls.

torch registers a module that is itself an attribute. A module in a list, say, is not registered, but may be called all
the same. :func:`held` finds such modules, and :func:`exchanged_in` puts others in their place.
"""

from __future__ import annotations

import collections
import functools
import sys
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from torch import nn

_INTERNALS = frozenset((*vars(nn.Module()), "_compiled_call_impl"))
_CLOSED = frozenset(
    (*sys.stdlib_module_names, "torch", "numpy", "normscope")
)  # whose objects hold no modules
_DEPTH = 50


def attributes(module: nn.Module) -> dict[str, Any]:
    """A module's plain attributes: without torch's own, and without registered modules, parameters and buffers.

    A scripted module keeps methods of the module that it was made from, under special names such as ``__dir__``.
    """
    own = vars(module).items()
    return {name: value for name, value in own if name not in _INTERNALS and not name.startswith("__")}


def held(module: nn.Module, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """The modules in the plain attributes of a module, with their paths, such as ``"steps.0"``.

    An attribute that is itself a module is left out, and so is a bound method of a module that holds this one: they
    refer to a parent.

    Args:
        module: the module.
        seen: ids of the containers and objects that need no second look; it is extended.
    """
    for name, value in attributes(module).items():
        if not isinstance(value, nn.Module):
            for path, found in _found(value, name, seen, _DEPTH):
                if not (isinstance(value, types.MethodType) and module in found.modules()):
                    yield path, found


def exchanged_in(module: nn.Module, new: Mapping[nn.Module, nn.Module], seen: set[int]) -> None:
    """Exchange each key of ``new`` for its value in the plain attributes of a module.

    Containers and objects that can change stay the same objects; tuples and the like are made again.

    Args:
        module: the module.
        new: the new module for each old one.
        seen: ids of the containers and objects that need no second look; it is extended.
    """
    for name, value in attributes(module).items():
        if (made := _swapped(value, new, seen, _DEPTH)) is not value:
            vars(module)[name] = made


def _found(value: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(value, nn.Module):
        yield path, value
    elif isinstance(value, types.MethodType):
        if isinstance(value.__self__, nn.Module):
            yield path, value.__self__
    elif depth and (items := _items(value)) and id(value) not in seen:
        seen.add(id(value))
        for key, item in items:
            if not isinstance(item, str | int | float | None):
                yield from _found(item, f"{path}.{key}", seen, depth - 1)


def _items(value: Any) -> list[tuple[Any, Any]]:
    """What a container or an object holds, each item with its key."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list | tuple | set | frozenset | collections.deque):
        return list(enumerate(value))
    if isinstance(value, functools.partial):
        return [("func", value.func), *enumerate(value.args), *value.keywords.items()]
    return list(_own(value).items())


def _own(value: Any) -> dict[str, Any]:
    """The attributes of an object of a class that may hold modules; empty for any other value."""
    if isinstance(value, type | types.ModuleType | types.FunctionType):
        return {}
    if type(value).__module__.partition(".")[0] in _CLOSED and not isinstance(value, types.SimpleNamespace):
        return {}
    own = getattr(value, "__dict__", None)
    return own if isinstance(own, dict) else {}


def _swapped(value: Any, new: Mapping[nn.Module, nn.Module], seen: set[int], depth: int) -> Any:
    """The value, or what takes its place; the value itself wherever that is possible."""
    if isinstance(value, nn.Module):
        return new.get(value, value)
    if isinstance(value, types.MethodType) and isinstance(value.__self__, nn.Module):
        return getattr(new[value.__self__], value.__name__, value) if value.__self__ in new else value
    if not depth or value is None or isinstance(value, str | int | float):
        return value

    def swap(item: Any) -> Any:
        return _swapped(item, new, seen, depth - 1)

    if isinstance(value, tuple | frozenset | functools.partial):
        return _made_again(value, swap)
    if id(value) in seen:
        return value
    seen.add(id(value))
    if isinstance(value, list | collections.deque):
        _write(value, list(enumerate(value)), swap)
    elif isinstance(value, MutableMapping):
        _write(value, list(value.items()), swap)
    elif isinstance(value, set):
        for item in [item for item in value if swap(item) is not item]:
            value.remove(item)
            value.add(swap(item))
    elif not isinstance(value, Mapping):
        own = _own(value)
        _write(own, list(own.items()), swap)
    return value


def _write(container: Any, items: list[tuple[Any, Any]], swap: Callable[[Any], Any]) -> None:
    for key, item in items:
        if (made := swap(item)) is not item:
            container[key] = made


def _made_again(value: Any, swap: Callable[[Any], Any]) -> Any:
    """A tuple, frozen set or partial call with its items exchanged."""
    if isinstance(value, functools.partial):
        func, args = swap(value.func), [swap(item) for item in value.args]
        keywords = {name: swap(item) for name, item in value.keywords.items()}
        pairs = [(value.func, func), *zip(value.args, args, strict=True)]
        pairs += [(item, keywords[name]) for name, item in value.keywords.items()]
        return (
            value if all(old is made for old, made in pairs) else functools.partial(func, *args, **keywords)
        )
    items = [swap(item) for item in value]
    if all(old is made for old, made in zip(value, items, strict=True)):
        return value
    named = getattr(type(value), "_make", None)  # of a named tuple
    return named(items) if named is not None else type(value)(items)
