"""Words that the captions of many figures share. Reading them imports nothing heavy."""

from collections.abc import Collection

MEDIAN_BAND = "median over seeds, with the band from the first to the third quartile"
"""What :func:`normscope.report.plots.median_band` draws."""

MARKED_EDGES = "A hollow marker at a panel's edge is a median that is infinite or 0; the line stops there."
"""What :func:`normscope.report.plots.median_band` does with what a logarithmic axis cannot show."""

_BY_DEPTH = {
    "spectrum": "the largest and the smallest eigenvalue of the autocorrelation of every layer's input",
    "moments": "the power of every channel of every layer's output",
}


def by_depth(probes: Collection[str]) -> str:
    """The sentence for the panels that show by depth what probes read; empty without probes."""
    shown = " and ".join(words for probe, words in _BY_DEPTH.items() if probe in probes)
    return f"Below, by depth, in an early run of each line at its best rate: {shown}." if shown else ""
