"""The cell of a sweep: one training run, with the instruments that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.nn import specs
from normscope.protocol import Rows, cell
from normscope.sweep.parsing import network_spec
from normscope.sweep.settings import Run
from normscope.targets import own_files

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

    from normscope.sweep.building import Fit

EARLY = 5
"""After how many steps the instruments are read early in the run."""

_VALIDATION_BATCH = 500
_SECONDS_PER_IMAGE = 1.4e-4
_SECONDS_PER_IMAGE_AND_LAYER = 2.5e-4


def _cost(run: Run) -> float:
    from normscope.data.catalogue import entry_of

    spec, entry = network_spec(run.network), entry_of(run.data)
    seconds = _SECONDS_PER_IMAGE
    if spec.name == "resnet":
        depth = spec.arguments.get("depth")
        layers = depth if isinstance(depth, int) else 110  # a wrong one is refused when it is built
        seconds = layers * _SECONDS_PER_IMAGE_AND_LAYER * (run.image_size / 32) ** 2
    passes = (run.images or entry.train) + entry.test / 3  # a forward pass takes a third of a training step
    return 0.3 + 0.4 * bool(run.probes) + passes * run.epochs * seconds


def _files(run: Run) -> tuple[str, ...]:
    """The user's files behind the network and the norm."""
    named = [network_spec(run.network), specs.read(run.norm)]
    return tuple(sorted({file for spec in named if spec.is_path for file in own_files(spec.name)}))


@cell(
    # The room's former name. It is in the key of every finished run, so it stays.
    name="normscope.grid.training:train_network",
    version=1,
    cost=_cost,
    data=lambda run: (run.data,),
    files=_files,
    images=lambda run: run.images or run.batch,
)
def train_network(run: Run) -> pa.Table:
    """Train, validate after every epoch, and read the instruments.

    Rows: ``train_loss`` and ``validation_error`` by epoch; ``diverged`` at the step whose batch loss exceeded 1,000 or
    was not finite, with that loss. The probe ``spectrum`` gives ``lambda_min``, ``lambda_max``, ``power`` and
    ``lr_bound`` by step, layer and index (the group of a grouped convolution); ``moments`` gives ``output_mean``,
    ``output_variance`` and ``output_nonfinite`` by step, layer and channel.

    Instruments look at the first batch of training images in the file's order, in training mode, at the start (step
    0), after 5 steps and at the end; they leave no trace on the run. A run that diverges keeps what was read till then.
    Validation is on every test image, in evaluation mode. Weights, batches and whatever the network draws come from
    the seed: for a seed, every rate and norm starts from the same generators and sees the same batches.
    """
    import torch

    from normscope import data, training
    from normscope.data.batches import Split, seeded_epochs
    from normscope.sweep.building import build, import_own, make_optimizer

    dataset = data.load(run.data)
    train_split = Split.of(dataset, "train", run.image_size)
    if run.images is not None:
        train_split = train_split.first(run.images)
    test_split = Split.of(dataset, "test", run.image_size)
    fixed_batch, _ = train_split.batch(torch.arange(run.batch))
    last = run.epochs * (len(train_split) // run.batch)
    rows = Rows()
    with training.seeded(run.seed):
        import_own(run)
    with training.seeded(run.seed):
        model = build(run, fit(run)).train()
        optimizer = make_optimizer(model, run)

        def read(step: int, loss: float = 0.0) -> None:
            if step in (0, EARLY, last):
                _read_instruments(rows, run, model, fixed_batch, step)

        def validate(epoch: int, loss: float) -> None:
            rows.add("train_loss", loss, epoch=epoch)
            error = training.error_rate(model, test_split.in_order(_VALIDATION_BATCH))
            rows.add("validation_error", error, epoch=epoch)

        read(0)
        epochs = seeded_epochs(train_split, run.epochs, run.batch, run.seed)
        divergence = training.train(model, optimizer, epochs, after_step=read, after_epoch=validate)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


def fit(run: Run) -> Fit:
    """What the network of a run must fit."""
    from normscope.data.catalogue import entry_of
    from normscope.sweep.building import Fit

    entry = entry_of(run.data)
    return Fit(entry.shape[0], run.image_size, entry.classes)


def _read_instruments(rows: Rows, run: Run, model: nn.Module, x: Tensor, step: int) -> None:
    from normscope import probes

    if "spectrum" in run.probes:
        spectra = probes.spectrum(model, x)
        for row in spectra[spectra["dim"] > 0].to_dict("records"):
            for measure in ("lambda_min", "lambda_max", "power", "lr_bound"):
                rows.add(measure, row[measure], step=step, layer=row["layer"], index=row["group"])
    if "moments" in run.probes:
        found = probes.moments(model, x)
        for row in found[found["count"] > 0].to_dict("records"):
            for measure in ("mean", "variance", "nonfinite"):
                place = {"step": step, "layer": row["layer"], "channel": row["channel"]}
                rows.add(f"output_{measure}", row[measure], **place)
