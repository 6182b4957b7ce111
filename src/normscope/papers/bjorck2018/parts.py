"""The parts of batch normalization that Table 2 tries: specs, the paper's words and epochs, looks."""

from normscope.report import plots

NONE = "none"
MEAN = "batch(rescale=false,gain=false,bias=false)"
VARIANCE = "batch(center=false,gain=false,bias=false)"
BOTH = "batch(gain=false,bias=false)"
ALL = "batch"

PARTS = {
    NONE: "none",
    MEAN: "μ",
    VARIANCE: "σ²",
    BOTH: "μ, σ²",
    "batch(gain=false)": "β, μ, σ²",
    "batch(bias=false)": "γ, μ, σ²",
    ALL: "γ, β, μ, σ²",
}

BOTH_AND_MORE = tuple(PARTS)[3:]
"""Those that normalize both mean and variance."""

EPOCHS = {VARIANCE: 2, MEAN: 2, NONE: 16}
"""Epochs of the paper's runs, in units of those with both mean and variance (165)."""

_LINES = zip(plots.PALETTE, "osv^DPX", ("--", ":", "-.", "-", "--", ":", "-"), strict=False)
LOOKS = {norm: plots.Look(*line) for norm, line in zip(PARTS, _LINES, strict=True)}
