from . import data as data
from . import networks as networks
from . import nn as nn
from . import probes as probes
from . import surgery as surgery
from .report.depth.tables import plot as plot
from .reproduction import reproduce as reproduce
from .surgery import calibrate as calibrate
from .surgery import equivalent_network as equivalent_network
from .surgery import fold as fold
from .surgery import insert_norms as insert_norms
from .surgery import remove_norms as remove_norms
from .surgery import replace_norms as replace_norms
from .surgery import standardize_weights as standardize_weights
from .sweeping import run_sweep as run_sweep

__version__: str
__all__: list[str]
