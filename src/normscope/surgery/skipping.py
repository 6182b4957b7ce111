"""What surgery leaves as it is: modules that look like norms, and code that normalizes without a module."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Hashable, Iterator
from typing import cast

from torch import fx, nn

from normscope.nn.module_kinds import is_norm, modules, norm_like
from normscope.surgery._changes import Change
from normscope.surgery.tracing.graph import norm_function

_FUNCTIONS = frozenset(
    f"{prefix}{kind}_norm"
    for prefix in ("", "native_")
    for kind in ("batch", "layer", "group", "instance", "rms")
)


def left_alone(model: nn.Module) -> list[Change]:
    """The modules of a model that normalize and cannot be exchanged, each with the reason."""
    alike = [(name, module, reason) for name, module, reason in norm_like(model)]
    covered = {inner for _, module, _ in alike for inner in module.modules()}
    calling = [
        (name, module, f"its code calls {function}, which is no module")
        for name, module in modules(model)
        if not is_norm(module) and module not in covered
        for function in functional_norms(module)
    ]
    return [
        Change("skipped", name, type(module).__name__, reason=reason)
        for name, module, reason in (*alike, *calling)
    ]


def functional_norms(module: nn.Module) -> tuple[str, ...]:
    """The norm functions of torch, such as ``batch_norm``, that a user's module calls.

    Its methods name them in their code; the graph of a traced or exported model has them as nodes.
    """
    if isinstance(module, fx.GraphModule):
        called = [node.target for node in module.graph.nodes if node.op == "call_function"]
        named = (norm_function(str(getattr(target, "__name__", target))) for target in called)
        return tuple(dict.fromkeys(filter(None, named)))
    return _of_class(cast(Hashable, type(module)))


@functools.cache
def _of_class(kind: type) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for base in kind.__mro__:
        if not base.__module__.startswith(("torch.", "normscope.")):
            for name, method in vars(base).items():
                if isinstance(method, types.FunctionType) and getattr(kind, name) is method:
                    found |= dict.fromkeys(_named(method, method.__code__))
    return tuple(found)


def _named(method: types.FunctionType, code: types.CodeType) -> Iterator[str]:
    owner = ""
    for step in dis.get_instructions(code):
        name = step.argval if isinstance(step.argval, str) else ""
        if name in _FUNCTIONS:
            from_module = isinstance(method.__globals__.get(owner), types.ModuleType) or owner == "functional"
            if step.opname == "LOAD_GLOBAL" or from_module:
                yield name
        owner = name or owner
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _named(method, constant)
