"""The colours, markers and dashes of the networks that most figures compare."""

from normscope.papers.shared import NORM_LOOKS
from normscope.report import plots

LOOKS = {"none": NORM_LOOKS["none"], "batch": NORM_LOOKS["batch"], "top": plots.Look(plots.BLUE, "^", "-.")}
