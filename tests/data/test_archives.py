"""A data set that is published as one archive: downloaded, or given in NORMSCOPE_DATA; damaged; hostile."""

import io
import os
import tarfile
import warnings

import numpy as np
import pytest
import requests
from answers import Response
from small_cifar import packed

from normscope import data
from normscope.errors import DataError, NormscopeWarning

ARCHIVE = "cifar-10-binary.tar.gz"
ADDRESS = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
INNER = "cifar-10-batches-bin"
TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]


@pytest.fixture
def mirror(cifar, monkeypatch):
    """The answers to the requests to come, the published archive by default, and the addresses asked for so far."""
    answers, asked = [], []

    def get(url, **kwargs):
        asked.append(url)
        answer = answers.pop(0) if answers else Response(cifar.archive)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(requests, "get", get)
    get.answers, get.asked = answers, asked
    return get


@pytest.fixture
def downloads(cache):
    return cache / "downloads" / INNER


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_archive_is_downloaded_once_unpacked_and_removed(cifar, mirror, downloads):
    megabytes = f"{len(cifar.archive) / 1e6:.0f} MB"
    assert data.available("cifar10") == (
        False,
        f"not here: `normscope data fetch cifar10` downloads its {megabytes}",
    )
    assert data.fetch("cifar10") == downloads
    assert mirror.asked == [ADDRESS]
    assert names(downloads) == sorted(cifar.bodies)
    for name, body in cifar.bodies.items():
        assert (downloads / name).read_bytes() == body
    assert data.available("cifar10") == (True, f"unpacked to {downloads}")
    loaded = data.load("cifar10")
    assert loaded.official is True
    np.testing.assert_array_equal(loaded.train_images, cifar.images(*TRAIN))
    assert len(mirror.asked) == 1


def test_the_published_archive_has_170_megabytes():
    entry = data.CATALOGUE["cifar10"]
    assert f"{sum(one.size for one in entry.downloads) / 1e6:.0f}" == "170"
    assert f"{entry.urls[0]}{entry.downloads[0].name}" == ADDRESS


def test_the_callback_follows_the_archive_until_it_is_complete(cifar, mirror):
    reports = []
    data.fetch("cifar10", lambda name, done, total: reports.append((name, done, total)))
    assert {name for name, _, _ in reports} == {ARCHIVE}
    assert reports == sorted(reports)
    assert reports[-1][1:] == (len(cifar.archive),) * 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (requests.ConnectionError("down"), "ConnectionError"),
        (Response(b"<html>not here</html>", 404), "HTTPError"),
        (Response(b"<html>pay first</html>"), "a file with another checksum than the official one"),
    ],
)
@pytest.mark.parametrize("root", [True, False])
def test_without_the_archive_one_sentence_says_what_to_get_where_and_where_to_put_it(
    cifar, mirror, downloads, monkeypatch, answer, why, root
):
    if not root:
        monkeypatch.delenv("NORMSCOPE_DATA")
    mirror.answers.append(answer)
    place = cifar.root if root else "the folder that NORMSCOPE_DATA names"
    with pytest.raises(DataError) as caught:
        data.load("cifar10")
    assert str(caught.value) == (
        f"cannot download {ARCHIVE} ({why}): get {ARCHIVE} from https://www.cs.toronto.edu/~kriz/ and put it into "
        f"{place}."
    )
    assert names(downloads) == []


def test_the_archive_put_where_the_sentence_says_is_used_without_a_download(cifar, offline, downloads):
    path = cifar.root / ARCHIVE
    path.write_bytes(cifar.archive)
    assert data.available("cifar10") == (True, f"in {path}")
    loaded = data.load("cifar10")
    assert loaded.official is True
    np.testing.assert_array_equal(loaded.train_images, cifar.images(*TRAIN))
    assert data.digest("cifar10", offline=True) == loaded.digest
    assert not offline
    assert path.read_bytes() == cifar.archive
    assert names(downloads) == sorted(cifar.bodies)


def test_a_folder_of_the_users_comes_before_the_archive(cifar, offline):
    (cifar.root / ARCHIVE).write_bytes(cifar.archive)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        cifar.write(name)
    assert len(data.load("cifar10").train_labels) == 6


def test_a_folder_comes_before_downloads(cifar, mirror):
    assert len(data.load("cifar10").train_labels) == 30
    for name in ("data_batch_1.bin", "test_batch.bin"):
        cifar.write(name)
    assert len(data.load("cifar10").train_labels) == 6


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_a_given_archive_that_is_damaged_is_named_kept_and_never_unpacked(
    cifar, offline, downloads, damage, place
):
    content, position = bytearray(cifar.archive), int(place * len(cifar.archive))
    if damage == "flip":
        content[position] ^= 1
    else:
        del content[position:]
    path = cifar.root / ARCHIVE
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path} is not the published {ARCHIVE}: its SHA-256") as caught:
        data.load("cifar10")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    assert names(downloads) == []
    assert not offline


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 1
    path.write_bytes(raw)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-3073])


def _empty(path):  # as a power cut leaves what was not flushed
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_flip, _truncate, _empty])
def test_an_unpacked_file_that_has_changed_since_is_moved_away_named_and_unpacked_from_a_new_download(
    cifar, mirror, downloads, damage
):
    data.fetch("cifar10")
    path = downloads / "data_batch_2.bin"
    damage(path)
    damaged = path.read_bytes()
    place = downloads / "_unreadable" / path.name
    with pytest.warns(
        NormscopeWarning, match=f"{path} has another checksum .* moved to {place}, and is downloaded"
    ):
        loaded = data.load("cifar10")
    assert place.read_bytes() == damaged
    assert path.read_bytes() == cifar.bodies[path.name]
    np.testing.assert_array_equal(loaded.train_images, cifar.images(*TRAIN))
    assert len(mirror.asked) == 2


def test_only_what_is_missing_is_unpacked_again(cifar, mirror, downloads):
    data.fetch("cifar10")
    kept, missing = downloads / "data_batch_1.bin", downloads / "data_batch_5.bin"
    before = kept.stat().st_ino
    missing.unlink()
    assert len(data.load("cifar10").train_labels) == 30
    assert kept.stat().st_ino == before
    assert len(mirror.asked) == 2


def test_half_an_unpacked_archive_is_no_subset(cifar, mirror, downloads):
    downloads.mkdir(parents=True)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (downloads / name).write_bytes(cifar.bodies[name])
    assert not data.available("cifar10")[0]
    assert len(data.load("cifar10").train_labels) == 30


def test_half_a_download_of_a_killed_process_is_replaced(cifar, mirror, downloads):
    downloads.mkdir(parents=True)
    (downloads / ARCHIVE).write_bytes(cifar.archive[:1000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.load("cifar10").official
    assert names(downloads) == sorted(cifar.bodies)


def test_an_archive_that_was_downloaded_but_not_unpacked_is_not_downloaded_again(cifar, offline, downloads):
    downloads.mkdir(parents=True)
    (downloads / ARCHIVE).write_bytes(cifar.archive)
    assert data.load("cifar10").official
    assert not offline


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", [ARCHIVE, "data_batch_1.bin"])
def test_what_is_no_file_in_a_downloads_place_is_moved_away_and_not_waited_for(
    cifar, mirror, downloads, make, name
):
    downloads.mkdir(parents=True)
    make(downloads / name)
    with pytest.warns(NormscopeWarning, match=f"{downloads / name} is no file: it was moved to"):
        assert data.load("cifar10").official


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_the_place_of_a_given_archive_is_not_waited_for(cifar, mirror, make):
    make(cifar.root / ARCHIVE)
    assert data.load("cifar10").official
    assert len(mirror.asked) == 1


def header(name, kind, link="", size=0):
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, size
    return found


def of(cifar, **changed):
    """The members of an archive of the published files, some changed."""
    members = {f"{INNER}/{name}": body for name, body in cifar.bodies.items()}
    return members | {f"{INNER}/{name}.bin": content for name, content in changed.items()}


@pytest.mark.parametrize(
    "outside", ["../escaped.bin", "/escaped.bin", f"{INNER}/../../escaped.bin", "escaped.bin"]
)
def test_a_member_that_nobody_expects_is_not_written_whatever_its_name(cifar, offline, cache, outside):
    cifar.publish(packed({outside: b"escaped", **of(cifar)}))
    (cifar.root / ARCHIVE).write_bytes(cifar.archive)
    assert data.load("cifar10").official
    assert not list(cache.parent.rglob("*escaped*"))
    assert not os.path.exists("/escaped.bin")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_regular_file_is_not_made_nor_followed(cifar, offline, downloads, kind):
    name = f"{INNER}/data_batch_2.bin"
    member = header(name, kind, link=f"{INNER}/data_batch_1.bin")
    cifar.publish(packed(of(cifar, data_batch_2=member)))
    (cifar.root / ARCHIVE).write_bytes(cifar.archive)
    with pytest.raises(DataError, match=f"{ARCHIVE} holds no {name}") as caught:
        data.load("cifar10")
    assert "\n" not in str(caught.value)
    assert not os.path.lexists(downloads / "data_batch_2.bin")


@pytest.mark.parametrize(
    "change", [lambda body: body[:-1], lambda body: body + b"\0" * 10**7, lambda body: body[::-1]]
)
def test_a_member_of_another_size_or_content_is_refused_and_not_written(cifar, offline, downloads, change):
    cifar.publish(packed(of(cifar, data_batch_2=change(cifar.bodies["data_batch_2.bin"]))))
    (cifar.root / ARCHIVE).write_bytes(cifar.archive)
    with pytest.raises(DataError, match=f"holds another {INNER}/data_batch_2.bin than the published one"):
        data.load("cifar10")
    assert not [name for name in names(downloads) if "data_batch_2" in name]


def test_the_first_of_two_members_of_one_name_is_taken(cifar, offline):
    buffer, published = io.BytesIO(), io.BytesIO(packed(of(cifar)))
    with tarfile.open(fileobj=published) as once, tarfile.open(fileobj=buffer, mode="w:gz") as twice:
        for member in once.getmembers():
            twice.addfile(member, once.extractfile(member))
            twice.addfile(member, io.BytesIO(bytes(member.size)))
    cifar.publish(buffer.getvalue())
    (cifar.root / ARCHIVE).write_bytes(cifar.archive)
    assert data.load("cifar10").official


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\0", "torn"])
def test_what_is_no_archive_is_one_sentence_even_with_the_right_checksum(cifar, offline, content):
    cifar.publish(cifar.archive[: len(cifar.archive) // 2] if content == "torn" else content)
    (cifar.root / ARCHIVE).write_bytes(cifar.archive)
    with pytest.raises(DataError, match=f"{ARCHIVE} is no archive that can be unpacked") as caught:
        data.load("cifar10")
    assert "\n" not in str(caught.value)


def test_a_disk_that_refuses_the_unpacked_files_is_one_sentence_and_leaves_no_file_in_part(
    cifar, mirror, downloads, monkeypatch
):
    replace = os.replace

    def refuse(source, target):
        if str(target).endswith("data_batch_3.bin"):
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DataError, match=f"cannot write the downloads of cifar10 to {downloads} .No space"):
        data.load("cifar10")
    assert "data_batch_3.bin" not in names(downloads)
    assert not [name for name in names(downloads) if name.endswith(".tmp")]
