"""A results folder: everything that runs leave, as one noun that is passed around instead of a path.

:class:`ResultsFolder` knows the parts: the finished cells (:class:`normscope.store.Store`), a folder per experiment
(:class:`ExperimentFolder`), the :class:`Scorecard`, and the page. One file does one job on it:

- :mod:`~normscope.results.writing` writes the results of a run;
- :mod:`~normscope.results.page` gathers what the page shows;
- :mod:`~normscope.results.rebuilding` judges and draws what is stored again;
- :mod:`~normscope.results.cleaning` removes what nothing refers to.

Reading a folder never imports a module that one of its files names.
"""

from normscope.results.experiment_folder import ExperimentFolder, RunMetadata
from normscope.results.folder import ResultsFolder
from normscope.results.scorecard import Scorecard

__all__ = ["ExperimentFolder", "ResultsFolder", "RunMetadata", "Scorecard"]
