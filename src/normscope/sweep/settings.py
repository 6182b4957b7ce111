"""A sweep's settings and its training runs: read and checked without importing torch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from normscope.data.catalogue import Entry, entry_of
from normscope.errors import InputError
from normscope.sweep.parsing import (
    AS_IS,
    LR_FOR,
    NETWORKS,
    PROBES,
    network_spec,
    read_count,
    read_list,
    read_name,
    read_network,
    read_norm,
    read_optimizer,
    read_rate,
    read_rates,
    read_text,
    unique,
)

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
    ``"after"``. The names and defaults of the fields are in the keys of finished runs: do not change them.
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
        data: name of the data set.
        epochs: passes over the training images.
        probes: instruments to read at the start, after 5 steps and at the end.
        batch: images per batch.
        images: number of training images, the first of the data set; ``None`` for all.
        optimizer: a spec such as ``sgd(momentum=0.9)``.
        lr_for: the swept rate is for ``all`` parameters, or for the weights of the ``convolutions`` only.
        other_lr: the rate of all other parameters when ``lr_for`` is ``convolutions``.
        image_size: height and width to which images are zero-padded; ``None`` for the network's usual size.
        layer: the layer whose spectra the figure shows; ``None`` for the second.
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
    ) -> Sweep:
        """The sweep that the arguments of :func:`normscope.run_sweep` describe.

        Raises:
            UnknownNameError: a name does not exist.
            InputError: an argument cannot be read or does not fit the data.
        """
        entry = entry_of(read_text(data, "data"))
        sweep = cls(
            networks=unique(map(read_network, read_list(network, "network"))),
            norms=() if norm is None else unique(map(read_norm, read_list(norm, "norm"))),
            places=unique(read_list(place, "place")),
            rates=read_rates(lr),
            seeds=read_count(seeds, "seeds"),
            data=entry.name,
            epochs=read_count(epochs, "epochs"),
            probes=unique(read_name(name, PROBES, "probe") for name in read_list(probe, "probe", least=0)),
            batch=read_count(batch, "batch"),
            images=None if images is None else read_count(images, "images"),
            optimizer=read_optimizer(read_text(optimizer, "optimizer")),
            lr_for=read_name(read_text(lr_for, "lr_for"), LR_FOR, "lr-for"),
            other_lr=read_rate(other_lr, "other_lr"),
            image_size=None if image_size is None else read_count(image_size, "image_size"),
            layer=None if layer is None else read_text(layer, "layer"),
        )
        sweep._check(entry)
        return sweep

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Sweep:
        """The sweep that :meth:`to_json` wrote."""
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(**{**fields, **lists})

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, as a stored table carries them."""
        return dataclasses.asdict(self)

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
            )

    def size_for(self, network: str) -> int:
        """Height and width of a network's input images: as given, else the data's own, and at least 32 for a LeNet."""
        _, height, width = entry_of(self.data).shape
        least = _LENET_IMAGE if network_spec(network).name == "lenet" else 0
        return self.image_size or max(height, width, least)

    def describe(self) -> dict[str, str]:
        """The settings in words, by name, for the report."""
        images = "all" if self.images is None else f"the first {self.images:,}"
        share = "every parameter's" if self.lr_for == "all" else "the convolution weights' alone"
        rest = "" if self.lr_for == "all" else f", everything else stays at {self.other_lr:g}"
        described = {
            "networks": ", ".join(self.networks),
            "norms": ", ".join(dict.fromkeys(norm for _, norm, _ in self.arrangements())),
            "places": ", ".join(self.places),
            "data": f"{self.data}, {images} training images, every test image for validation",
            "epochs": str(self.epochs),
            "seeds": str(self.seeds),
            "learning rates": ", ".join(f"{rate:g}" for rate in self.rates),
            "training": f"batch {self.batch}, {self.optimizer} on cross-entropy; the rate is {share}{rest}",
        }
        return {**described, "probes": ", ".join(self.probes)} if self.probes else described

    def _check(self, entry: Entry) -> None:
        if (images := entry.train if self.images is None else self.images) < self.batch:
            raise InputError(f"{images:,} training images do not fill one batch of {self.batch:,}.")
        largest = max(entry.shape[1:])
        if self.image_size is not None and self.image_size < largest:
            raise InputError(
                f"the images of {entry.name} are {entry.shape[1]}×{entry.shape[2]}: "
                f"pad them to at least {largest}, not to {self.image_size}."
            )
        if self.layer is not None and "spectrum" not in self.probes:
            raise InputError(
                "a layer chooses whose spectra the figure shows: ask for the probe 'spectrum' too."
            )
