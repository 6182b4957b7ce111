"""The spectrum of every layer's input autocorrelation, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from torch import nn

from normscope.errors import InputError, UnknownNameError
from normscope.forward_pass import arguments
from normscope.nn import module_kinds
from normscope.probes.capture import alone, call, checked_names, is_quantized, named
from normscope.probes.layer_sums import Layers, Sums
from normscope.probes.weights import weight_names


def spectrum(
    model: nn.Module,
    x: Any,
    layers: Iterable[str] | None = None,
    extremes: bool = False,
    groups: bool = False,
) -> pd.DataFrame:
    """Eigenvalues, condition, power and learning-rate bound of each layer's input, from one forward pass.

    A layer with input patches ``x_m`` has the autocorrelation matrix ``R = E[x_m x_mᵀ]``, the mean over batch and
    positions. A transposed convolution has the patches of the convolution that it equals, whose input has zeros between
    the pixels. Everything is computed in float64. The model runs once, in the mode it is in; the model, its buffers and
    all random generators are afterwards as before. Compiled code runs as it is written.

    Layers are the convolutions, transposed convolutions and linear layers among the model's modules, and every
    parameter that the model multiplies with its data itself (``F.linear``, ``F.conv2d``, ``matmul``). Such a layer has
    the name of the parameter without "weight" at its end: the input projection of ``torch.nn.MultiheadAttention`` is
    ``attention.in_proj``. If the operation is one that cannot be read, such as a fused LSTM, a note says so.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of the layers to measure, as in ``model.named_modules()``, without the marks of ``torch.compile``;
            by default all layers.
        extremes: find λ_max, and λ_min where it can be known reliably, by Lanczos' method without forming R. The inputs
            of all layers are held until the pass is over.
        groups: one row per group of a grouped convolution, or per part of a parameter that is used as several layers
            (experts; the projections of cross attention), with its number in the column ``group``.

    Returns:
        One row per layer, in the order in which they first ran, those that did not run last; or in the order of
        ``layers``. The columns:

        - ``layer``, ``kind`` (``"conv2d"``, ``"linear"`` …);
        - ``dim``: K, the number of rows of R;
        - ``positions``: M, the number of patches of one example, summed over the calls of a layer that runs more than
          once;
        - ``lambda_min`` (0 if below rounding), ``lambda_max``, ``condition``, ``power`` (tr R / K);
        - ``lr_bound``: 2/(M λ_max), above which gradient descent on ½·squared error of this layer alone diverges; see
          :class:`normscope.probes.Spectrum` for other losses. It does not say which rate the whole network tolerates;
        - ``samples``: the number of patches whose mean R is. If it is below K, λ_min is 0 whatever the input;
        - ``groups``: the number of groups. The row shows their smallest ``lambda_min``, ``lr_bound`` and ``samples``,
          their largest ``lambda_max`` and ``condition``, and their mean ``power``;
        - ``note``: why a number is missing, zero or infinite.

        When printed, the table shows every column.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a named layer is not a convolution and not linear, or the model fails on this input.

    Source: Chai et al. 2020, section 2 and Figs. 6 and 8.
    """
    return accumulate(model, [(x,)], layers, extremes, groups)


def accumulate(
    model: nn.Module,
    batches: Iterable[Any],
    layers: Iterable[str] | None = None,
    extremes: bool = False,
    groups: bool = False,
) -> pd.DataFrame:
    """The spectrum of each layer's input over many batches: R is the mean over the patches of all batches.

    Args:
        model: as for `spectrum`; every pass starts from the model in its present state.
        batches: the model's inputs, one after another; of a tuple or list, such as a loader's ``(x, y)``, the first
            entry.
        layers: as for `spectrum`.
        extremes: as for `spectrum`; the inputs of all batches are held.
        groups: as for `spectrum`.

    Returns:
        The table of `spectrum`.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a named layer is not a convolution and not linear, or the model fails on an input.
    """
    sums = Sums(chosen_layers(model, layers), extremes)
    for batch in batches:
        x = batch[0] if isinstance(batch, list | tuple) else batch
        with alone(model), sums.watching(*arguments(x)):
            call(model, x)
    return sums.table(groups)


def chosen_layers(model: nn.Module, layers: Iterable[str] | None) -> Layers:
    """The layers that are named, or every layer of the model.

    Raises:
        UnknownNameError: the model has no layer of this name.
        InputError: the named module is not a convolution and not linear.
    """
    modules = named(model)
    every = dict(module_kinds.layers(model))
    if layers is None:
        return Layers(model, every)
    names, functional = checked_names(layers), dict.fromkeys(weight_names(model))
    chosen = {}
    for name in names:
        module = modules.get(name)
        if module is not None and module_kinds.is_layer(module):
            chosen[name] = module
        elif module is None and name not in functional:
            raise UnknownNameError("layer", name, every | functional)
        elif name not in functional:
            kind = type(module).__name__
            if module is not None and is_quantized(module):
                raise InputError(f"layer {name!r} is a quantized {kind}, which is not read.")
            raise InputError(f"layer {name!r} is a {kind}, not a convolution and not linear.")
    return Layers(model, chosen, tuple(names))
