from .adaptive import AdaptiveConv2d as AdaptiveConv2d
from .alternating import AlternatingNorm as AlternatingNorm
from .batch import BatchNorm as BatchNorm
from .dynamic_tanh import DynamicTanhNorm as DynamicTanhNorm
from .factory import make as make
from .filter_response import FilterResponseNorm as FilterResponseNorm
from .gated import AmplifyNorm as AmplifyNorm
from .gated import SuppressNorm as SuppressNorm
from .group import GroupNorm as GroupNorm
from .lp import LpNorm as LpNorm
from .noisy import NoisyNorm as NoisyNorm
from .rms import RMSNorm as RMSNorm

__all__: list[str]
