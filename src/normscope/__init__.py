"""The laboratory for normalization in neural networks.

``import normscope as ns`` is cheap: every heavy part (torch, pandas, matplotlib) is loaded when a name that needs it
is first used. ``__init__.pyi`` lists the public names.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
