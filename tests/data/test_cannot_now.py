"""What the disk or the memory refuses now is one sentence; nothing is called damaged, and the next load goes on."""

import builtins
import errno
import fcntl
import io
import mmap
import os
import random
import warnings

import numpy as np
import pytest
from PIL import Image

from normscope import data
from normscope.data import array_files
from normscope.errors import DataError, InputError

CALLS = {
    "open": ((os, "open"), (io, "open"), (builtins, "open")),
    "stat": ((os, "stat"), (os, "lstat"), (os, "fstat")),
    "list": ((os, "listdir"), (os, "scandir")),
    "make": ((os, "mkdir"),),
    "flush": ((os, "fsync"),),
    "rename": ((os, "rename"), (os, "replace")),
    "unlink": ((os, "unlink"), (os, "remove")),
    "lock": ((fcntl, "flock"),),
    "map": ((mmap, "mmap"),),
}
ERRORS = {
    "open": (errno.EIO, errno.EMFILE, errno.EACCES, errno.ESTALE),
    "stat": (errno.EIO, errno.EACCES, errno.ESTALE),
    "list": (errno.EIO, errno.EMFILE),
    "make": (errno.ENOSPC, errno.EACCES),
    "flush": (errno.EIO, errno.EDQUOT),
    "rename": (errno.ENOSPC, errno.EIO),
    "unlink": (errno.EIO, errno.ESTALE),
    "lock": (errno.EIO, errno.ENOLCK),
    "map": (errno.ENOMEM, errno.EACCES),
}


class Failing:
    """Has the n-th call of one kind that concerns a folder fail, and all later ones if asked; counts the calls."""

    def __init__(self, monkeypatch, folder, kind: str) -> None:
        self.folder, self.nth, self.error, self.count, self.forever = str(folder), None, 0, 0, False
        for module, name in CALLS[kind]:
            monkeypatch.setattr(module, name, self._wrapped(getattr(module, name)))

    def fail(self, nth: int, error: int, forever: bool) -> None:
        self.nth, self.error, self.count, self.forever = nth, error, 0, forever

    def heal(self) -> int:
        self.nth = None
        return self.count

    def _wrapped(self, call):
        if isinstance(call, type):  # mmap.mmap, of which numpy asks nothing else

            def concerned(first):
                return True
        else:
            concerned = self._concerned

        def wrapped(*arguments, **words):
            if self.nth is not None and arguments and concerned(arguments[0]):
                self.count += 1
                if self.count == self.nth or (self.forever and self.count > self.nth):
                    raise OSError(self.error, os.strerror(self.error), str(arguments[0]))
            return call(*arguments, **words)

        return wrapped

    def _concerned(self, first) -> bool:
        if isinstance(first, int):
            nth, self.nth = self.nth, None
            try:
                return os.readlink(f"/proc/self/fd/{first}").startswith(self.folder)
            except OSError:
                return False
            finally:
                self.nth = nth
        return str(first).startswith(self.folder)


@pytest.fixture
def names(folder, cifar, cache, tmp_path, monkeypatch):
    """A name of each kind of data: the catalogue's, of files or an archive, IDX files, pictures, a function."""
    folder.fill()
    (cifar.root / "cifar-10-binary.tar.gz").write_bytes(cifar.archive)
    for place in ("train/a/0", "train/b/0", "val/a/0", "val/b/0"):
        path = tmp_path / "pictures" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(path)
    (tmp_path / "cannotnow.py").write_text(
        "import numpy as np\ndef load(): return [(np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1]))] * 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return {
        "catalogue": "mnist", "archive": "cifar10", "idx": f"idx:{folder.mnist}",
        "images": f"images:{tmp_path / 'pictures'}", "function": "cannotnow:load",
    }  # fmt: skip


LONG = [pytest.mark.long, pytest.mark.faults]


@pytest.mark.parametrize("is_kept", [False, True], ids=["first load", "from the cache"])
@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize(
    "what",
    ["catalogue", *(pytest.param(what, marks=LONG) for what in ("archive", "idx", "images", "function"))],
)
def test_a_call_that_fails_is_one_sentence_and_the_next_load_is_right(
    names, cache, tmp_path, monkeypatch, what, kind, is_kept
):
    name = names[what]
    right = data.load(name)
    digest, images = right.digest, np.array(right.train_images)
    failing, chance = Failing(monkeypatch, tmp_path, kind), random.Random(f"{what}{kind}")
    failed, nth = 0, 0
    while True:
        nth += 1
        if not is_kept:
            for path in cache.rglob("*.*"):
                if path.is_file():
                    path.unlink()
        array_files._verified.clear()
        failing.fail(nth, chance.choice(ERRORS[kind]), forever=chance.random() < 0.5)
        problem = ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = data.load(name)
            except InputError as error:
                problem = str(error)
        was_reached = failing.heal() >= nth
        if problem:
            failed += 1
            assert "\n" not in problem
            assert os.strerror(failing.error) in problem or "cannot" in problem
        else:
            assert found.digest == digest
            assert np.array_equal(found.train_images, images)
        assert not [one for one in caught if "damaged" in str(one.message)]
        after = data.load(name)
        assert after.digest == digest
        assert np.array_equal(after.train_images, images)
        assert not list(cache.rglob("_unreadable"))
        if not was_reached:
            break
    if not is_kept and kind in ("open", "stat", "flush", "rename", "lock", "map"):
        assert failed, "no call of this kind mattered"


def test_a_folder_that_cannot_be_seen_now_does_not_count_as_missing(folder, cache, monkeypatch):
    """Else a subset would have the published digest, by which its cells are swept away as nobody's."""
    folder.fill()
    digest = data.digest("mnist", offline=True)
    failing = Failing(monkeypatch, folder.root, "stat")
    for nth in range(1, 4):
        failing.fail(nth, errno.EIO, forever=True)
        with pytest.raises(DataError, match="cannot read"):
            data.digest("mnist", offline=True)
        found, why = data.available("mnist")
        assert (found, "\n" in why) == (False, False)
    failing.heal()
    assert data.digest("mnist", offline=True) == digest


def test_too_little_memory_is_one_sentence(folder, cache, monkeypatch):
    folder.fill()
    data.load("mnist")

    def starved(*arguments, **words):
        raise MemoryError

    array_files._verified.clear()
    monkeypatch.setattr(array_files, "parse_json", starved)
    with pytest.raises(DataError, match="too little memory now") as caught:
        data.load("mnist")
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert not list(cache.rglob("_unreadable"))
