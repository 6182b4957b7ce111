"""The place of a norm that was taken over by a layer, exact for one number of dimensions."""

from __future__ import annotations

from torch import Tensor, fx, nn

from normscope.errors import InputError


class FixedDims(nn.Identity):
    """Returns a copy of its input, which must have the number of dimensions that surgery relied on.

    A linear layer has its features in the last dimension and a batch norm its channels in dimension 1. These are the
    same for inputs (N, features) only. With inputs (N, positions, features), the norm that was here normalized
    positions, so the layer that took it over would be wrong.

    Args:
        norm: name of the norm that was here.
        ndim: number of dimensions.

    Shapes: any of ``ndim`` dimensions in, the same out.
    """

    def __init__(self, norm: str, ndim: int) -> None:
        super().__init__()
        self.ndim = ndim
        again = "fold the original again with x=an input of this shape"
        self.refusal = f"norm {norm!r} was folded for inputs (N, features): {again}."

    def forward(self, input: Tensor) -> Tensor:
        """The copied input.

        Raises:
            InputError: for another number of dimensions.
        """
        return with_dims(input, self.ndim, self.refusal).clone()

    def extra_repr(self) -> str:
        """The number of dimensions."""
        return f"ndim={self.ndim}"


def with_dims(x: Tensor, ndim: int, refusal: str) -> Tensor:
    """The tensor itself, if it has ``ndim`` dimensions."""
    if x.dim() != ndim:
        raise InputError(refusal)
    return x


fx.wrap("with_dims")  # symbolic tracing, which knows no dimensions, keeps the call
