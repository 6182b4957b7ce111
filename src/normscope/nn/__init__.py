"""Normalization layers, each a drop-in module that trains and infers like ``torch.nn.BatchNorm*d``; and what a norm
is: which modules count as one, and which dimension holds its channels (:mod:`normscope.nn.kinds`).

torch is imported when a layer is first used, so that :mod:`normscope.nn.specs` stays cheap. ``__init__.pyi`` lists the
public names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
