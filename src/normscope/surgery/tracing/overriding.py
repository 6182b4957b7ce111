"""Code that belongs to one instance of a module."""

from __future__ import annotations

from torch import nn


def is_overridden(module: nn.Module) -> bool:
    """Whether an instance has a function of its own, such as ``forward``, in place of its class's."""
    kind = type(module)
    return any(
        callable(value) and callable(getattr(kind, name, None)) for name, value in vars(module).items()
    )
