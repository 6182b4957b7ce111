"""What the figures of every paper use; ``__init__.pyi`` lists the names, each loaded on first use.

* ``cells``: the cells of a product of settings. ``training_run``: a training run as a cell's building block. ``steps``:
  which steps of it are recorded.
* ``profiles``: the settings of an experiment at each scale, and in words.
* ``tables``: measures as columns, diverged runs filled in, errors by epoch.
* ``medians``: medians over seeds that know their names and their number of seeds.
* ``estimates``: numbers over seeds with bootstrap intervals. ``curves``: statistics of error curves.
* ``findings``: collects what a claim finds that compares several things.
* ``panels``: a line a variant against the rate or the epoch; the rest of the look is :mod:`normscope.report.plots`.

A claim itself stays explicit code in the figure's file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
