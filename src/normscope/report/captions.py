"""Words that the captions of many figures share. Reading them imports nothing heavy."""

MEDIAN_BAND = "median over seeds, with the band from the first to the third quartile"
"""What :func:`normscope.report.plots.median_band` draws."""
