"""Keeps finished cells: one file per cell, gathered into segments when there are many, pruned when nothing needs them.

:class:`Store` is the folder; every lock that is taken in it is in :mod:`normscope.store.locks`.
"""

from normscope.store.errors import StoreError
from normscope.store.locks import exclusive_use, shared_use
from normscope.store.provenance import mixture
from normscope.store.store import Store

__all__ = ["Store", "StoreError", "exclusive_use", "mixture", "shared_use"]
