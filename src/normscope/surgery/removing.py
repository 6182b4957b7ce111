"""A model without its norms."""

from __future__ import annotations

from torch import nn

from normscope.nn.module_kinds import channels, norms
from normscope.surgery._changes import Change, described, with_changes
from normscope.surgery.copies import copied, exchanged


def remove_norms(model: nn.Module) -> nn.Module:
    """A copy of the model with ``torch.nn.Identity`` in place of every norm.

    The weights stay as they are, so the new model computes another function. :func:`~normscope.surgery.fold` and
    :func:`~normscope.surgery.equivalent_network` keep the function.

    Args:
        model: any module; it is not changed.

    Returns:
        the new model; :func:`~normscope.surgery.changes` lists what was removed.
    """
    after = copied(model)
    found = list(norms(after))
    done = [Change("removed", name, described(norm, channels(name, norm))) for name, norm in found]
    new: dict[nn.Module, nn.Module] = {norm: nn.Identity().train(norm.training) for _, norm in found}
    return with_changes(exchanged(after, new), done, model)
