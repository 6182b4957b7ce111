"""Keeps finished cells: one file a cell, gathered into segments when there are many, pruned when nothing needs them.

:class:`Store` is the folder; :mod:`normscope.store.locks` holds every lock that is taken in it.
"""

from normscope.store.provenance import mixture
from normscope.store.store import Store, StoreError

__all__ = ["Store", "StoreError", "mixture"]
