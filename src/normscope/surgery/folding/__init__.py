"""Norms taken over by the layers before or after them, so that the network without norms computes the same.

`_fold` and `equivalence` are the two operations: at inference, and at one batch in training. Both go the same way:
`affine` measures each norm as a map ``y = a x + b`` per channel; `refusals` names the norms that no layer can take
over; `absorbing` finds in the graph the layer that can, and `merging` changes its weights; `verifying` runs both
networks. `fixed_dims` is what is left in a norm's place where this is exact for one number of dimensions only.
"""

from normscope.surgery.folding._fold import fold
from normscope.surgery.folding.equivalence import equivalent_network

__all__ = ["equivalent_network", "fold"]
