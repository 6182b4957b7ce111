from ._autocorrelation import autocorrelation as autocorrelation
from ._class_gradients import class_gradients as class_gradients
from ._gradients import gradients as gradients
from ._histograms import histograms as histograms
from ._moments import moments as moments
from ._output_gradients import output_gradients as output_gradients
from ._spectrum import accumulate as accumulate
from ._spectrum import spectrum as spectrum
from .eigenvalues import Spectrum as Spectrum
from .eigenvalues import spectrum_of as spectrum_of
from .sampling import SpectrumSampler as SpectrumSampler

__all__: list[str]
