"""``make``: from a spec and a number of channels to a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from torch import nn

from normscope.errors import InputError, said
from normscope.nn.alternating import AlternatingNorm
from normscope.nn.arguments import check_count
from normscope.nn.batch import BatchNorm
from normscope.nn.dynamic_tanh import DynamicTanhNorm
from normscope.nn.filter_response import FilterResponseNorm
from normscope.nn.gated import AmplifyNorm, SuppressNorm
from normscope.nn.group import GroupNorm
from normscope.nn.lp import LpNorm
from normscope.nn.noisy import NoisyNorm
from normscope.nn.rms import RMSNorm
from normscope.nn.specs import ENTRY_POINTS, Spec, check_arguments, parse
from normscope.targets import imported

Factory = Callable[..., nn.Module]

NormSpec = str | Spec | Callable[[int], nn.Module]
"""What names a norm: a spec, as text or parsed, or a callable from a number of channels to a module."""


def make(spec: NormSpec, C: int) -> nn.Module:
    """The norm that ``spec`` names, for ``C`` channels.

    Args:
        spec: ``"none"``, ``"batch"``, ``"suppress(threshold=2)"``, ``"amplify"``, ``"group(groups=4)"``,
            ``"layer"`` (group norm of one group), ``"instance"`` (group norm of ``C`` groups), ``"rms"``, ``"dyt"``,
            ``"frn"`` or another name of docs/norms.md; the name of an entry point of group ``normscope.norms``; or
            ``"package.module:Class(argument=value)"``, which is called as ``Class(C, argument=value)``; or a callable
            from a number of channels to a module.
        C: number of channels, at least 1.

    Raises:
        UnknownNameError: for a norm or an argument that does not exist.
        InputError: for a spec that cannot be read, imported or built.
    """
    found = resolved(spec)
    check_count("the number of channels", C)
    return _from_spec(found, C) if isinstance(found, Spec) else _module(spec, found(C))


def resolved(spec: NormSpec) -> Spec | Callable[[int], nn.Module]:
    """The parsed spec if ``spec`` is text, else ``spec`` itself.

    Raises:
        UnknownNameError: for a norm or an argument that does not exist.
        InputError: for text that cannot be read, and for anything that is neither a spec nor callable.
    """
    if isinstance(spec, str):
        return parse(spec)
    if not isinstance(spec, Spec) and not callable(spec):
        raise InputError(f"a norm must be a spec such as 'batch' or a callable, not {spec!r}.")
    return spec


def factory_of(name: str) -> Factory:
    """The class or function that makes the built-in norm ``name`` from a number of channels."""
    return _FACTORIES[name]


def _from_spec(spec: Spec, C: int) -> nn.Module:
    if spec.name in _FACTORIES:
        return _call(spec, _FACTORIES[spec.name], C)
    factory = _callable(spec.name, imported(spec.name, "norm")) if spec.is_path else _plugin(spec.name)
    _check_signature(spec, factory)
    return _module(spec.name, _call(spec, factory, C))


def _module(spec: object, layer: object) -> nn.Module:
    if not isinstance(layer, nn.Module):
        raise InputError(f"norm {spec!r} made a {type(layer).__name__}; it must make a torch.nn.Module.")
    return layer


def _call(spec: Spec, factory: Factory, C: int) -> nn.Module:
    try:
        return factory(C, **spec.arguments)
    except InputError:
        raise
    except Exception as error:  # a user's own constructor may raise anything
        raise InputError(f"norm {str(spec)!r} cannot be made for {C} channels: {said(error)}") from error


def _plugin(name: str) -> Factory:
    (point, *_) = entry_points(group=ENTRY_POINTS, name=name)
    try:
        target = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"norm {name!r}: its entry point {point.value!r} cannot be loaded ({error})."
        ) from error
    return _callable(name, target)


def _callable(name: str, target: Any) -> Factory:
    if not callable(target):
        raise InputError(f"norm {name!r} is a {type(target).__name__}; it must be a class or function of C.")
    factory: Factory = target
    return factory


def _check_signature(spec: Spec, factory: Factory) -> None:
    """Refuse an argument of ``spec`` that ``factory`` does not take by name."""
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(factory).parameters
    except ValueError:  # a builtin without a signature raises its own error when called
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}
    names = [name for name, parameter in parameters.items() if parameter.kind not in positional]
    channels_come_first = bool(names) and names[0] == next(iter(parameters))
    check_arguments(spec.name, spec.arguments, names[1:] if channels_come_first else names)


def _group(
    C: int,
    groups: int = 2,
    eps: float = 1e-5,
    affine: bool = True,
    gain: bool | None = None,
    bias: bool | None = None,
) -> nn.Module:
    return GroupNorm(groups, C, eps, affine, gain, bias)


def _layer(
    C: int, eps: float = 1e-5, affine: bool = True, gain: bool | None = None, bias: bool | None = None
) -> nn.Module:
    return GroupNorm(1, C, eps, affine, gain, bias)


def _instance(
    C: int, eps: float = 1e-5, affine: bool = True, gain: bool | None = None, bias: bool | None = None
) -> nn.Module:
    return GroupNorm(C, C, eps, affine, gain, bias)


def _none(C: int) -> nn.Module:
    return nn.Identity()


_FACTORIES: Mapping[str, Factory] = {
    "none": _none,
    "batch": BatchNorm,
    "amplify": AmplifyNorm,
    "suppress": SuppressNorm,
    "lp": LpNorm,
    "alternating": AlternatingNorm,
    "noisy": NoisyNorm,
    "group": _group,
    "layer": _layer,
    "instance": _instance,
    "rms": RMSNorm,
    "dyt": DynamicTanhNorm,
    "frn": FilterResponseNorm,
}
