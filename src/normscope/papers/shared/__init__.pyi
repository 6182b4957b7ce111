from . import curves as curves
from .cells import combinations as combinations
from .estimates import Estimate as Estimate
from .estimates import Pairs as Pairs
from .estimates import fewest_seeds as fewest_seeds
from .estimates import ordered as ordered
from .estimates import overlapping as overlapping
from .findings import Findings as Findings
from .medians import Medians as Medians
from .medians import seed_count as seed_count
from .panels import NORM_LOOKS as NORM_LOOKS
from .panels import draw_estimates as draw_estimates
from .panels import draw_lines as draw_lines
from .panels import epoch_axis as epoch_axis
from .panels import error_axis as error_axis
from .profiles import Profile as Profile
from .profiles import at_scales as at_scales
from .tables import at_last_epoch as at_last_epoch
from .tables import errors_by_epoch as errors_by_epoch
from .tables import filled as filled
from .tables import side_by_side as side_by_side

__all__: list[str]
