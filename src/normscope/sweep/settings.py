"""A sweep's settings and its training runs: read and checked without importing torch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from normscope import data as datasets
from normscope.data.catalogue import entry_of
from normscope.data.facts import Facts
from normscope.errors import InputError
from normscope.sweep.parsing import (
    AS_IS,
    CLASS_LOSSES,
    LR_FOR,
    NETWORKS,
    PROBES,
    classifies,
    loss_spec,
    network_spec,
    read_count,
    read_data,
    read_list,
    read_loss,
    read_name,
    read_network,
    read_norm,
    read_optimizer,
    read_rate,
    read_rates,
    read_text,
    unique,
)
from normscope.sweep.restoring import restored

_LENET_IMAGE = 32


class Arrangement(NamedTuple):
    """A network with a norm at a place: what a line of the figure shows."""

    network: str
    norm: str
    place: str


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of a sweep: the configuration of its cell.

    :class:`Sweep` explains the fields. A network that stays as its factory makes it has norm ``"as-is"`` and place
    ``"after"``. An ``image_size`` of 0 leaves a user's own inputs as they are. The names and defaults of the fields are
    in the keys of finished runs: do not change them.
    """

    network: str
    norm: str
    place: str
    rate: float
    seed: int
    data: str
    epochs: int
    image_size: int
    batch: int = 64
    images: int | None = None
    optimizer: str = "sgd"
    lr_for: str = "all"
    other_lr: float = 0.1
    probes: tuple[str, ...] = ()
    loss: str = "cross_entropy"

    @property
    def padding(self) -> int | None:
        """Height and width to which images are zero-padded; ``None`` for inputs that stay as they are."""
        return self.image_size or None


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The settings of a sweep in canonical form, and the profile of its experiment; :meth:`of` reads them.

    Attributes:
        networks: specs such as ``lenet``, ``resnet(depth=20)``, ``my.module:factory(width=32)``.
        norms: norm specs, or ``as-is``: the network as its factory makes it, a built-in one with ``batch``. Empty
            means ``as-is``.
        places: where the norms go.
        rates: the learning rates.
        seeds: number of seeds, counted from 0. A seed determines the weights, the order of batches, and whatever the
            network draws.
        data: name of the data set; that of a user's own data is pinned to their content.
        epochs: passes over the training images.
        probes: instruments to read at the start, after 5 steps and at the end.
        batch: images per batch.
        images: number of training images, the first of the data set; ``None`` for all.
        optimizer: a spec such as ``sgd(momentum=0.9)``.
        lr_for: the swept rate is for ``all`` parameters, or for the weights of the ``convolutions`` only.
        other_lr: the rate of all other parameters when ``lr_for`` is ``convolutions``.
        image_size: height and width to which images are zero-padded; ``None`` for the network's usual size.
        layer: the layer whose spectra the figure shows; ``None`` for the second.
        loss: a spec such as ``mse``, ``cross_entropy(label_smoothing=0.1)``, ``my.module:function``.
        own_data: what is known of a user's own data; ``None`` for a data set of the catalogue.
        chance: for a regression, the validation loss of the training targets' mean; ``None`` where there is none.
    """

    networks: tuple[str, ...]
    norms: tuple[str, ...]
    places: tuple[str, ...]
    rates: tuple[float, ...]
    seeds: int
    data: str
    epochs: int
    probes: tuple[str, ...]
    batch: int
    images: int | None
    optimizer: str
    lr_for: str
    other_lr: float
    image_size: int | None
    layer: str | None
    loss: str = "cross_entropy"
    own_data: Facts | None = None
    chance: float | None = None

    @classmethod
    def of(
        cls,
        network: str | Iterable[str],
        norm: str | Iterable[str] | None = None,
        place: str | Iterable[str] = "after",
        lr: str | float | Iterable[float | str] = "0.01:10:7",
        seeds: int = 3,
        data: str = "mnist5k",
        epochs: int = 3,
        probe: str | Iterable[str] = (),
        batch: int = 64,
        images: int | None = None,
        optimizer: str = "sgd",
        lr_for: str = "all",
        other_lr: float = 0.1,
        image_size: int | None = None,
        layer: str | None = None,
        loss: str | None = None,
    ) -> Sweep:
        """The sweep that the arguments of :func:`normscope.run_sweep` describe.

        A user's own data are loaded here, once, and kept in the cache for all workers.

        Raises:
            UnknownNameError: a name does not exist.
            InputError: an argument cannot be read or does not fit the data, or a user's own data cannot be used.
        """
        sweep = cls(
            networks=unique(map(read_network, read_list(network, "network"))),
            norms=() if norm is None else unique(map(read_norm, read_list(norm, "norm"))),
            places=unique(read_list(place, "place")),
            rates=read_rates(lr),
            seeds=read_count(seeds, "seeds"),
            data=read_data(data),
            epochs=read_count(epochs, "epochs"),
            probes=unique(read_name(name, PROBES, "probe") for name in read_list(probe, "probe", least=0)),
            batch=read_count(batch, "batch"),
            images=None if images is None else read_count(images, "images"),
            optimizer=read_optimizer(read_text(optimizer, "optimizer")),
            lr_for=read_name(read_text(lr_for, "lr_for"), LR_FOR, "lr-for"),
            other_lr=read_rate(other_lr, "other_lr"),
            image_size=None if image_size is None else read_count(image_size, "image_size"),
            layer=None if layer is None else read_text(layer, "layer"),
            loss="" if loss is None else read_loss(read_text(loss, "loss")),
        )
        return sweep._with_data()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Sweep:
        """The sweep that :meth:`to_json` wrote; raises as :func:`~normscope.sweep.restoring.restored`."""
        return cls(**restored(fields, cls))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, as a stored table carries them."""
        return dataclasses.asdict(self)

    @property
    def facts(self) -> Facts:
        """Shapes and numbers of examples of the data; the published ones for a data set of the catalogue."""
        return self.own_data or Facts.of(entry_of(self.data))

    @property
    def classifies(self) -> bool:
        """Whether the networks put examples into classes; if not, they are validated by the loss."""
        return classifies(self.loss, self.facts)

    @property
    def measure(self) -> str:
        """What the figure shows: ``"validation_error"`` or ``"validation_loss"``."""
        return "validation_error" if self.classifies else "validation_loss"

    def arrangements(self) -> list[Arrangement]:
        """Each network with each norm at each place, once; ``none`` and ``as-is`` have nothing to place."""
        found = []
        for network in self.networks:
            usual = "batch" if network_spec(network).name in NETWORKS else AS_IS
            for norm in (usual if norm == AS_IS else norm for norm in self.norms or (usual,)):
                places = ("after",) if norm in (AS_IS, "none") else self.places
                found += [Arrangement(network, norm, place) for place in places]
        return list(dict.fromkeys(found))

    def runs(self) -> Iterator[Run]:
        """Every training run: each arrangement at each rate with each seed."""
        for arrangement, rate, seed in itertools.product(self.arrangements(), self.rates, range(self.seeds)):
            yield Run(
                **arrangement._asdict(),
                rate=rate,
                seed=seed,
                data=self.data,
                epochs=self.epochs,
                image_size=self.size_for(arrangement.network),
                batch=self.batch,
                images=self.images,
                optimizer=self.optimizer,
                lr_for=self.lr_for,
                other_lr=self.other_lr,
                probes=self.probes,
                loss=self.loss,
            )

    def size_for(self, network: str) -> int:
        """Height and width of a network's input images: as given, else the data's own, and at least 32 for a LeNet.

        It is 0 for a user's own data that stay as they are: images that no network needs as larger squares, and inputs
        that are no images.
        """
        facts, is_lenet = self.facts, network_spec(network).name == "lenet"
        if not facts.is_image or (self.own_data and not is_lenet and self.image_size is None):
            return 0
        return self.image_size or max(*facts.shape[1:], _LENET_IMAGE if is_lenet else 0)

    def describe(self) -> dict[str, str]:
        """The settings in words, by name, for the report."""
        images = "all" if self.images is None else f"the first {self.images:,}"
        used = f"{self.data}, {images} training images, every test image for validation"
        if self.own_data:
            used = f"{datasets.unpinned(self.data)}: {self.own_data.describe()}; {images} for training"
        loss = "cross-entropy" if self.loss == "cross_entropy" else self.loss
        share = "every parameter's" if self.lr_for == "all" else "the convolution weights' alone"
        rest = "" if self.lr_for == "all" else f", everything else stays at {self.other_lr:g}"
        described = {
            "networks": ", ".join(self.networks),
            "norms": ", ".join(dict.fromkeys(norm for _, norm, _ in self.arrangements())),
            "places": ", ".join(self.places),
            "data": used,
            "epochs": str(self.epochs),
            "seeds": str(self.seeds),
            "learning rates": ", ".join(f"{rate:g}" for rate in self.rates),
            "training": f"batch {self.batch}, {self.optimizer} on {loss}; the rate is {share}{rest}",
        }
        return {**described, "probes": ", ".join(self.probes)} if self.probes else described

    def _with_data(self) -> Sweep:
        """The sweep on the present contents of its data; without a loss, with the usual one for their labels."""
        name = datasets.pinned(self.data)
        facts = datasets.facts_of(name)
        usual = "cross_entropy" if facts.classes is not None else "mse"
        own_data = facts if name not in datasets.CATALOGUE else None
        sweep = dataclasses.replace(self, data=name, own_data=own_data, loss=self.loss or usual)
        sweep._check(facts)
        if sweep.classifies:
            return sweep
        from normscope.sweep.losses import chance

        return dataclasses.replace(sweep, chance=chance(sweep.loss, name, sweep.images))

    def _check(self, facts: Facts) -> None:
        name, size = datasets.unpinned(self.data), "×".join(map(str, facts.shape)) or "()"
        if (images := facts.train if self.images is None else self.images) < self.batch:
            raise InputError(f"{images:,} training images do not fill one batch of {self.batch:,}.")
        if self.own_data and images > facts.train:
            raise InputError(f"{images:,} training images of {name} are wanted, but it has {facts.train:,}.")
        if self.image_size is not None and not facts.is_image:
            raise InputError(f"the inputs of {name} are {size}, no images: leave out the image size.")
        if self.image_size is not None and self.image_size < (largest := max(facts.shape[1:])):
            raise InputError(
                f"the images of {name} are {facts.shape[1]}×{facts.shape[2]}: "
                f"pad them to at least {largest}, not to {self.image_size}."
            )
        if self.classifies and facts.outputs < 2:
            raise InputError(f"the labels of {name} name a single class: two or more are needed.")
        is_soft = loss_spec(self.loss).name == "cross_entropy" and facts.target_shape
        if loss_spec(self.loss).name in CLASS_LOSSES and not self.classifies and not is_soft:
            raise InputError(
                f"{name} has a regression target, and {self.loss} takes the numbers of classes: choose another loss, "
                "such as mse, or return labels that are whole numbers."
            )
        if self.layer is not None and "spectrum" not in self.probes:
            raise InputError(
                "a layer chooses whose spectra the figure shows: ask for the probe 'spectrum' too."
            )
