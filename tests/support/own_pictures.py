"""Small data of a user's own, as a loader returns them: ``"own_pictures:pictures(train=63)"`` and the like."""

import numpy as np

CHANNELS, CLASSES, TRAIN = 3, 4, 96


def pictures(train=TRAIN, validation=40, channels=CHANNELS, height=20, width=24, classes=CLASSES, seed=0):
    """Pictures whose class is the brighter quarter, so that a network can learn it."""
    rng = np.random.default_rng(seed)
    return {
        "train": _labelled(rng, train, (channels, height, width), classes),
        "validation": _labelled(rng, validation, (channels, height, width), classes),
    }


def _labelled(rng, count, size, classes):
    labels = np.arange(count) % classes
    images = rng.integers(0, 128, (count, *size))
    for image, label in zip(images, labels, strict=True):
        image[:, :, label * size[2] // classes : (label + 1) * size[2] // classes] += 100
    return images.astype(np.uint8), labels


def numbers():
    """Inputs that are no images."""
    return {split: (np.zeros((70, 5)), np.arange(70) % 2) for split in ("train", "validation")}


def distances():
    """Images with a regression target."""
    images = pictures(70)["train"][0]
    return {split: (images, np.linspace(0, 1, 70)) for split in ("train", "validation")}


def pairs():
    """Images with two labels each."""
    images = pictures(70)["train"][0]
    return {split: (images, np.zeros((70, 2), int)) for split in ("train", "validation")}
