"""A user's own data by name: read once, pinned to their content, found in the cache."""

import os
import random
import shutil
import sys

import numpy as np
import pytest
import torch

from normscope import data
from normscope.data.names import own_name, unpinned
from normscope.disk.sealing import sealed_json, unsealed_json
from normscope.errors import DataError, InputError, NormscopeWarning, UnknownNameError

LOADER = """
import numpy as np

calls = []


def load(shift=0.0, n=6):
    calls.append(shift)
    x = np.arange(n * 4.0).reshape(n, 4) % 7 + shift * np.arange(n)[:, None]
    return (x, np.arange(n) % 2), (x[:3], np.arange(3) % 2)
"""


@pytest.fixture
def module(tmp_path, monkeypatch, cache):
    """A module ``ownload`` in the working directory, in its own empty cache; returns its path."""
    path = tmp_path / "ownload.py"
    path.write_text(LOADER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield path
    for name in [name for name in sys.modules if name.startswith("ownload")]:
        del sys.modules[name]


def calls():
    return sys.modules["ownload"].calls


def test_a_name_says_what_it_is():
    assert own_name("mnist5k") is None
    assert own_name("mnits") is None
    found = own_name("my.module:load( b=2, a=1 )")
    assert (str(found), found.kind, found.pin) == ("my.module:load(a=1, b=2)", "loader", "")
    assert str(own_name("images:./a/../b/")) == "images:b"
    pinned = own_name("idx:/a b/c#0123456789abcdef")
    assert (pinned.source, pinned.folder, pinned.pin) == ("idx:/a b/c", "/a b/c", "0123456789abcdef")
    assert unpinned("my:load#0123456789abcdef") == "my:load"
    assert unpinned("mnist#0123456789abcdef") == "mnist#0123456789abcdef"
    assert unpinned("images:a#b") == "images:a#b"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("images:", "names no folder: write images:FOLDER"),
        ("my module:load", "not an import path"),
        ("my:load(3)", "argument without a name"),
        ("../mine.py:load", "name a file in the working directory or below"),
        ("two words.py:load", "name a file in the working directory or below"),
        pytest.param(os.fsdecode(b"idx:/a\xff"), "bytes that are no text", id="no UTF-8"),
    ],
)
def test_a_name_that_cannot_be_read_is_refused_in_one_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        own_name(name)
    assert "\n" not in str(caught.value)


def test_a_file_is_another_way_to_write_its_module(module, tmp_path):
    (tmp_path / "sub").mkdir()
    shutil.copy(module, tmp_path / "sub" / "ownload.py")
    names = ["ownload.py:load", "./ownload.py:load", str(module) + ":load", "ownload:load"]
    assert {data.pinned(name) for name in names} == {data.pinned("ownload:load")}
    assert data.pinned("sub/ownload.py:load").startswith("sub.ownload:load#")
    sys.modules.pop("sub.ownload")


def test_the_pinned_name_is_loaded_without_the_users_function(module):
    name = data.pinned("ownload:load")
    assert len(calls()) == 1
    module.unlink()
    sys.modules.pop("ownload")
    assert data.pinned(name) == name
    loaded, facts = data.load(name), data.facts_of(name)
    assert loaded.train_images.shape == (6, 4)
    assert data.digest(name) == loaded.digest == facts.digest
    assert loaded.digest.startswith(name.partition("#")[2])
    assert facts.name == loaded.name == name
    assert not loaded.official
    assert data.available(name) == (True, "in the cache")
    assert data.fetch(name).is_dir()


def test_data_of_one_name_and_another_content_have_another_name_and_both_stay(module):
    before = data.pinned("ownload:load")
    module.write_text(LOADER.replace("% 7", "% 5"))
    after = data.pinned("ownload:load")
    assert before != after
    assert not np.array_equal(data.load(before).train_images, data.load(after).train_images)


def test_an_edit_counts_in_a_process_that_has_imported_the_module_and_leaves_its_own_alone(module):
    import ownload

    before = data.pinned("ownload:load")
    module.write_text(LOADER.replace("% 7", "% 5"))
    assert data.pinned("ownload:load") != before
    assert sys.modules["ownload"] is ownload
    assert not ownload.calls


def test_a_helper_next_to_the_loader_is_read_anew_too(module, tmp_path):
    module.write_text(LOADER.replace("% 7", "% FACTOR") + "\nfrom ownload_helper import FACTOR\n")
    (tmp_path / "ownload_helper.py").write_text("FACTOR = 7.0\n")
    before = data.pinned("ownload:load")
    (tmp_path / "ownload_helper.py").write_text("FACTOR = 5.0\n")
    assert data.pinned("ownload:load") != before


def test_arguments_are_part_of_the_name(module):
    assert data.pinned("ownload:load(n=8)").startswith("ownload:load(n=8)#")
    assert data.facts_of("ownload:load(n=8)").train == 8
    with pytest.raises(InputError, match="unexpected keyword argument 'm'"):
        data.load("ownload:load(m=8)")


def test_a_loader_draws_from_a_seed_of_its_own_and_moves_no_generator(module):
    module.write_text(
        "import random\nimport numpy as np\nimport torch\n"
        "def load():\n"
        "    x = torch.rand(5, 2) + np.random.rand() + random.random()\n"
        "    return (x, torch.arange(5) % 2), (x, torch.arange(5) % 2)\n"
    )
    random.seed(4), torch.manual_seed(4), np.random.seed(4)  # noqa: NPY002
    first = data.pinned("ownload:load")
    drawn = random.random(), torch.rand(1).item(), np.random.rand()  # noqa: NPY002
    random.seed(5), torch.manual_seed(5), np.random.seed(5)  # noqa: NPY002
    assert data.pinned("ownload:load") == first
    random.seed(4), torch.manual_seed(4), np.random.seed(4)  # noqa: NPY002
    assert (random.random(), torch.rand(1).item(), np.random.rand()) == drawn  # noqa: NPY002


def test_arrays_that_have_gone_are_read_again_if_the_content_is_the_same(module, cache):
    name = data.pinned("ownload:load")
    shutil.rmtree(cache)
    assert data.available(name) == (True, "returned by a function of yours")
    assert data.load(name).digest.startswith(name.partition("#")[2])
    shutil.rmtree(cache)
    module.write_text(LOADER.replace("% 7", "% 5"))
    with pytest.raises(DataError, match="'ownload:load' have changed: their content is"):
        data.load(name)


def test_a_torn_array_is_read_again(module, cache):
    name = data.pinned("ownload:load")
    (path,) = (cache / "arrays").glob("*train_images.npy")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(NormscopeWarning, match=f"{path} is damaged"):
        assert data.load(name).train_images.shape == (6, 4)
    assert len(calls()) == 1, "the module was imported anew"


def test_the_files_for_another_machine_are_enough_there(module, cache, tmp_path, monkeypatch):
    name = data.pinned("ownload:load")
    here = data.load(name)
    received = tmp_path / "received"
    received.mkdir()
    for file, path in data.portable(name).items():
        assert "/" not in file
        shutil.copy(path, received / file)
    shutil.rmtree(cache)
    module.unlink()
    monkeypatch.setenv(data.GIVEN_VARIABLE, str(received))
    there = data.load(name)
    assert there.digest == here.digest
    np.testing.assert_array_equal(there.train_images, here.train_images)
    assert data.facts_of(name).train == 6


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("def load(): raise RuntimeError('two\\nlines')", "cannot be loaded: RuntimeError: two lines$"),
        ("def load(): raise GeneratorExit", "cannot be loaded: GeneratorExit$"),
        (
            "class Mute(BaseException):\n    def __str__(self): raise RuntimeError\ndef load(): raise Mute\n",
            "cannot be loaded: Mute$",
        ),
        ("raise BaseException('panic')", r"cannot be imported \(BaseException: panic\)"),
        ("def load(): raise SystemExit", "cannot be loaded: SystemExit$"),
        ("def load(): return 1 / 0", "cannot be loaded: ZeroDivisionError: division by zero$"),
        ("def load():\n    yield 5\n", "returned a generator"),
        ("load = [1, 2]", "is a list: name a function that returns it"),
        ("import no_such_module_at_all", r"cannot be imported \(ModuleNotFoundError"),
        ("def lod(): pass", "unknown attribute of ownload .*did you mean lod"),
        ("x = ", "cannot be read as Python"),
        ("import normscope\ndef load(): return normscope.data.load('mnits')", "unknown data set 'mnits'"),
    ],
)
def test_whatever_a_users_module_raises_is_one_sentence(module, body, sentence):
    module.write_text(body)
    with pytest.raises((InputError, UnknownNameError), match=sentence) as caught:
        data.load("ownload:load")
    assert "\n" not in str(caught.value)


def test_a_loader_that_is_interrupted_interrupts(module):
    module.write_text("def load(): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        data.load("ownload:load")


def test_a_loader_may_go_to_another_folder_but_takes_nobody_there(module, tmp_path):
    module.write_text("import os\n" + LOADER.replace("    calls.append(shift)\n", "    os.chdir('/')\n"))
    data.load("ownload:load")
    assert os.getcwd() == str(tmp_path)


def test_a_data_set_that_raises_while_it_is_read_is_refused_too(module):
    module.write_text(
        "class Broken:\n"
        "    def __len__(self): return 3\n"
        "    def __getitem__(self, i): raise OSError('disk on fire')\n"
        "def load(): return Broken(), Broken()\n"
    )
    with pytest.raises(InputError, match="'ownload:load' cannot be loaded: OSError: disk on fire"):
        data.load("ownload:load")


def test_a_loader_of_a_notebook_is_found_in_main(cache, monkeypatch):
    split = np.ones((4, 2)), np.array([0, 1, 0, 1])
    monkeypatch.setattr(sys.modules["__main__"], "load_it", lambda: (split, split), raising=False)
    assert data.facts_of(data.pinned("__main__:load_it")).classes == 2


def test_a_manifest_that_says_something_else_is_refused(module, cache):
    name = data.pinned("ownload:load")
    (path,) = (cache / "arrays").glob("ownload*.json")
    manifest = unsealed_json(path.read_bytes())
    del manifest["facts"]["shape"]
    path.write_bytes(sealed_json(manifest))
    with pytest.raises(DataError, match=r"does not describe ownload:load#.*remove that file"):
        data.facts_of(name)


def test_a_catalogue_name_is_pinned_by_itself():
    assert data.pinned("mnist5k") == "mnist5k"
    facts = data.facts_of("mnist5k")
    assert (facts.shape, facts.classes, facts.train, facts.test) == ((1, 28, 28), 10, 4_000, 1_000)
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        data.pinned("mnits")
