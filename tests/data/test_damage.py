"""A changed byte in the cache is noticed before anything trains, named, and made good from the source."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from normscope import data
from normscope.data import array_files, locations
from normscope.data import cache as cache_module
from normscope.data.array_files import ARRAYS, FoundDamaged, content_digest, open_arrays, write_arrays
from normscope.data.facts import Facts
from normscope.disk.sealing import sealed_json, unsealed_json
from normscope.errors import DataError, InputError, NormscopeWarning

RNG = np.random.default_rng(2)
LOADER = """
import numpy as np


def load():
    x = np.arange(24.0).reshape(6, 4)
    return [(x, np.arange(6) % 2)] * 2
"""


@pytest.fixture
def written(tmp_path):
    """The path of a small data set's manifest, and its arrays."""
    arrays = {name: RNG.integers(0, 9, 6, dtype=np.uint8) for name in ARRAYS}
    for name in ("train_images", "test_images"):
        arrays[name] = RNG.normal(size=(6, 2)).astype(np.float32)
    manifest = tmp_path / "own-1.json"
    facts = {
        "name": "own",
        "classes": 9,
        "mean": [0.1307, -2.5e-07],
        "standardized": True,
        "vocabulary": None,
    }
    write_arrays(manifest, "own", ["3", "é"], arrays, content_digest(arrays), facts)
    return manifest, arrays


EVERY = pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, marks=[pytest.mark.long, pytest.mark.faults], id="every bit"),
        pytest.param(5, id="some"),
    ],
)


def flips(content: bytes, step: int = 1):
    """The content with one bit flipped: every ``step``-th bit in turn."""
    for number in range(0, 8 * len(content), step):
        changed = bytearray(content)
        changed[number // 8] ^= 1 << number % 8
        yield bytes(changed)


def overwrite(path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


@EVERY
def test_no_flipped_bit_of_a_manifest_changes_what_is_opened(written, step):
    manifest, arrays = written
    content, sound = manifest.read_bytes(), open_arrays(manifest, None)
    noticed, survived = 0, 0
    for changed in flips(content, step):
        overwrite(manifest, changed)
        try:
            found = open_arrays(manifest, ["3", "é"])
        except FoundDamaged:
            noticed += 1
        else:  # such as the letter case of an exponent or an escape
            survived += 1
            assert found is not None
            assert (found.digest, found.facts) == (sound.digest, sound.facts)
            assert all(np.array_equal(found.arrays[name], arrays[name]) for name in ARRAYS)
    assert noticed + survived == len(range(0, 8 * len(content), step))
    assert survived < 10


Y = np.arange(6) % 3


@pytest.mark.parametrize(
    ("arrays", "facts"),
    [
        ({"train_labels": Y + 7}, {"classes": 9}),
        ({"test_labels": np.where(Y == 1, -100, Y)}, {}),  # torch would leave these examples out
        ({"train_labels": Y[:5]}, {}),
        ({"train_labels": Y.astype(np.float32)}, {}),
        ({"test_images": np.zeros((6, 3), np.float32)}, {}),
        ({}, {"train": 7}),
        ({}, {"shape": [10**6, 10**6]}),
        ({}, {"target_shape": None}),
        ({}, {"mean": "0.1"}),
        ({}, {"std": [10**400]}),
    ],
    ids=["no class", "ignored", "fewer", "types", "shapes", "number", "shape", "null", "text", "400 digits"],
)
def test_arrays_that_fit_neither_each_other_nor_their_facts_are_damaged_with_right_checksums(
    tmp_path, arrays, facts
):
    images = {name: np.ones((6, 2), np.float32) for name in ("train_images", "test_images")}
    sound = {**images, "train_labels": Y, "test_labels": Y}
    path = tmp_path / "own-1.json"
    for changed, about in (({}, {"classes": 3, "train": 6}), (arrays, facts)):
        written = sound | changed
        write_arrays(path, "own", [], written, content_digest(written), about)
        if not changed and about != facts:
            assert open_arrays(path, None) is not None
    with pytest.raises(FoundDamaged):
        open_arrays(path, None)


@pytest.mark.parametrize(
    "about",
    [{"shape": [1] * 70 + [6]}, {"file": "a\0.npy"}, {"file": "x" * 300 + ".npy"}, {"file": "../own.npy"}],
    ids=["dimensions", "NUL", "long", "elsewhere"],
)
def test_a_manifest_that_describes_no_array_is_damaged_with_a_right_checksum(written, about):
    path, _ = written
    manifest = unsealed_json(path.read_bytes())
    manifest["arrays"]["test_labels"] |= about
    path.write_bytes(sealed_json(manifest))
    with pytest.raises(FoundDamaged, match="does not describe arrays"):
        open_arrays(path, None)


def test_a_manifest_under_the_name_of_other_contents_is_damaged(written):
    path, arrays = written
    digest = content_digest(arrays)
    assert open_arrays(path.rename(path.with_name(f"own-{digest[:16]}.json")), None).digest == digest
    with pytest.raises(FoundDamaged, match="of other contents than its name says"):
        open_arrays(
            path.with_name(f"own-{digest[:16]}.json").rename(path.with_name(f"own-{'0' * 16}.json")), None
        )


@pytest.mark.parametrize(
    "fact", [{"classes": "3"}, {"classes": [3]}, {"shape": None}, {"train": -1}, {"kind": "\x1b[2J"}]
)
def test_facts_of_another_kind_than_they_were_written_are_refused(fact):
    sound = {
        "name": "own", "shape": [2], "kind": "floats", "target_shape": [], "classes": 3, "train": 6, "test": 6,
        "digest": "0",
    }  # fmt: skip
    assert Facts.from_json(sound).classes == 3
    with pytest.raises(TypeError, match="of another kind"):
        Facts.from_json(sound | fact)


@EVERY
@pytest.mark.parametrize("name", ARRAYS)
def test_every_flipped_bit_of_an_array_file_is_noticed(written, name, step):
    manifest, _ = written
    (path,) = manifest.parent.glob(f"*{name}.npy")
    content = path.read_bytes()
    assert content.startswith(b"\x93NUMPY")
    for changed in flips(content, step):
        overwrite(path, changed)
        with pytest.raises(FoundDamaged, match=f"{path} is damaged"):
            open_arrays(manifest, None)


def test_a_flip_that_leaves_size_and_times_is_noticed_by_the_next_process(folder, cache):
    written = folder.fill(train=60)
    data.load("mnist")
    (path,) = (cache / "arrays").glob("*train_images.npy")
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-100] ^= 4
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    code = "from normscope import data; print(int(data.load('mnist').train_images.astype(int).sum()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert int(ran.stdout) == int(written["train_images"].astype(int).sum())
    assert ran.stderr.count("is damaged") == 1


@pytest.mark.parametrize("which", ["*.json", *(f"*{name}.npy" for name in ARRAYS)])
@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 0.99])
def test_what_is_damaged_is_moved_away_named_once_and_made_again(folder, cache, which, position):
    written, digest = folder.fill(), data.digest("mnist")
    (path,) = (cache / "arrays").glob(which)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 16
    path.write_bytes(content)
    place = cache / "arrays" / "_unreadable" / path.name
    with pytest.warns(NormscopeWarning) as caught:
        assert data.digest("mnist") == digest
    (warning,) = caught
    assert f"{path} is damaged" in str(warning.message)
    assert f"it was moved to {place}" in str(warning.message)
    assert place.read_bytes() == content
    loaded = data.load("mnist")
    for name, array in written.items():
        np.testing.assert_array_equal(getattr(loaded, name), array)


def _link(path, elsewhere):
    shutil.copy(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def _pipe(path, elsewhere):
    path.unlink()
    os.mkfifo(path)


def _folder(path, elsewhere):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("replace", [_link, _pipe, _folder])
@pytest.mark.parametrize("which", ["*.json", "*train_images.npy"])
def test_what_is_no_regular_file_is_neither_followed_nor_waited_for(folder, cache, tmp_path, replace, which):
    written = folder.fill()
    data.load("mnist")
    (path,) = (cache / "arrays").glob(which)
    replace(path, tmp_path / "elsewhere")
    with pytest.warns(NormscopeWarning, match=f"{path} is damaged .it is a (link|pipe|folder)"):
        loaded = data.load("mnist")
    np.testing.assert_array_equal(loaded.train_images, written["train_images"])
    assert path.is_file()
    assert not path.is_symlink()


@pytest.mark.parametrize("replace", [_link, _pipe, _folder])
def test_a_lock_that_is_no_file_is_one_sentence_and_never_truncated(folder, cache, tmp_path, replace):
    folder.fill()
    lock = cache / "arrays" / "mnist.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("private")
    replace(lock, tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a regular file is expected") as caught:
        data.load("mnist")
    assert "\n" not in str(caught.value)
    if replace is _link:
        assert (tmp_path / "elsewhere").read_text() == "private"


def test_a_cache_of_an_earlier_version_is_made_again_without_a_warning(folder, cache):
    folder.fill()
    data.load("mnist")
    (path,) = (cache / "arrays").glob("*.json")
    manifest = json.loads(path.read_text())
    del manifest["checksum"], manifest["format"]
    manifest["stamps"][0] = "2"
    path.write_text(json.dumps(manifest))
    assert len(data.load("mnist").train_images) == 12
    assert "checksum" in path.read_text()
    assert not (path.parent / "_unreadable").exists()


@pytest.fixture
def module(tmp_path, monkeypatch, cache):
    path = tmp_path / "dmgload.py"
    path.write_text(LOADER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield path
    sys.modules.pop("dmgload", None)


def test_damaged_data_whose_function_has_gone_are_one_sentence(module, cache):
    name = data.pinned("dmgload:load")
    (path,) = (cache / "arrays").glob("*train_labels.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    module.unlink()
    sys.modules.pop("dmgload")
    with (
        pytest.warns(NormscopeWarning, match=f"{path} is damaged"),
        pytest.raises(InputError, match="'dmgload' cannot be imported") as caught,
    ):
        data.load(name)
    assert "\n" not in str(caught.value)


def test_a_damaged_note_only_costs_another_reading(cache, tmp_path, folder):
    folder.fill()
    name = f"idx:{folder.mnist}"
    digest = data.digest(name)
    (note,) = (cache / "arrays").glob("*.note.json")
    content = note.read_bytes()
    for changed in flips(content, 101):
        note.write_bytes(changed)
        with pytest.warns(NormscopeWarning, match=f"{note} is damaged"):
            assert data.digest(name) == digest
    assert note.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_no_reason_to_use_damaged_arrays(folder, cache, monkeypatch):
    folder.fill()
    data.load("mnist")
    (path,) = (cache / "arrays").glob("*train_labels.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    monkeypatch.setattr(cache_module, "make_folder", lambda folder: os.open("/", os.O_WRONLY))
    monkeypatch.setattr(locations, "_refusal", lambda folder: "Read-only file system")
    with (
        pytest.warns(NormscopeWarning, match="cannot be moved away and is not used"),
        pytest.raises(DataError),
    ):
        data.load("mnist")
    assert path.exists()


@pytest.mark.parametrize("damage", ["flip an array", "flip the manifest", "take an array"])
def test_damaged_arrays_of_another_machine_are_refused_and_this_machines_own_not_taken(
    folder, cache, tmp_path, monkeypatch, damage
):
    folder.fill()
    received = tmp_path / "received"
    received.mkdir()
    for name, path in data.portable("mnist").items():
        shutil.copy(path, received / name)
    path = received / "mnist.json" if "manifest" in damage else next(received.glob("*test_images.npy"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if damage.startswith("take"):
        path.unlink()
    monkeypatch.setenv(data.GIVEN_VARIABLE, str(received))
    for _ in range(2):
        with pytest.raises(DataError, match="so that it is sent again") as caught:
            data.load("mnist")
        assert "\n" not in str(caught.value)


def test_a_manifest_cannot_name_a_file_elsewhere(written, tmp_path):
    manifest, _ = written
    value = unsealed_json(manifest.read_bytes())
    (tmp_path / "sub").mkdir()
    for about in value["arrays"].values():
        about["file"] = f"../{about['file']}"
    inner = tmp_path / "sub" / "own-1.json"
    inner.write_bytes(sealed_json(value))
    with pytest.raises(FoundDamaged, match="does not describe arrays"):
        open_arrays(inner, None)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": "12"}, {"shape": [10**400]}, {"shape": [-6, -2]}, {"shape": [True]}, {"shape": None}, {"bytes": 1.5},
        {"bytes": "9"}, {"dtype": "object"}, {"dtype": None}, {"file": None}, {"file": 3}, {"file": ".."},
        {"more": 1}, {"sha256": None}, {"shape": [10**9, 10**9]},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_with_a_checksum_and_wrong_types_is_named_as_damaged(written, change):
    manifest, _ = written
    value = unsealed_json(manifest.read_bytes())
    value["arrays"]["train_images"].update(change)
    manifest.write_bytes(sealed_json(value))
    with pytest.raises(FoundDamaged):
        open_arrays(manifest, None)


def test_a_process_compares_a_files_bytes_once(written, monkeypatch):
    read = []
    compared = array_files.hashlib.file_digest
    monkeypatch.setattr(array_files.hashlib, "file_digest", lambda *given: read.append(1) or compared(*given))
    for _ in range(3):
        assert open_arrays(written[0], None)
    assert len(read) == len(ARRAYS)
