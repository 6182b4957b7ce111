"""A user's files: what their headers announce is bounded before memory is taken; what is wrong is one sentence."""

import dataclasses
import gzip
import io
import os
import struct
import subprocess
import sys
import zlib
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from normscope import data
from normscope.data import catalogue, idx
from normscope.data.image_folders import ImageFolder
from normscope.errors import DataError

MEGABYTE = 10**6
IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"
ATTEMPT = """
import re, sys
from normscope import data
from normscope.errors import DataError

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

import numpy, normscope.data.preparing, normscope.data.idx_folder, normscope.data.image_folders, PIL.Image
before = peak()
try:
    data.load(sys.argv[1])
except DataError as error:
    print(error)
print(peak() - before)
"""


def attempt(name: str) -> tuple[str, int]:
    """The sentence with which a data set is refused in a process of its own, and the memory that took, in bytes."""
    ran = subprocess.run([sys.executable, "-c", ATTEMPT, name], capture_output=True, text=True, timeout=120)
    assert not ran.stderr
    *sentences, grown = ran.stdout.splitlines()
    (sentence,) = sentences
    return sentence, int(grown)


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """100 MB of zeros, announced as images, in 100 kB."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(struct.pack(">4I", 0x803, 25, 2000, 2000))
        for _ in range(100):
            file.write(bytes(MEGABYTE))
    return buffer.getvalue()


def test_a_small_gzip_file_that_stands_for_much_takes_no_memory(folder, cache, bomb):
    folder.fill()
    (folder.mnist / IMAGES).write_bytes(bomb)
    sentence, grown = attempt(f"idx:{folder.mnist}")
    assert f"{IMAGES} announces 100,000,000 bytes of entries" in sentence
    assert sentence.endswith("if they are there, unpack it first.")
    assert grown < 30 * MEGABYTE


def test_what_follows_the_announced_entries_takes_no_memory(folder, cache, bomb):
    folder.fill(compress=True)
    header = struct.pack(">4I", 0x803, 12, 28, 28)
    raw = gzip.decompress(bomb)[16:]
    (folder.mnist / f"{IMAGES}.gz").write_bytes(gzip.compress(header + raw, 1))
    sentence, grown = attempt("mnist")
    assert "has more than the 9408 bytes" in sentence
    assert grown < 30 * MEGABYTE


@pytest.mark.parametrize("compress", [False, True])
def test_a_raw_or_packed_header_that_announces_terabytes_takes_no_memory(folder, cache, compress):
    folder.fill()
    raw = struct.pack(">4I", 0x803, 2**32 - 1, 2**16, 2**16) + bytes(5000)
    (folder.mnist / IMAGES).write_bytes(gzip.compress(raw) if compress else raw)
    with pytest.raises(
        DataError, match="unpack it first" if compress else "is truncated: .* 5000 follow"
    ) as caught:
        data.load(f"idx:{folder.mnist}")
    assert "\n" not in str(caught.value)


def test_blank_images_that_pack_well_are_read_as_long_as_they_are_few(folder, cache):
    folder.fill(compress=True)
    raw = folder.idx("images", np.zeros((12, 1000, 1000), np.uint8))
    folder.write(IMAGES, raw, compress=True)
    folder.write(
        "t10k-images-idx3-ubyte", folder.idx("images", np.zeros((7, 1000, 1000), np.uint8)), compress=True
    )
    assert data.load(f"idx:{folder.mnist}").train_images.shape == (12, 1, 1000, 1000)


@pytest.mark.parametrize(("count", "fits"), [(11, True), (12, True), (13, False)])
@pytest.mark.parametrize("compress", [False, True])
def test_a_catalogues_data_set_has_at_most_as_many_images_as_were_published(
    folder, cache, monkeypatch, count, fits, compress
):
    small = dataclasses.replace(catalogue.CATALOGUE["mnist"], train=12)
    monkeypatch.setattr(catalogue, "CATALOGUE", MappingProxyType({**catalogue.CATALOGUE, "mnist": small}))
    folder.fill(train=count, compress=compress)
    if fits:
        assert len(data.load("mnist").train_images) == count
        return
    with pytest.raises(DataError, match="announces 13 images: 12 were published"):
        data.load("mnist")


@pytest.mark.parametrize("compress", [False, True])
def test_whatever_bit_of_a_file_is_flipped_is_other_pixels_or_one_sentence(folder, compress):
    written = folder.fill(train=2, test=1, compress=compress)
    entry = catalogue.CATALOGUE["mnist"]
    paths = [folder.mnist / f"{file.name}{'.gz' if compress else ''}" for file in entry.files]
    sentences = []
    for path in paths[:2]:
        content = path.read_bytes()
        bits = 8 * len(content)
        for number in [*range(min(bits, 8 * 40)), *range(8 * 40, bits, 37)]:
            changed = bytearray(content)
            changed[number // 8] ^= 1 << number % 8
            _overwrite(path, changed)
            try:
                found = idx.read(entry, paths)
            except DataError as error:
                sentences.append(str(error))
            else:
                differs = any(not np.array_equal(found[name], written[name]) for name in written)
                assert not (differs and compress), "gzip has a checksum of its own"
        path.write_bytes(content)
    assert len(sentences) > 100
    assert all(str(folder.mnist) in one and "\n" not in one for one in sentences)


def _overwrite(path, content) -> None:
    with path.open("r+b") as file:
        file.write(content)


def test_links_to_the_users_own_files_are_followed_and_pipes_are_not_waited_for(folder, cache, tmp_path):
    written = folder.fill()
    for path in list(folder.mnist.iterdir()):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    for name in ("mnist", f"idx:{folder.mnist}"):
        np.testing.assert_array_equal(data.load(name).train_images, written["train_images"])
    (folder.mnist / LABELS).unlink()
    os.mkfifo(folder.mnist / LABELS)
    for name in ("mnist", f"idx:{folder.mnist}"):
        with pytest.raises(DataError, match=f"holds no {LABELS}"):
            data.load(name)


@pytest.fixture
def pictures(tmp_path):
    """A folder with two classes of two pictures for training and one for validation each."""
    for place in ("train/a/0", "train/a/1", "train/b/0", "train/b/1", "val/a/0", "val/b/0"):
        path = tmp_path / "pictures" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pictures"


def png(width: int, height: int) -> bytes:
    """A picture whose header announces a size, and that holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_000, 30_000])
@pytest.mark.filterwarnings("error")
def test_a_picture_that_announces_more_pixels_than_a_picture_has_is_one_sentence(pictures, cache, side):
    (pictures / "train" / "a" / "0.png").write_bytes(png(side, side))
    with pytest.raises(DataError, match=r"a/0.png announces more than 89,478,485 pixels") as caught:
        data.load(f"images:{pictures}")
    assert "\n" not in str(caught.value)


def test_pictures_that_announce_too_much_together_take_no_memory(pictures, cache):
    for path in pictures.rglob("*.png"):
        path.write_bytes(png(9_000, 9_000))
    sentence, grown = attempt(f"images:{pictures}")
    assert "the pictures take 1,458,000,000 bytes of memory" in sentence
    assert grown < 30 * MEGABYTE


def test_a_format_that_runs_another_program_is_not_opened_whatever_the_name(pictures):
    (pictures / "train" / "a" / "0.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 8\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(DataError, match="of no format that is read"):
        ImageFolder.find(pictures).read()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp", "tga"])
@pytest.mark.filterwarnings("ignore")
def test_whatever_bit_of_a_picture_is_flipped_is_pixels_or_one_sentence(pictures, suffix):
    path = pictures / "train" / "a" / f"0.{suffix}"
    with Image.open(pictures / "train" / "a" / "1.png") as picture:
        picture.load()
    (pictures / "train" / "a" / "0.png").unlink()
    picture.save(path)
    content = path.read_bytes()
    found = ImageFolder.find(pictures)
    sentences = []
    for number in range(0, 8 * len(content), max(1, len(content) * 8 // 100)):
        changed = bytearray(content)
        changed[number // 8] ^= 1 << number % 8
        _overwrite(path, changed)
        try:
            assert found.read().train[0].shape == (4, 3, 8, 9)
        except DataError as error:
            sentences.append(str(error))
    assert sentences
    assert all(str(pictures) in one and "\n" not in one for one in sentences)
