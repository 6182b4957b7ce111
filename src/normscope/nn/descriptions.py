"""What each built-in norm does, in words: for ``normscope list``, docs/norms.md and the reader of specs. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

Axis = Literal["samples", "channels", "positions"]

_COMMON = ("eps", "momentum", "gain", "bias", "track_running_stats")
_GROUPED = ("eps", "affine", "gain", "bias")
_BATCH: tuple[Axis, ...] = ("samples", "positions")
_SAMPLE: tuple[Axis, ...] = ("channels", "positions")


@dataclasses.dataclass(frozen=True)
class Description:
    """One built-in norm.

    Attributes:
        summary: what it does, on one line.
        formula: its output y for an input x.
        arguments: the names of its arguments.
        training: the axes that its averages run over in training, of an input (samples, channels, positions).
        inference: the same at inference.
        per_token: whether it treats each token by itself where the channels come last.
        source: who published it.
    """

    summary: str
    formula: str
    arguments: tuple[str, ...]
    training: tuple[Axis, ...]
    inference: tuple[Axis, ...]
    per_token: bool
    source: str


#: The built-in norms by the names of their specs.
NORMS: Mapping[str, Description] = {
    "none": Description(
        "no norm: the identity",
        "y = x",
        (),
        (),
        (),
        True,
        "",
    ),
    "batch": Description(
        "batch norm, whose centering, rescaling, gain and bias can be switched off one by one",
        "y = γ (x − μ) / √(σ² + ε) + β",
        ("center", "rescale", *_COMMON),
        _BATCH,
        (),
        False,
        "Ioffe and Szegedy 2015",
    ),
    "amplify": Description(
        "batch norm for the channels of power below a threshold; the others get gain and bias only",
        "y = γ x̂ + β,  x̂ = (x − μ) / √(σ² + ε) if σ² + μ² < threshold, else x",
        ("threshold", *_COMMON),
        _BATCH,
        (),
        False,
        "Chai et al. 2020, §3.3",
    ),
    "suppress": Description(
        "batch norm for the channels of power above a threshold; the others get gain and bias only",
        "y = γ x̂ + β,  x̂ = (x − μ) / √(σ² + ε) if σ² + μ² > threshold, else x",
        ("threshold", *_COMMON),
        _BATCH,
        (),
        False,
        "Chai et al. 2020, §3.3",
    ),
    "lp": Description(
        "batch norm by the p-th root of the p-th moment instead of the standard deviation",
        "y = γ (x − μ) / (E|d|^p + ε)^(1/p) + β,  d = x − μ, or x if not centered",
        ("p", "centered", *_COMMON),
        _BATCH,
        (),
        False,
        "Morwani 2020",
    ),
    "alternating": Description(
        "batch norm by the moments of every period-th training batch, constants until the next",
        "y = γ (x − μ) / √(σ² + ε) + β,  μ and σ² of the latest batch whose number is a multiple of the period",
        ("period", *_COMMON),
        _BATCH,
        (),
        False,
        "Bjorck et al. 2018, Table 3",
    ),
    "noisy": Description(
        "batch norm followed, in training, by noise whose moments change at every step",
        "y = s z + m,  z = γ (x − μ) / √(σ² + ε) + β,  s ~ N(σ_j, 0.1),  m ~ U(μ_j − 0.1, μ_j + 0.1),  "
        "σ_j ~ U(1, 1.25),  μ_j ~ U(−0.5, 0.5) for each channel and position j",
        _COMMON,
        _BATCH,
        (),
        False,
        "Santurkar et al. 2018",
    ),
    "group": Description(
        "group norm: each sample by the moments of groups of channels",
        "y = γ (x − μ) / √(σ² + ε) + β,  μ and σ² over the channels of a group",
        ("groups", *_GROUPED),
        _SAMPLE,
        _SAMPLE,
        True,
        "Wu and He 2018",
    ),
    "layer": Description(
        "layer norm: each sample by the moments of all its channels (a group norm of one group)",
        "y = γ (x − μ) / √(σ² + ε) + β",
        _GROUPED,
        _SAMPLE,
        _SAMPLE,
        True,
        "Ba, Kiros and Hinton 2016",
    ),
    "instance": Description(
        "instance norm: each sample by the moments of each channel (a group norm of one channel per group)",
        "y = γ (x − μ) / √(σ² + ε) + β",
        _GROUPED,
        ("positions",),
        ("positions",),
        False,
        "Ulyanov, Vedaldi and Lempitsky 2016",
    ),
    "rms": Description(
        "RMS norm: each sample divided by the root of its mean square over all its channels",
        "y = γ x / √(E[x²] + ε) + β",
        ("eps", "gain", "bias"),
        _SAMPLE,
        _SAMPLE,
        True,
        "Zhang and Sennrich 2019",
    ),
    "dyt": Description(
        "dynamic tanh: a learned squashing function in place of a norm, value by value",
        "y = γ tanh(α x) + β,  α learned, one for the layer",
        ("alpha", "gain", "bias"),
        (),
        (),
        True,
        "Zhu, Chen, He, LeCun and Liu 2025",
    ),
    "frn": Description(
        "filter response norm: each channel of each sample divided by its root mean square, and its thresholded unit",
        "y = max(z, τ),  z = γ x / √(E[x²] + |ε|) + β,  τ learned; y = z without tlu",
        ("eps", "learn_eps", "tlu", "gain", "bias"),
        ("positions",),
        ("positions",),
        False,
        "Singh and Krishnan 2019",
    ),
}

#: What each argument means; its default is in the signature of the norm.
MEANINGS: Mapping[str, str] = {
    "affine": "learn a gain γ and a bias β, where `gain` and `bias` do not say otherwise",
    "alpha": "initial value of α",
    "bias": "learn β, per channel",
    "center": "subtract the mean",
    "centered": "take the moment about the mean instead of about zero",
    "eps": "ε",
    "gain": "learn γ, per channel",
    "groups": "number of groups, a divisor of the number of channels; `group` is the layer norm with 1 group",
    "learn_eps": "learn ε, starting at `eps`; without it, one value per channel is refused",
    "momentum": "weight of the newest batch in the running statistics; none averages all batches equally",
    "p": "exponent of the moment, in [1, inf]",
    "period": "measure one training batch in so many",
    "rescale": "divide by the standard deviation",
    "threshold": "the power at which a channel's treatment changes, in [0, inf]",
    "tlu": "end in the maximum with a learned threshold τ per channel, which is an activation",
    "track_running_stats": "keep running statistics and use them at inference, instead of the batch's own moments",
}
