"""Writing the results of a run: every experiment's table and figure, then the scorecard and the page."""

from __future__ import annotations

from collections.abc import Sequence

from normscope.papers import catalogue
from normscope.protocol import NotJudgedError, Result
from normscope.results import page
from normscope.results.experiment_folder import ExperimentFolder, RunMetadata
from normscope.results.files import write_text
from normscope.results.folder import ResultsFolder
from normscope.sweep import SweepExperiment


def write_results(folder: ResultsFolder, results: Sequence[Result]) -> None:
    """Write results into a folder; what it holds of other experiments stays.

    Raises:
        InputError: when something cannot be written, or the folder's scorecard is damaged.
    """
    with folder.writing():
        for result in results:
            _write_experiment(folder.experiment(result.id), result)
        rows = [row for result in results for row in result.scorecard()]
        folder.scorecard.update(rows, [entry.id for entry in catalogue.ENTRIES])
        write_text(folder.page, page.render(folder))


def _write_experiment(stored: ExperimentFolder, result: Result) -> None:
    experiment = result.experiment
    metadata = RunMetadata(
        result.scale,
        result.settings,
        result.failures,
        result.notes,
        experiment.sweep.to_json() if isinstance(experiment, SweepExperiment) else None,
        result.data,
        result.data_note,
    )
    stored.write_table(result.table, metadata)
    try:
        stored.write_figure(result.figure())
    except NotJudgedError:
        stored.remove_figure()
