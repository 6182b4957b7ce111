"""A user's folders: pictures with a class a sub-folder, and four IDX files."""

import gzip
import os
import struct

import numpy as np
import pytest
from PIL import Image

from normscope import data
from normscope.data.image_folders import ImageFolder
from normscope.errors import DataError

RNG = np.random.default_rng(1)


def picture(path, mode="RGB", size=(6, 5), value=None):
    """Write a picture, of one value or of noise, and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size[::-1] if mode == "L" else (*size[::-1], 3)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    if value is not None:
        pixels[:] = value
    Image.fromarray(pixels).save(path)
    return pixels


def split(root, name, classes=("cat", "dog"), count=3, **words):
    return {
        (label, number): picture(root / name / label / f"{number}.png", **words)
        for label in classes
        for number in range(count)
    }


@pytest.mark.parametrize("validation", ["val", "validation", "valid", "test"])
@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_a_folder_with_a_split_holds_the_pixels_of_its_pictures(tmp_path, validation, mode, channels):
    written = split(tmp_path, "train", mode=mode)
    split(tmp_path, validation, count=1, mode=mode)
    found = ImageFolder.find(tmp_path)
    assert found.classes == ("cat", "dog")
    x, y = found.read().train
    assert x.shape == (6, channels, 5, 6)
    assert x.dtype == np.uint8
    assert y.tolist() == [0, 1] * 3, "classes alternate"
    for index, key in enumerate([("cat", 0), ("dog", 0), ("cat", 1), ("dog", 1), ("cat", 2), ("dog", 2)]):
        expected = written[key][None] if mode == "L" else written[key].transpose(2, 0, 1)
        np.testing.assert_array_equal(x[index], expected)
    assert len(found.read().validation[0]) == 2


def test_without_a_split_every_fifth_picture_of_a_class_is_for_validation(tmp_path):
    for label, count in (("a", 12), ("b", 5)):
        for number in range(count):
            picture(tmp_path / label / f"{number:02}.png", value=number + (100 if label == "b" else 0))
    found = ImageFolder.find(tmp_path).read()
    assert sorted(found.validation[0][:, 0, 0, 0].tolist()) == [4, 9, 104]
    assert found.train[1].tolist() == [0, 1] * 4 + [0] * 6
    assert len(found.train[0]) + len(found.validation[0]) == 17


def test_a_picture_with_colours_makes_all_of_them_colour_and_transparency_is_left_out(tmp_path):
    split(tmp_path, "train", mode="L")
    split(tmp_path, "val", mode="L", count=1)
    Image.new("RGBA", (6, 5), (10, 20, 30, 0)).save(tmp_path / "val" / "cat" / "7.png")
    found = ImageFolder.find(tmp_path).read()
    assert found.train[0].shape[1] == 3
    assert (found.train[0][:, 0] == found.train[0][:, 2]).all()
    assert found.validation[0][2, :, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("suffix", ["bmp", "jpg", "JPEG", "gif", "ppm", "tif", "webp"])
def test_other_formats_are_read_and_other_files_are_not(tmp_path, suffix):
    split(tmp_path, "train")
    split(tmp_path, "test", count=1)
    picture(tmp_path / "train" / "cat" / "deeper" / f"x.{suffix}")
    picture(tmp_path / "train" / "cat" / ".hidden.png")
    (tmp_path / "train" / "cat" / "Thumbs.db").write_bytes(b"no picture")
    (tmp_path / "train" / ".cache").mkdir()
    assert len(ImageFolder.find(tmp_path).read().train[0]) == 7


def _other_size(root):
    picture(root / "train" / "dog" / "9.png", size=(5, 6))
    return "9.png has 5×6 pixels, but the first picture is 6×5"


def _sixteen_bits(root):
    Image.fromarray(np.zeros((5, 6), np.uint16)).save(root / "train" / "dog" / "9.png")
    return "9.png has pixels of the kind I;16"


def _no_picture(root):
    (root / "train" / "dog" / "9.png").write_text("hello")
    return "9.png cannot be read as a picture"


def _torn(root):
    path = root / "train" / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:-40])
    return "2.png is a damaged picture"


def _empty_class(root):
    (root / "train" / "eel").mkdir()
    return "eel holds 0 pictures"


def _unknown_class(root):
    picture(root / "val" / "eel" / "1.png")
    return "holds the class 'eel', which .*train does not have"


def _no_validation_class(root):
    for label in ("cat", "dog"):
        os.unlink(root / "val" / label / "0.png")
        (root / "val" / label).rmdir()
    return "val holds no sub-folder of a class"


@pytest.mark.parametrize(
    "spoil",
    [_other_size, _sixteen_bits, _no_picture, _torn, _empty_class, _unknown_class, _no_validation_class],
)
def test_a_picture_that_does_not_fit_is_named_in_one_sentence(tmp_path, spoil):
    split(tmp_path, "train")
    split(tmp_path, "val", count=1)
    sentence = spoil(tmp_path)
    with pytest.raises(DataError, match=sentence) as caught:
        ImageFolder.find(tmp_path).read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("train", "validation"), [("Train", "Test"), ("training", "testing"), ("TRAIN", "Val")]
)
def test_a_split_may_be_written_in_capitals_and_is_never_taken_for_classes(tmp_path, train, validation):
    split(tmp_path, train, count=5)
    split(tmp_path, validation, count=5)
    found = ImageFolder.find(tmp_path)
    assert found.classes == ("cat", "dog")
    assert [len(one) for one in found.splits.values()] == [10, 10]


def test_a_split_of_another_name_is_refused_where_it_would_pass_for_classes(tmp_path):
    for name in ("seg_train", "seg_pred"):
        split(tmp_path, name, count=5)
    with pytest.raises(
        DataError, match=r"seg_train holds sub-folders only, .*: name it train and the other val, "
    ):
        ImageFolder.find(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    for label in ("train", "bus"):
        for number in range(5):
            picture(tmp_path / label / "steam" / f"{number}.png")
    assert ImageFolder.find(tmp_path).classes == ("bus", "train")


def test_hidden_folders_and_what_is_no_file_are_left_out(tmp_path):
    split(tmp_path, "train")
    split(tmp_path, "val")
    picture(tmp_path / "train" / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png")
    os.mkfifo(tmp_path / "train" / "cat" / "pipe.png")
    (tmp_path / "train" / "cat" / "folder.png").mkdir()
    assert len(ImageFolder.find(tmp_path).splits["train"]) == 6


def test_a_broken_link_and_a_folder_that_cannot_be_read_are_never_skipped(tmp_path, cache, monkeypatch):
    split(tmp_path, "train")
    split(tmp_path, "val")
    (tmp_path / "train" / "cat" / "9.png").symlink_to("/nowhere.png")
    with pytest.raises(DataError, match=r"cannot read .*9\.png"):
        data.load(f"images:{tmp_path}")
    (tmp_path / "train" / "cat" / "9.png").unlink()
    (tmp_path / "train" / "cat" / "more").mkdir()
    look = os.scandir

    def scandir(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"more cannot be read \(Permission denied\)"):
        ImageFolder.find(tmp_path)


def test_a_file_may_have_a_name_that_is_no_text(tmp_path, cache):
    split(tmp_path, "train")
    split(tmp_path, "val")
    os.rename(tmp_path / "train" / "cat", os.fsencode(tmp_path / "train") + b"/\xff")
    os.rename(tmp_path / "val" / "cat", os.fsencode(tmp_path / "val") + b"/\xff")
    assert data.load(f"images:{tmp_path}").digest == data.load(f"images:{tmp_path}").digest


@pytest.mark.parametrize(
    ("classes", "sentence"), [((), "holds 0 sub-folders"), (("a",), "holds 1 sub-folders")]
)
def test_a_folder_of_fewer_than_two_classes_is_refused(tmp_path, classes, sentence):
    for label in classes:
        picture(tmp_path / label / "1.png")
    with pytest.raises(DataError, match=sentence):
        ImageFolder.find(tmp_path)


def test_a_class_too_small_to_be_split_is_named(tmp_path):
    for label, count in (("a", 5), ("b", 4)):
        for number in range(count):
            picture(tmp_path / label / f"{number}.png")
    with pytest.raises(DataError, match="b holds 4 pictures: each class needs 5 or more"):
        ImageFolder.find(tmp_path)


def idx(folder, train=9, test=4, sides=(7, 5), classes=3, compress=False):
    folder.mkdir(exist_ok=True)
    written = {}
    for prefix, count in (("train", train), ("t10k", test)):
        images = RNG.integers(0, 256, (count, *sides), dtype=np.uint8)
        labels = (np.arange(count) % classes).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            raw = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()
            path = folder / f"{prefix}-{name}-ubyte"
            path = path.with_name(path.name + ".gz") if compress else path
            path.write_bytes(gzip.compress(raw) if compress else raw)
        written[prefix] = images
    return written


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(("sides", "classes"), [((7, 5), 3), ((28, 28), 26), ((1, 40), 2)])
def test_idx_files_of_any_size_and_number_of_classes_are_read(tmp_path, cache, compress, sides, classes):
    written = idx(tmp_path / "mine", train=60, test=9, sides=sides, classes=classes, compress=compress)
    name = data.pinned(f"idx:{tmp_path / 'mine'}")
    facts, loaded = data.facts_of(name), data.load(name)
    assert (facts.shape, facts.classes, facts.train, facts.test) == ((1, *sides), classes, 60, 9)
    np.testing.assert_array_equal(loaded.train_images[:, 0], written["train"])
    assert loaded.mean == pytest.approx([written["train"].mean() / 255])


def test_a_folder_of_idx_files_that_lacks_one_is_refused(tmp_path, cache):
    idx(tmp_path)
    os.unlink(tmp_path / "t10k-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"holds no t10k-labels-idx1-ubyte \(nor t10k-labels-idx1-ubyte.gz\)"):
        data.load(f"idx:{tmp_path}")


def test_labels_in_the_place_of_images_and_images_of_no_size_are_refused(tmp_path, cache):
    idx(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\10\1\0\0\0\1\0")
    with pytest.raises(DataError, match="is not an IDX file of images"):
        data.load(f"idx:{tmp_path}")
    idx(tmp_path, sides=(0, 5))
    with pytest.raises(DataError, match="announces no entries"):
        data.load(f"idx:{tmp_path}")


@pytest.mark.parametrize("kind", ["idx", "images"])
def test_a_folder_is_read_again_only_when_a_file_has_changed(tmp_path, cache, monkeypatch, kind):
    folder = tmp_path / "mine"
    if kind == "idx":
        idx(folder)
    else:
        split(folder, "train")
        split(folder, "val", count=1)
    reads = []
    for reader in ("idx_folder.IdxFolder", "image_folders.ImageFolder"):
        module, _, name = reader.partition(".")
        cls = getattr(__import__(f"normscope.data.{module}", fromlist=[name]), name)
        read = cls.read
        monkeypatch.setattr(cls, "read", lambda self, read=read: reads.append(1) or read(self))
    first = data.pinned(f"{kind}:{folder}")
    assert data.pinned(f"{kind}:{folder}/") == first
    assert len(reads) == 1
    if kind == "idx":
        idx(folder)
    else:
        picture(folder / "train" / "cat" / "1.png")
    assert data.pinned(f"{kind}:{folder}") != first
    assert len(reads) == 2
    data.load(first)  # what the name meant is still to be had
    assert len(reads) == 2


def test_a_folder_that_is_not_there_is_refused_and_reported(tmp_path, cache):
    name = f"images:{tmp_path / 'nothing'}"
    assert data.available(name) == (False, f"not here: {tmp_path / 'nothing'} is not a folder")
    with pytest.raises(DataError, match="is not a folder"):
        data.load(name)
