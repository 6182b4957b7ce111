import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from normscope import data
from normscope.data import idx, locations
from normscope.data.array_files import ARRAYS
from normscope.errors import DataError, NormscopeWarning


@pytest.fixture
def reads(monkeypatch):
    """One entry for each time that files were read."""
    calls = []
    read = idx.read
    monkeypatch.setattr(idx, "read", lambda *arguments: calls.append(1) or read(*arguments))
    return calls


def test_the_digest_is_of_the_contents_not_of_their_form_place_or_name(
    folder, other_folder, cache, monkeypatch
):
    folder.fill()
    first = data.digest("mnist")
    other_folder.fill(compress=True, dots=True)
    monkeypatch.setenv("NORMSCOPE_DATA", str(other_folder.root))
    assert data.digest("mnist") == data.load("mnist").digest == first
    other_folder.fill(seed=1, compress=True, dots=True)
    assert data.digest("mnist") != first


def test_the_digest_sees_order_and_labels(folder, cache):
    written = folder.fill()
    digests = {data.digest("mnist")}
    folder.write("train-images-idx3-ubyte", folder.idx("images", written["train_images"][::-1, 0].copy()))
    digests.add(data.digest("mnist"))
    folder.write("t10k-labels-idx1-ubyte", folder.idx("labels", (written["test_labels"] + 1) % 10))
    digests.add(data.digest("mnist"))
    assert len(digests) == 3


def test_the_arrays_are_read_only_maps_of_files(folder, cache):
    folder.fill()
    loaded = data.load("mnist")
    for name in ARRAYS:
        array = getattr(loaded, name)
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_files_are_read_once(folder, cache, reads):
    folder.fill()
    for _ in range(3):
        data.load("mnist")
        data.digest("mnist")
    assert len(reads) == 1


@pytest.mark.parametrize("kept_times", [False, True])
def test_a_changed_source_is_noticed(folder, cache, reads, kept_times):
    folder.fill()
    path = folder.mnist / "train-images-idx3-ubyte"
    before, times = data.load("mnist"), path.stat()
    images = np.zeros((12, 28, 28), np.uint8)
    path.write_bytes(folder.idx("images", images))
    if kept_times:  # as archives do
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = data.load("mnist")
    assert after.train_images.max() == 0
    assert before.train_images.max() > 0, "arrays in use must not change"
    assert len(reads) == 2


def test_two_folders_keep_their_own_arrays_in_the_cache(folder, other_folder, cache, reads, monkeypatch):
    folder.fill()
    other_folder.fill(seed=1)
    for _ in range(2):
        for root in (folder.root, other_folder.root):
            monkeypatch.setenv("NORMSCOPE_DATA", str(root))
            data.load("mnist")
    assert len(reads) == 2


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-2])


def _scramble_header(path):
    path.write_bytes(b"\0" * 64 + path.read_bytes()[64:])


def _empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("tear", [_truncate, _scramble_header, _empty, os.unlink])
@pytest.mark.parametrize("which", ["*.json", "*train_images.npy", "*test_labels.npy"])
def test_a_torn_entry_is_rebuilt(folder, cache, reads, which, tear):
    written = folder.fill()
    data.load("mnist")
    (path,) = (cache / "arrays").glob(which)
    tear(path)
    with nullcontext() if tear is os.unlink else pytest.warns(NormscopeWarning, match=f"{path} is damaged"):
        loaded = data.load("mnist")
    assert len(reads) == 2
    for name, array in written.items():
        np.testing.assert_array_equal(getattr(loaded, name), array)


@pytest.mark.parametrize("manifest", ["[]", "null", '{"format": 3}'])
def test_a_foreign_manifest_is_replaced(folder, cache, reads, manifest):
    folder.fill()
    data.load("mnist")
    (path,) = (cache / "arrays").glob("*.json")
    path.write_text(manifest)
    with pytest.warns(NormscopeWarning, match=f"{path} is damaged"):
        data.load("mnist")
    assert len(reads) == 2
    assert json.loads(path.read_text())["digest"] == data.digest("mnist")


def test_fetch_rebuilds_rotten_contents(folder, cache, reads):
    written = folder.fill()
    data.load("mnist")
    (path,) = (cache / "arrays").glob("*train_images.npy")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.warns(NormscopeWarning, match=f"{path} is damaged"):
        assert data.fetch("mnist") == folder.mnist
    assert len(reads) == 2
    np.testing.assert_array_equal(data.load("mnist").train_images, written["train_images"])


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_refuses_is_one_sentence_and_leaves_nothing_behind(folder, cache, monkeypatch, error):
    folder.fill()

    def full(file, array, **kwargs):
        file.write(b"half")
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    assert os.strerror(error) in str(caught.value)
    assert "NORMSCOPE_CACHE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (cache / "arrays").iterdir()] == ["mnist.lock"]


def test_a_read_only_cache_that_holds_the_arrays_is_used(folder, cache, reads, monkeypatch):
    folder.fill()
    data.load("mnist")
    monkeypatch.setattr(locations, "_refusal", lambda folder: "read-only file system")
    assert len(data.load("mnist").train_images) == 12
    assert len(reads) == 1


def test_a_cache_asked_for_that_cannot_be_written_is_refused(folder, tmp_path, monkeypatch):
    folder.fill()
    (tmp_path / "file").touch()
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        DataError, match=r"file/cache \(Not a directory\) cannot be written: let NORMSCOPE_CACHE"
    ):
        data.load("mnist")


@pytest.fixture
def unwritable_default(tmp_path, monkeypatch):
    """The platform's cache folder cannot be written; the system's folder for temporary files is ``tmp``."""
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("NORMSCOPE_CACHE")
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "file" / project)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_a_default_cache_that_cannot_be_written_gives_way_with_a_warning(folder, unwritable_default, reads):
    folder.fill()
    with pytest.warns(
        NormscopeWarning, match=r"file/normscope \(Not a directory\) cannot be written, so .* is used"
    ):
        data.load("mnist")
    (substitute,) = unwritable_default.iterdir()
    assert substitute.stat().st_mode & 0o777 == 0o700
    data.load("mnist")  # found there, without a warning
    assert len(reads) == 1


@pytest.mark.parametrize("home", [None, "/proc/none", "/proc"])
def test_a_home_that_is_missing_or_cannot_be_written_gives_way_to_the_substitute(folder, tmp_path, home):
    folder.fill()
    (tmp_path / "work").mkdir()
    (tmp_path / "tmp").mkdir()
    code = (
        "import pwd, sys\n"
        "def unknown(user): raise KeyError(user)\n"
        "pwd.getpwuid = unknown\n"
        "from normscope import data\n"
        "print(len(data.load('mnist').train_images))"
    )
    unset = ("HOME", "NORMSCOPE_CACHE", "XDG_CACHE_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    home_there = {"HOME": home} if home else {}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path / "work",
        env={**kept, **home_there, "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    assert ran.stdout == "12\n", ran.stderr
    assert "Traceback" not in ran.stderr
    assert "cannot be written, so" in ran.stderr
    assert not list((tmp_path / "work").iterdir())


def test_a_substitute_that_another_user_may_have_made_is_not_used(folder, unwritable_default, tmp_path):
    folder.fill()
    (tmp_path / "trap").mkdir()
    (unwritable_default / f"normscope-{os.getuid()}").symlink_to(tmp_path / "trap")
    with pytest.raises(DataError, match="cannot be written: let NORMSCOPE_CACHE name one that can"):
        data.load("mnist")
    assert not list((tmp_path / "trap").iterdir())


def test_threads_that_load_at_once_read_once(folder, cache, reads):
    folder.fill()
    digests = []
    threads = [threading.Thread(target=lambda: digests.append(data.load("mnist").digest)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert len(set(digests)) == 1
    assert len(reads) == 1


def test_processes_that_load_at_once_agree(folder, cache):
    folder.fill(train=500)
    code = "from normscope import data; d = data.load('mnist'); print(d.digest, int(d.train_images.sum()))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    printed = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(printed) == 1
    assert not list((cache / "arrays").glob(".*")), "no half-written files"


def test_a_data_set_from_another_machine_takes_precedence_over_this_machines_own(
    folder, cache, tmp_path, monkeypatch
):
    folder.fill()
    there = data.load("mnist")
    received = tmp_path / "received"
    received.mkdir()
    for name, path in data.portable("mnist").items():
        shutil.copy(path, received / name)
    folder.fill(seed=1)
    assert data.digest("mnist") != there.digest
    monkeypatch.setenv(data.GIVEN_VARIABLE, os.pathsep.join([str(tmp_path / "other"), str(received)]))
    here = data.load("mnist")
    assert here.digest == data.digest("mnist") == there.digest
    assert all(np.array_equal(getattr(here, name), getattr(there, name)) for name in ARRAYS)
    assert Path(here.train_images.filename).parent == received
