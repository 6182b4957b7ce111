"""The autocorrelation of a convolution's input patches, R = E[x_m x_mᵀ], without writing the patches out.

The usual way unfolds the input into all patches, k² copies of it in two dimensions, and multiplies this matrix with
its transpose. But two taps i and j of the kernel multiply pixels that lie ``j − i`` apart, wherever the patch lies. So
all pairs of taps of the same *lag* sum the same products, over ranges of pixels that differ only near the borders. For
k = 3 in two dimensions there are 81 pairs of taps, but only 13 lags to multiply: a lag and its negative are transposes.

1. *Segments*: a lag's pixels are cut where the range of one of its pairs begins or ends, into a long core and short
   strips. Each segment is multiplied once, and the block of a pair in R is the sum of its segments. Nothing is
   subtracted, so nothing cancels, and a NaN stays where it belongs.
2. *Stacks*: pixels u, u+1, … along a dimension follow one another in memory, so they are one longer vector. One product
   with it gives all lags of that dimension, and is wide enough to be fast where channels are few.
3. *Plans*: any trailing dimensions can be unfolded first; their taps then count as channels. Unfolding all of them is
   the usual way, and the best one for small images and for kernels of 1. A plan fixes how many dimensions go by lags,
   and everything that follows from it. The plan with the least estimated time is carried out, some examples at a time.

To read on, in this order: `instrument` (the public function, and how a plan is carried out), `geometry` (where patches
lie), `lags` (pairs of taps and segments), `stacks`, `plan`, `cost` (which plan is the cheapest), `image` (the layout in
memory), `sums` (the products), `blocks` (their places in R). docs/autocorrelation.md has pictures and timings.
"""

from normscope.probes._autocorrelation.instrument import autocorrelation, patch_sum

__all__ = ["autocorrelation", "patch_sum"]
