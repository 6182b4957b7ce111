from ._alignment import gradient_alignment as gradient_alignment
from ._alignment import gradient_terms as gradient_terms
from ._autocorrelation import autocorrelation as autocorrelation
from ._bias_gradients import bias_gradients as bias_gradients
from ._channel_gradients import channel_gradients as channel_gradients
from ._class_gradients import class_gradients as class_gradients
from ._gradient_histogram import gradient_histogram as gradient_histogram
from ._gradient_noise import gradient_noise as gradient_noise
from ._gradients import gradients as gradients
from ._histograms import histograms as histograms
from ._landscape import landscape as landscape
from ._moments import moments as moments
from ._output_gradients import output_gradients as output_gradients
from ._spectrum import accumulate as accumulate
from ._spectrum import spectrum as spectrum
from .eigenvalues import Spectrum as Spectrum
from .eigenvalues import spectrum_of as spectrum_of
from .sampling import SpectrumSampler as SpectrumSampler

__all__: list[str]
