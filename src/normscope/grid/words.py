"""The user's words for a grid, read and checked without importing torch."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, SupportsIndex

from normscope.data.catalogue import Entry, entry_of
from normscope.errors import InputError, UnknownNameError
from normscope.nn import specs
from normscope.nn.specs import Spec

AS_IS = "as-is"
"""In the place of a norm: the network as its factory makes it."""

NETWORKS: Mapping[str, tuple[str, ...]] = {"lenet": ("layers",), "resnet": ("depth", "layers")}
"""The built-in networks, and what a spec may say of each; the rest comes from the grid and the data."""

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov"),
    "adam": ("betas", "eps", "weight_decay", "amsgrad"),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad"),
}
"""The optimisers, and what a spec may say of each; the arguments are torch's."""

PROBES = ("spectrum", "moments")
LR_FOR = ("all", "convolutions")

_LENET_IMAGE = 32
_MOST_RATES = 10_000
_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of a grid; see :class:`Grid` for what the words mean. Norm and place are ``"as-is"`` and
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
class Grid:
    """A grid, its words in canonical form; :meth:`of` reads them. It is the profile of its experiment.

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
    ) -> Grid:
        """Read the words.

        Raises:
            UnknownNameError: for a name there is not.
            InputError: for a word that cannot be read or makes no sense.
        """
        entry = entry_of(_text(data, "data"))
        optimizers = specs.read(_text(optimizer, "optimizer"), "optimizer")
        _check_known(optimizers, OPTIMIZERS, "optimizer")
        if _text(lr_for, "lr_for") not in LR_FOR:
            raise UnknownNameError("lr-for", lr_for, LR_FOR)
        grid = cls(
            networks=_each(map(_network, _listed(network, "network"))),
            norms=() if norm is None else _each(map(_norm, _listed(norm, "norm"))),
            places=_each(_listed(place, "place")),
            rates=read_rates(lr),
            seeds=_whole(seeds, "seeds"),
            data=entry.name,
            epochs=_whole(epochs, "epochs"),
            probes=_each(_known(name, PROBES, "probe") for name in _listed(probe, "probe", least=0)),
            batch=_whole(batch, "batch"),
            images=None if images is None else _whole(images, "images"),
            optimizer=str(optimizers),
            lr_for=lr_for,
            other_lr=_rate(other_lr, "other_lr"),
            image_size=None if image_size is None else _whole(image_size, "image_size"),
            layer=None if layer is None else _text(layer, "layer"),
        )
        grid._check(entry)
        return grid

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Grid:
        """The grid that :meth:`to_json` gave."""
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(**{**fields, **lists})

    def to_json(self) -> dict[str, Any]:
        """The grid as JSON values."""
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


def read_rates(words: str | float | Iterable[float | str]) -> tuple[float, ...]:
    """Learning rates: numbers, and ``low:high:count`` for so many from low to high in equal ratios.

    Each is rounded to 12 digits, and ``low`` and ``high`` stand as they are given, so that 0.01:10:7 ends in 10.

    Raises:
        InputError: for what cannot be read, is not a positive number, or runs backwards.
    """
    items = list(words) if isinstance(words, Iterable) and not isinstance(words, str) else [words]
    rates: list[float] = []
    for item in items:
        for word in _listed(item, "lr") if isinstance(item, str) else [item]:
            rates += _spaced(word) if isinstance(word, str) and ":" in word else [_rate(word, "lr")]
    if not rates:
        raise InputError("lr names no learning rate: give one or more.")
    return _each(rates)


def network_spec(text: str) -> Spec:
    """The spec of a network, read but not looked up."""
    return specs.read(text, "network")


def split_list(text: str) -> list[str]:
    """The parts of a list, split at the commas that stand outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _spaced(word: str) -> list[float]:
    ends = word.split(":")
    if len(ends) != 3 or not ends[2].strip().isascii() or not ends[2].strip().isdigit():
        raise InputError(f"lr {word!r} cannot be read: write low:high:count, such as 0.01:10:7.")
    low, high, count = _rate(ends[0], "lr"), _rate(ends[1], "lr"), int(ends[2])
    if count < 2 or not low < high:
        raise InputError(
            f"lr {word!r} is no range: low:high:count needs low < high and a count of 2 or more."
        )
    if count > _MOST_RATES:
        raise InputError(f"lr {word!r} asks for {count:,} rates: {_MOST_RATES:,} at most.")
    step = math.log(high / low) / (count - 1)
    between = [float(f"{low * math.exp(index * step):.{_DIGITS}g}") for index in range(1, count - 1)]
    return [low, *between, high]


def _rate(word: object, name: str) -> float:
    try:
        rate = math.nan if isinstance(word, bool) else float(word)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"{name} {word!r} cannot be read: write a number, or low:high:count such as 0.01:10:7."
        ) from None
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError(f"{name} {word!r} is no learning rate: it must be a positive, finite number.")
    return rate


def _whole(value: object, name: str) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, SupportsIndex)
        or (number := operator.index(value)) < 1
    ):
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return number


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} must be a text such as the command line takes, not {value!r}.")
    return value.strip()


def _listed(words: object, name: str, least: int = 1) -> list[str]:
    """The texts of a comma-separated list, or of several."""
    items = list(words) if isinstance(words, Iterable) and not isinstance(words, str) else [words]
    parts = [part for item in items for part in split_list(_text(item, name))]
    if len(parts) < least or not all(parts):
        raise InputError(f"{name} {words!r} has an empty entry: name one or more, with commas between.")
    return parts


def _each(items: Iterable[Any]) -> tuple[Any, ...]:
    """Every item once, in order."""
    return tuple(dict.fromkeys(items))


def _known(name: str, known: Iterable[str], kind: str) -> str:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return name


def _check_known(spec: Spec, known: Mapping[str, tuple[str, ...]], kind: str, also: str = "") -> None:
    if spec.name not in known:
        raise UnknownNameError(kind, spec.name, [*known, *filter(None, [also])])
    specs.check_arguments(spec.name, spec.arguments, known[spec.name], kind)


def _network(text: str) -> str:
    spec = network_spec(text)
    if not spec.is_path:
        _check_known(spec, NETWORKS, "network", also="my.module:factory")
    return str(spec)


def _norm(text: str) -> str:
    return AS_IS if text == AS_IS else str(specs.parse(text))
