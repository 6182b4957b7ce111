"""Convolutions whose weights are standardized, filter by filter (Qiao et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normscope.errors import InputError, UnknownNameError
from normscope.nn.arguments import check_number
from normscope.nn.arithmetic import at_least_single
from normscope.nn.module_kinds import Layer, Transposed, is_linear, is_transposed_linear, sizes
from normscope.nn.module_kinds import layers as layers_of
from normscope.surgery._changes import Change, described, warn_of, with_changes
from normscope.surgery.copies import copied

_ALREADY = "its weight is standardized already"


def standardize_weights(
    model: nn.Module, layers: Iterable[str] | None = None, eps: float = 1e-5
) -> nn.Module:
    """A copy of the model whose convolutions have standardized weights: mean 0 and variance 1 in each filter.

    With I weights W[i, j] in the filter of output channel i (input channels of its group times the kernel's size), the
    layer uses

        Ŵ[i, j] = (W[i, j] − μ_i) / √(σ_i² + ε),   μ_i = 1/I Σ_j W[i, j],   σ_i² = 1/I Σ_j (W[i, j] − μ_i)²

    in place of W. W is what is trained, through Ŵ. There is no gain: the method is for layers that a norm follows,
    which takes away the scale. Without a norm, the new model computes another function.

    ``torch.nn.utils.parametrize`` computes Ŵ at every use, so this works for any convolution, transposed or not, and
    for layers whose weight is used without calling them. W is in the state as
    ``<layer>.parametrizations.weight.original``. Before :func:`~normscope.surgery.fold`, make Ŵ the weight for good:
    ``torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")``.

    Args:
        model: any module; it is not changed.
        layers: names of the layers, which may also be linear layers; by default every convolution.
        eps: ε, at least 0.

    Returns:
        the new model; :func:`~normscope.surgery.changes` lists the layers that were standardized, and those that were
        not. A layer that is standardized already stays as it is.

    Raises:
        UnknownNameError: for a layer that does not exist.
        InputError: for a bad ``eps``, a model that cannot be copied, and a named layer that is standardized already,
            has one weight per filter, or computes its weight by a hook.

    Warns:
        NormscopeWarning: if nothing was standardized, or a convolution was left as it is for one of the last two
            reasons.

    Source: Qiao, Wang, Liu, Shen and Yuille 2019, §3.
    """
    check_number("eps", eps, 0.0)
    after = copied(model)
    done, left = [], []
    for name, layer in _chosen(after, layers).items():
        kind = described(layer, sizes(layer)[1])
        if reason := _obstacle(layer):
            if layers is not None:
                raise InputError(f"layer {name!r} ({kind}) cannot be standardized: {reason}.")
            left.append(Change("skipped", name, kind, reason=reason))
            continue
        parametrize.register_parametrization(layer, "weight", StandardizedWeight(eps, *_layout(layer)))
        layer.train(layer.training)  # the new modules, too
        done.append(Change("standardized", name, kind))
    to_name = left if not done else [one for one in left if one.reason != _ALREADY]
    warn_of("standardize_weights", model, done, to_name, "no convolution to standardize")
    return with_changes(after, done, model, left)


class StandardizedWeight(nn.Module):
    """Ŵ of :func:`standardize_weights`, computed from W.

    Args:
        eps: ε.
        groups: number of groups of the convolution, into which dimension 0 is split.
        output_dim: the dimension of the output channels after the split, 1 or 2.
    """

    def __init__(self, eps: float, groups: int, output_dim: int) -> None:
        super().__init__()
        self.eps = float(eps)
        self.groups = groups
        self.output_dim = output_dim

    def forward(self, weight: Tensor) -> Tensor:
        """Standardize every filter of a weight."""
        split = _by_group(at_least_single(weight), self.groups)
        filter_dims = [dim for dim in range(1, split.ndim) if dim != self.output_dim]
        var, mean = torch.var_mean(split, filter_dims, correction=0, keepdim=True)
        standardized: Tensor = (split - mean) * (var + self.eps).rsqrt()
        return standardized.reshape(weight.shape).to(weight.dtype)

    def extra_repr(self) -> str:
        """The arguments that describe the computation."""
        return f"eps={self.eps}, groups={self.groups}"


def _chosen(model: nn.Module, wanted: Iterable[str] | None) -> dict[str, Layer]:
    every = dict(layers_of(model))
    if wanted is None:
        return {name: layer for name, layer in every.items() if not is_linear(layer)}
    if isinstance(wanted, str):
        raise InputError(f"layers must be a list of names such as [{wanted!r}], not a string.")
    names = list(dict.fromkeys(wanted))
    for name in names:
        if name not in every:
            raise UnknownNameError("convolution or linear layer", name, every)
    return {name: every[name] for name in names}


def _layout(layer: Layer) -> tuple[int, int]:
    """The number of groups, and the dimension of the output channels once dimension 0 is split by groups."""
    groups = 1 if is_linear(layer) else int(getattr(layer, "groups", 1))
    return groups, 2 if isinstance(layer, Transposed) or is_transposed_linear(layer) else 1


def _by_group(weight: Tensor, groups: int) -> Tensor:
    """A weight whose dimension 0 is split into groups and the channels of a group."""
    return weight.reshape(groups, -1, *weight.shape[1:])


def _obstacle(layer: Layer) -> str:
    """Why a layer's weight cannot be standardized; empty if it can."""
    if parametrize.is_parametrized(layer, "weight"):
        steps = layer.get_submodule("parametrizations.weight")
        if any(isinstance(step, StandardizedWeight) for step in steps.children()):
            return _ALREADY
    elif "weight" not in layer._parameters:
        return "a hook computes its weight"
    groups, output_dim = _layout(layer)
    split = _by_group(layer.weight.detach(), groups)
    if split.numel() == groups * split.shape[output_dim]:
        return "its filters have one weight each, which would become 0"
    return ""
