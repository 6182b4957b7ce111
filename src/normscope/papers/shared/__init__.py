"""What the figures of every paper use; ``__init__.pyi`` lists the names, each loaded on first use.

* ``cells``: the cells of a product of settings. ``training_run``: a training run as a cell's building block. ``steps``:
  which steps of it are recorded.
* ``profiles``: the settings of an experiment at each scale, and in words.
* ``tables``: measures as columns, diverged runs filled in, errors by epoch.
* ``samples``: a number of each variant and seed, with medians and comparisons of variants.
* ``contrasts``: comparisons of numbers over seeds, and the intervals that decide them. ``findings``: a claim's
  comparisons, numbers and remarks, and the verdict.
* ``curves``: statistics of error curves.
* ``panels``: a line a variant against the rate or the epoch; the rest of the look is :mod:`normscope.report.plots`.

A claim itself stays explicit code in the figure's file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
