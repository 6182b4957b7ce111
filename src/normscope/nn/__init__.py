"""Normalization layers, each a drop-in module that trains and infers like ``torch.nn.BatchNorm*d``.

:mod:`normscope.nn.module_kinds` holds the rules by which any module counts as a norm or a layer, and by which dimension
its channels are found.

torch is imported when a layer is first used, so that importing :mod:`normscope.nn.specs` stays cheap. ``__init__.pyi``
lists the public names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
