"""What the papers' cells need to know of a data set: whether their networks can classify it, and how these are made."""

from __future__ import annotations

import dataclasses
import functools

from normscope import data
from normscope.data import Facts
from normscope.errors import InputError

IMAGE = 32
"""Height and width of the networks' inputs; smaller images are zero-padded."""


@functools.lru_cache(maxsize=16)
def facts_of(name: str) -> Facts:
    """The facts of a data set, as published; the name of a user's own data must be pinned: its facts never change."""
    return data.facts_of(name)


def facts_here(name: str) -> Facts:
    """The facts of a data set as it is on this machine, such as a subset; the published ones before a download."""
    facts = facts_of(name)
    if not data.available(name)[0]:
        return facts
    found = data.load(name)
    train, test = len(found.train_labels), len(found.test_labels)
    return dataclasses.replace(facts, train=train, test=test, digest=found.digest)


def channels_and_classes(name: str) -> tuple[int, int]:
    """The number of channels of a data set's images, and of its classes."""
    facts = facts_of(name)
    return facts.shape[0], facts.outputs


def refuse_unfit(facts: Facts) -> None:
    """Refuse data that the networks cannot classify.

    Raises:
        InputError: saying what the networks take.
    """
    found = ""
    if not facts.is_image:
        found = f"inputs of shape {'×'.join(map(str, facts.shape)) or '()'}"
    elif max(facts.shape[1:]) > IMAGE:
        found = f"{'×'.join(map(str, facts.shape[1:]))} pixels"
    elif facts.classes is None:
        found = "a regression target"
    elif facts.target_shape:
        found = "several labels an image"
    elif facts.classes < 2:
        found = "a single class"
    if found:
        raise InputError(
            f"{data.unpinned(facts.name)} has {found}: the papers' networks put images of up to {IMAGE}×{IMAGE} "
            "pixels into two classes or more."
        )
