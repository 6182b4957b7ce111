"""How far the terms of a layer's weight gradient agree in sign, without writing the terms out.

The gradient of one weight is a sum over examples b and output positions m of ``d_{b,m} = ∂L/∂OUT(b, m) · INPUT(b, m)``
(Bjorck et al. 2018, eq. 4). All terms of a layer are a five-dimensional array, hundreds of times its activations.
Four sums of absolute values are wanted, and each is a matrix product of patches and output gradients:

1. ``Σ|d|`` is the weight gradient of ``|INPUT|`` and ``|∂L/∂OUT|``;
2. ``Σ_b|Σ_m d|`` needs one product per example, which sums over its positions;
3. ``Σ_m|Σ_b d|`` needs one product per position, which sums over the examples;
4. ``|Σ d|`` is the sum of the products of 2 or 3.

Products of many examples or positions are one batched product; as many are made at once as fit in a fraction of the
layer's activations.

To read on, in this order: `instrument` (the public functions), `reading` (one backward pass, and what each layer gets),
`call` (a layer's call as a convolution: patches, gradients, the order of the weights), `sums` (the four sums).
"""

from normscope.probes._alignment.instrument import gradient_alignment, gradient_terms

__all__ = ["gradient_alignment", "gradient_terms"]
