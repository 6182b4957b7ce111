from . import contrasts as contrasts
from . import curves as curves
from .cells import combinations as combinations
from .contrasts import Contrast as Contrast
from .findings import Findings as Findings
from .panels import NORM_LOOKS as NORM_LOOKS
from .panels import draw_contrasts as draw_contrasts
from .panels import draw_lines as draw_lines
from .panels import epoch_axis as epoch_axis
from .panels import error_axis as error_axis
from .profiles import Profile as Profile
from .profiles import at_scales as at_scales
from .profiles import listed as listed
from .samples import Samples as Samples
from .samples import seed_count as seed_count
from .tables import CHANCE_ERROR as CHANCE_ERROR
from .tables import at_last_epoch as at_last_epoch
from .tables import chance_error as chance_error
from .tables import errors_by_epoch as errors_by_epoch
from .tables import filled as filled
from .tables import side_by_side as side_by_side

__all__: list[str]
