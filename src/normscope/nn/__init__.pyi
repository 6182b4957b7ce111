from .adaptive import AdaptiveConv2d as AdaptiveConv2d
from .alternating import AlternatingNorm as AlternatingNorm
from .batch import BatchNorm as BatchNorm
from .factory import make as make
from .gated import AmplifyNorm as AmplifyNorm
from .gated import SuppressNorm as SuppressNorm
from .lp import LpNorm as LpNorm
from .noisy import NoisyNorm as NoisyNorm

__all__: list[str]
