"""An experiment of one quick cell per seed that reads a data set, as an entry of the catalogue."""

from __future__ import annotations

import dataclasses

from normscope.papers import catalogue
from normscope.papers.shared import Profile, at_scales, combinations
from normscope.papers.sources import CHAI2020
from normscope.protocol import Claims, FixedExperiment, Judgement, Rows, cell, select
from normscope.report import plots

ID = "chai2020.trial"
claim = Claims("nowhere")


@dataclasses.dataclass(frozen=True)
class Brightness:
    """Data whose images are counted."""

    seed: int
    data: str
    images: int


@cell(name="trial.brightness", version=1)
def brightness(config: Brightness):
    """The mean pixel of the first images."""
    from normscope import data

    rows = Rows()
    rows.add("mean", data.load(config.data).train_images[: config.images].mean())
    return rows.table()


@claim("bright", "Images are bright.", "the mean pixel is above 0")
def bright(table):
    """Compares the mean with 0."""
    mean = float(select(table, measure="mean")["value"].mean())
    return Judgement({"mean": mean}, mean > 0, 1)


def _draw(table):
    figure, (axes,) = plots.new_figure(1)
    axes.plot(table["value"])
    return figure


EXPERIMENT = FixedExperiment(
    id=ID, question="Are images bright?", method="They are averaged.", caption="Brightness.",
    profiles=at_scales(
        {"data": "{data}, first {images} images"},
        quick=Profile("mnist5k", 40, 2), laptop=Profile("mnist", 50, 2), paper=Profile("mnist", 60, 2),
    ),
    list_cells=lambda profile: combinations(brightness, profile), rules=claim.rules, draw=_draw,
)  # fmt: skip

ENTRY = catalogue.Entry(ID, "brightness", CHAI2020, "Fig. 0", module="data_trial")
