"""Surgery on any model: replace, insert, remove, fold and calibrate its norms. Each operation returns a new model."""

from normscope.nn.channels_last import ChannelsLast, EachPosition
from normscope.surgery._changes import Change, changes
from normscope.surgery.calibration import calibrate
from normscope.surgery.folding import equivalent_network, fold
from normscope.surgery.inserting import insert_norms
from normscope.surgery.removing import IdentityCopy, remove_norms
from normscope.surgery.replacing import replace_norms
from normscope.surgery.weight_standardization import standardize_weights
from normscope.surgery.wrapping import NormedLayer

__all__ = [
    "Change",
    "ChannelsLast",
    "EachPosition",
    "IdentityCopy",
    "NormedLayer",
    "calibrate",
    "changes",
    "equivalent_network",
    "fold",
    "insert_norms",
    "remove_norms",
    "replace_norms",
    "standardize_weights",
]
