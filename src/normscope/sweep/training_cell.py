"""The cell of a sweep: one training run, with the probes that the user asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.nn import specs
from normscope.protocol import EVERY_DEVICE, WITH_FLOAT64, Rows, cell
from normscope.sweep.parsing import loss_spec, network_spec
from normscope.sweep.settings import Run
from normscope.targets import own_files

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

EARLY = 5
"""The number of steps after which probes are read early in a run."""

_SECONDS_PER_IMAGE = 1.4e-4
_SECONDS_PER_IMAGE_AND_LAYER = 2.5e-4


def _cost(run: Run) -> float:
    from normscope import data

    spec, facts = network_spec(run.network), data.facts_of(run.data)
    seconds = _SECONDS_PER_IMAGE
    if spec.name == "resnet":
        depth = spec.arguments.get("depth")
        layers = (
            depth if isinstance(depth, int) else 110
        )  # a wrong depth is refused when the network is built
        side = run.padding or max(facts.shape[1:], default=0)
        seconds = layers * _SECONDS_PER_IMAGE_AND_LAYER * (side / 32) ** 2
    passes = (run.images or facts.train) + facts.test / 3  # a forward pass takes a third of a training step
    return 0.3 + 0.4 * bool(run.probes) + passes * run.epochs * seconds


def _files(run: Run) -> tuple[str, ...]:
    """The user's own files that define the network, the norm and the loss."""
    named = [network_spec(run.network), specs.read(run.norm), loss_spec(run.loss)]
    return tuple(sorted({file for spec in named if spec.is_path for file in own_files(spec.name)}))


@cell(
    # The module's path when the first sweeps were stored. The keys of finished runs contain it: do not change it.
    name="normscope.grid.training:train_network",
    version=1,
    cost=_cost,
    data=lambda run: (run.data,),
    files=_files,
    images=lambda run: run.images or run.batch,
    devices=lambda run: WITH_FLOAT64 if run.probes else EVERY_DEVICE,
)
def train_network(run: Run) -> pa.Table:
    """Train a run's network, validate it after every epoch, and read the probes.

    Rows: ``train_loss``, ``diverged``, and ``validation_error`` for classes, ``validation_loss`` for a regression, both
    for classes with another loss than plain cross-entropy, from :func:`normscope.training.record`. The probe
    ``spectrum`` adds ``lambda_min``, ``lambda_max``, ``power`` and ``lr_bound`` by step, layer and index (the group of
    a grouped convolution). The probe ``moments`` adds ``output_mean``, ``output_variance`` and ``output_nonfinite`` by
    step, layer and channel.

    Probes see the first batch of training examples in their order, in training mode, at the start (step 0), after 5
    steps and at the end. They do not change the run. A run that diverges keeps what was read until then. Validation is
    on every validation example. The seed determines the weights, the order of batches, and whatever the network draws:
    runs with the same seed see the same batches at every rate and with every norm. Weights are drawn on the CPU and are
    the same on every device; what a network draws while it runs is drawn there.
    """
    import torch

    from normscope import data, devices, training
    from normscope.data.batches import Split, seeded_epochs
    from normscope.sweep import losses
    from normscope.sweep.building import build, facts_of, import_own, make_optimizer

    dataset, device = data.load(run.data), devices.current()
    train_split = Split.of(dataset, "train", run.padding)
    if run.images is not None:
        train_split = train_split.first(run.images)
    train_split = train_split.to(device)
    test_split = Split.of(dataset, "test", run.padding).to(device)
    fixed_batch, _ = train_split.batch(torch.arange(run.batch))
    last = run.epochs * (len(train_split) // run.batch)
    rows = Rows()
    with training.seeded(run.seed):
        import_own(run)
    with training.seeded(run.seed):
        model = build(run).train().to(device)
        optimizer = make_optimizer(model, run)
        objective = losses.objective(run.loss, facts_of(run))

        def read_probes(step: int, loss: float = 0.0) -> None:
            if step in (0, EARLY, last):
                _read_probes(rows, run, model, fixed_batch, step)

        read_probes(0)
        epochs = seeded_epochs(train_split, run.epochs, run.batch, run.seed)
        training.record(
            rows, model, optimizer, epochs, test_split, objective=objective, after_step=read_probes
        )
    return rows.table()


def _read_probes(rows: Rows, run: Run, model: nn.Module, x: Tensor, step: int) -> None:
    from normscope import probes

    if "spectrum" in run.probes:
        spectra = probes.spectrum(model, x, groups=True)
        for row in spectra[spectra["dim"] > 0].to_dict("records"):
            for measure in ("lambda_min", "lambda_max", "power", "lr_bound"):
                rows.add(measure, row[measure], step=step, layer=row["layer"], index=row["group"])
    if "moments" in run.probes:
        found = probes.moments(model, x)
        for row in found[found["count"] > 0].to_dict("records"):
            for measure in ("mean", "variance", "nonfinite"):
                where = {"step": step, "layer": row["layer"], "channel": row["channel"]}
                rows.add(f"output_{measure}", row[measure], **where)
