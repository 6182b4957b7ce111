"""Another norm in place of every norm of a model."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn import make
from normscope.nn.channel_norm import ChannelNorm
from normscope.nn.channels_last import ChannelsLast, EachPosition, is_over_channels
from normscope.nn.factory import NormSpec, resolved
from normscope.nn.module_kinds import channels, channels_last, core, norms, sequence_first
from normscope.nn.specs import Spec
from normscope.nn.trials import sees_one_position
from normscope.surgery._changes import Change, described, warn_of, with_changes
from normscope.surgery.copies import copied, device_and_dtype, exchanged
from normscope.surgery.inheriting import take_state, with_settings
from normscope.surgery.removing import IdentityCopy, without_hooks
from normscope.surgery.skipping import left_alone


def replace_norms(model: nn.Module, spec: NormSpec) -> nn.Module:
    """A copy of the model with every norm replaced by ``spec``.

    It replaces the batch (also synchronized), group, instance, layer and RMS norms of the framework, the norms of this
    package, and look-alikes (:func:`normscope.nn.module_kinds.norms`). A norm over the last dimension, such as a layer
    norm over features, becomes a :class:`~normscope.surgery.ChannelsLast` of the new norm, in which layer, group and
    RMS norms normalize each token by itself. A layer norm over (C, H, W) becomes a norm over C, but with ``"layer"``.

    The new norm takes over the old one's device, type and mode, its settings (:func:`with_settings`: ``eps``,
    ``momentum``, whether it has a gain, a bias and running statistics) unless the spec sets them, and its parameters
    and running statistics where names and shapes agree. So ``"batch"`` in place of a batch norm, ``"layer"`` in place
    of a layer norm and ``"rms"`` in place of an RMS norm are the same function. The second statistic of ``LpNorm`` is a
    p-th moment, so it passes only between norms of the same p; :func:`~normscope.surgery.calibrate` measures it. A
    shared norm stays shared, and so does a parameter of two norms. Hooks on an old norm are dropped.

    Args:
        model: any module; it is not changed.
        spec: a spec for :func:`normscope.nn.make`, or a callable from a number of channels to a module.

    Returns:
        the new model; :func:`~normscope.surgery.changes` lists what was replaced, and what was skipped and why. It says
        so where the new norm has running statistics that the old one did not have: in evaluation mode it normalizes
        nothing before :func:`~normscope.surgery.calibrate` or some training. And it says so where the old norm's
        statistics were constants (FrozenBatchNorm2d), which the new one's are not in training; where an instance norm
        used running statistics; and where the old norm's hooks are gone.

    Raises:
        UnknownNameError: for a norm or an argument that does not exist.
        InputError: for a spec that cannot be read, or cannot be built for the channels of a norm; for a model that
            cannot be copied.

    Warns:
        NormscopeWarning: if there is no norm, or something that normalizes stays.
    """
    wanted = new_each_time(resolved(spec))
    after = copied(model)
    turned = sequence_first(after)
    new: dict[nn.Module, nn.Module] = {}
    done = []
    with generators_kept(model):
        for name, old in norms(after):
            count = channels(name, old)
            norm = _made(name, wanted, old, count).to(*device_and_dtype(old, after))
            take_state(norm, core(old), count)
            norm.train(old.training)
            words = (described(old, count), "by", described(norm, count))
            done.append(Change("replaced", name, *words, reason=_difference(old, norm)))
            new[old] = _fitted(norm, old, old in turned).train(old.training)
    left = left_alone(after)
    warn_of("replace_norms", model, done, left, "no norm")
    return with_changes(exchanged(after, new), done, model, left)


def _made(name: str, spec: Spec | Callable[[int], nn.Module], old: nn.Module, count: int) -> nn.Module:
    if not isinstance(spec, Spec):
        return made_at(name, spec, count)
    if isinstance(old, nn.LayerNorm | nn.RMSNorm) and len(old.normalized_shape) > 1 and not spec.arguments:
        shape, gain = list(old.normalized_shape), old.weight is not None
        if spec.name == "layer" and isinstance(old, nn.LayerNorm):
            return nn.LayerNorm(shape, old.eps, gain, old.bias is not None)
        if spec.name == "rms" and isinstance(old, nn.RMSNorm):
            return nn.RMSNorm(shape, old.eps, gain)
    return made_at(name, with_settings(spec, core(old)), count)


def _difference(old: nn.Module, norm: nn.Module) -> str:
    """How the new norm differs from the old one beyond its kind: in its statistics and hooks; empty if it does not."""
    reasons = (_statistics(core(old), norm), without_hooks(old))
    return "; ".join(filter(None, reasons))


def _statistics(old: nn.Module, norm: nn.Module) -> str:
    measured = getattr(old, "running_mean", None) is not None
    if isinstance(old, nn.modules.instancenorm._InstanceNorm) and measured and isinstance(norm, nn.GroupNorm):
        return "in evaluation mode, it measures its input; the old norm used its running statistics"
    if not isinstance(norm, ChannelNorm) or norm.running_mean is None:
        return ""
    if not measured:
        return "its running statistics are not measured yet"
    if not hasattr(old, "momentum"):  # FrozenBatchNorm2d and its like
        return "the old norm's statistics were constants; in training mode, the new norm measures its batches"
    return ""


def _fitted(norm: nn.Module, old: nn.Module, sequence_first: bool) -> nn.Module:
    """The new norm, applied to the dimension and the positions that the old one had."""
    if isinstance(norm, nn.Identity):
        return IdentityCopy(core(old))
    if channels_last(old):
        return ChannelsLast(norm, sequence_first or getattr(old, "sequence_first", False))
    by_position = is_over_channels(norm) and not isinstance(norm, nn.LayerNorm | nn.RMSNorm)
    return EachPosition(norm) if by_position and sees_one_position(core(old), channels("", old)) else norm


def made_at(name: str, spec: NormSpec, count: int) -> nn.Module:
    """The norm of a spec for ``count`` channels; a refusal says that it is for the layer ``name``."""
    try:
        return make(spec, count)
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error


def new_each_time(spec: Spec | Callable[[int], nn.Module]) -> Spec | Callable[[int], nn.Module]:
    """The spec; a callable that makes the same module twice is refused, since each norm has a state of its own."""
    if isinstance(spec, Spec):
        return spec
    made: set[nn.Module] = set()

    @functools.wraps(spec)
    def make_new(count: int) -> nn.Module:
        norm = spec(count)
        if isinstance(norm, nn.Module):
            if norm in made:
                kind = type(norm).__name__
                raise InputError(f"the callable made the same {kind} twice: it must make a new one.")
            made.add(norm)
        return norm

    return make_new
