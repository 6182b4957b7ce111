"""A results folder: everything that runs leave, as one noun that is passed around instead of a path.

:class:`ResultsFolder` knows the parts: the finished cells (:class:`normscope.store.Store`), a folder per experiment
(:class:`ExperimentFolder`), the :class:`Scorecard`, and the page. One file does one job on it:

- :mod:`~normscope.results.stored_run` reads a stored table and verifies it;
- :mod:`~normscope.results.contents` reads what the folder holds of all experiments;
- :mod:`~normscope.results.writing` writes the results of a run;
- :mod:`~normscope.results.page` gathers what the page shows;
- :mod:`~normscope.results.rebuilding` judges and draws what is stored again;
- :mod:`~normscope.results.cleaning` removes what nothing refers to.

Reading a folder never imports a module that one of its files names, and follows no link in it.
"""

from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.results.run_metadata import RunMetadata
from normscope.results.scorecard import Scorecard

__all__ = ["ExperimentFolder", "ResultsFolder", "RunMetadata", "Scorecard"]
