"""Instruments: what a network's layers see and do. Each is a function of a model and a batch, in a file of its own.

An instrument leaves the model, its modes and every random generator as it found them. A file whose function bears its
name begins with an underscore. ``__init__.pyi`` lists the public names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
