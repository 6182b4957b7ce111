"""A sweep and its training runs: the user's words in canonical form, read and checked without importing torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from normscope.data.catalogue import Entry, entry_of
from normscope.errors import InputError, UnknownNameError
from normscope.nn import specs
from normscope.sweep.parsing import (
    AS_IS,
    LR_FOR,
    NETWORKS,
    OPTIMIZERS,
    PROBES,
    check_known,
    each_once,
    known_name,
    listed,
    network_spec,
    read_network,
    read_norm,
    read_rate,
    read_rates,
    text_of,
    whole,
)

_LENET_IMAGE = 32


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of a sweep; see :class:`Sweep` for what the words mean. Norm and place are ``"as-is"`` and
    ``"after"`` where the network is left as its factory makes it.
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
    """A sweep, its words in canonical form; :meth:`of` reads them. It is the profile of its experiment.

    Attributes:
        networks: specs such as ``lenet``, ``resnet(depth=20)``, ``my.module:factory(width=32)``.
        norms: norm specs, or ``as-is``, which is meant when none is given: the network as its factory makes it, a
            built-in one with ``batch``.
        places: where the norms stand.
        rates: the learning rates.
        seeds: how many; seed s is s, of weights, batches, and whatever the network draws.
        data: the data set.
        epochs: passes over the training images.
        probes: instruments to read at the start, after 5 steps and at the end.
        batch: images a batch.
        images: how many training images are used, from the first; ``None`` for all.
        optimizer: ``sgd(momentum=0.9)`` and the like.
        lr_for: ``all`` parameters, or the ``convolutions``' weights alone, the rest at ``other_lr``.
        other_lr: that rate.
        image_size: images are zero-padded to this height and width; ``None`` for the network's usual one.
        layer: whose spectra the figure shows; ``None`` for the second layer.
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
        """Read the words.

        Raises:
            UnknownNameError: for a name there is not.
            InputError: for a word that cannot be read or makes no sense.
        """
        entry = entry_of(text_of(data, "data"))
        optimizers = specs.read(text_of(optimizer, "optimizer"), "optimizer")
        check_known(optimizers, OPTIMIZERS, "optimizer")
        if text_of(lr_for, "lr_for") not in LR_FOR:
            raise UnknownNameError("lr-for", lr_for, LR_FOR)
        sweep = cls(
            networks=each_once(map(read_network, listed(network, "network"))),
            norms=() if norm is None else each_once(map(read_norm, listed(norm, "norm"))),
            places=each_once(listed(place, "place")),
            rates=read_rates(lr),
            seeds=whole(seeds, "seeds"),
            data=entry.name,
            epochs=whole(epochs, "epochs"),
            probes=each_once(known_name(name, PROBES, "probe") for name in listed(probe, "probe", least=0)),
            batch=whole(batch, "batch"),
            images=None if images is None else whole(images, "images"),
            optimizer=str(optimizers),
            lr_for=lr_for,
            other_lr=read_rate(other_lr, "other_lr"),
            image_size=None if image_size is None else whole(image_size, "image_size"),
            layer=None if layer is None else text_of(layer, "layer"),
        )
        sweep._check(entry)
        return sweep

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Sweep:
        """The sweep that :meth:`to_json` gave."""
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(**{**fields, **lists})

    def to_json(self) -> dict[str, Any]:
        """The sweep as JSON values."""
        return dataclasses.asdict(self)

    def arrangements(self) -> list[tuple[str, str, str]]:
        """Each network with each norm and place, once: without a norm of ours there is no place."""
        found = []
        for network in self.networks:
            usual = "batch" if network_spec(network).name in NETWORKS else AS_IS
            norms = (usual if norm == AS_IS else norm for norm in self.norms or (usual,))
            for norm in norms:
                places = ("after",) if norm in (AS_IS, "none") else self.places
                found += [(network, norm, place) for place in places]
        return list(dict.fromkeys(found))

    def runs(self) -> Iterator[Run]:
        """Every training run."""
        for network, norm, place in self.arrangements():
            for rate in self.rates:
                for seed in range(self.seeds):
                    yield Run(
                        network,
                        norm,
                        place,
                        rate,
                        seed,
                        self.data,
                        self.epochs,
                        self.size_for(network),
                        batch=self.batch,
                        images=self.images,
                        optimizer=self.optimizer,
                        lr_for=self.lr_for,
                        other_lr=self.other_lr,
                        probes=self.probes,
                    )

    def size_for(self, network: str) -> int:
        """Height and width of a network's input images."""
        _, height, width = entry_of(self.data).shape
        return self.image_size or max(
            height, width, _LENET_IMAGE if network_spec(network).name == "lenet" else 0
        )

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        images = "all" if self.images is None else f"the first {self.images:,}"
        share = "every parameter's" if self.lr_for == "all" else "the convolution weights' alone"
        rest = "" if self.lr_for == "all" else f", everything else stays at {self.other_lr:g}"
        words = {
            "networks": ", ".join(self.networks),
            "norms": ", ".join(dict.fromkeys(norm for _, norm, _ in self.arrangements())),
            "places": ", ".join(self.places),
            "data": f"{self.data}, {images} training images, every test image for validation",
            "epochs": str(self.epochs),
            "seeds": str(self.seeds),
            "learning rates": ", ".join(f"{rate:g}" for rate in self.rates),
            "training": f"batch {self.batch}, {self.optimizer} on cross-entropy; the rate is {share}{rest}",
        }
        return {**words, "probes": ", ".join(self.probes)} if self.probes else words

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
