"""A model without its norms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normscope.nn.module_kinds import channels, core, norms
from normscope.nn.trials import has_hooks
from normscope.surgery._changes import Change, described, warn_of, with_changes
from normscope.surgery.copies import copied, exchanged
from normscope.surgery.skipping import left_alone


class IdentityCopy(nn.Identity):
    """Returns a copy of its input, in place of a norm.

    A norm's output is a new tensor, which the next layer may change in place (``ReLU(inplace=True)``), while its input
    may still be needed for a shortcut. So the input itself must not be passed on.

    Args:
        norm: the norm in whose place it comes. A model may read the type of its norm's weight (Mamba's does), so the
            gain 1 and the bias 0 are kept as buffers, outside the state.
    """

    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            if isinstance(tensor := getattr(norm, name, None), Tensor):
                self.register_buffer(name, torch.full_like(tensor.detach(), value), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """The copied input."""
        return input.clone()


def remove_norms(model: nn.Module) -> nn.Module:
    """A copy of the model with a ``torch.nn.Identity`` that copies its input in place of every norm.

    The weights stay as they are, so the new model computes another function. :func:`~normscope.surgery.fold` and
    :func:`~normscope.surgery.equivalent_network` keep the function.

    Args:
        model: any module; it is not changed.

    Returns:
        the new model; :func:`~normscope.surgery.changes` lists what was removed, and what was skipped and why.

    Raises:
        InputError: for a model that cannot be copied.

    Warns:
        NormscopeWarning: if there is no norm, or something that normalizes stays.
    """
    after = copied(model)
    found = list(norms(after))
    done = [
        Change("removed", name, described(norm, channels(name, norm)), reason=without_hooks(norm))
        for name, norm in found
    ]
    left = left_alone(after)
    new: dict[nn.Module, nn.Module] = {
        norm: IdentityCopy(core(norm)).train(norm.training) for _, norm in found
    }
    warn_of("remove_norms", model, done, left, "no norm")
    return with_changes(exchanged(after, new), done, model, left)


def without_hooks(norm: nn.Module) -> str:
    """The reason to name with a norm whose hooks are gone with it; empty for a norm without hooks of the user's."""
    gone = has_hooks(norm) or has_hooks(core(norm))
    return "the old norm's hooks are gone" if gone else ""
