import re
import subprocess
import sys

import pytest

from normscope import data
from normscope.errors import UnknownNameError


@pytest.mark.parametrize("name", data.CATALOGUE)
def test_every_entry_is_complete(name):
    entry = data.CATALOGUE[name]
    assert entry.name == name
    assert entry.title
    assert entry.source
    assert entry.licence
    assert len(entry.mean) == len(entry.std) == entry.shape[0]
    assert re.fullmatch("[0-9a-f]{64}|", entry.digest)
    assert bool(entry.package) != bool(entry.files)
    assert bool(entry.files) == bool(entry.urls) == bool(entry.folder)


@pytest.mark.parametrize("entry", data.CATALOGUE.values(), ids=data.CATALOGUE)
def test_every_download_has_a_size_and_a_checksum(entry):
    for download in entry.downloads:
        assert download.size > 0
        assert re.fullmatch("[0-9a-f]{64}", download.sha256)


@pytest.mark.parametrize("entry", data.CATALOGUE.values(), ids=data.CATALOGUE)
def test_every_file_has_the_size_and_the_checksum_that_its_form_needs(entry):
    for file in entry.files:
        assert bool(file.size_gz) == bool(file.sha256_gz) == (entry.archive is None)
        assert bool(file.size) == (entry.archive is not None)
        assert re.fullmatch("[0-9a-f]{64}" if entry.archive else "[0-9a-f]{64}|", file.sha256)
        assert file.sha256 != file.sha256_gz


def test_no_two_published_files_are_the_same():
    files = [file for entry in data.CATALOGUE.values() for file in entry.files]
    checksums = [one for file in files for one in (file.sha256, file.sha256_gz) if one]
    checksums += [entry.archive.sha256 for entry in data.CATALOGUE.values() if entry.archive]
    assert len(set(checksums)) == len(checksums)


@pytest.mark.parametrize("entry", data.CATALOGUE.values(), ids=data.CATALOGUE)
def test_the_published_content_has_a_digest_or_its_files_have_checksums(entry):
    assert entry.digest or all(file.sha256 or file.sha256_gz for file in entry.files)


def test_a_published_cifar_file_has_ten_thousand_records():
    entry = data.CATALOGUE["cifar10"]
    assert {file.size for file in entry.files} == {10_000 * (1 + 3 * 32 * 32)}
    assert [file.name for file in entry.files if not file.optional] == ["data_batch_1.bin", "test_batch.bin"]


@pytest.mark.parametrize("function", [data.load, data.digest, data.fetch, data.available])
def test_an_unknown_name_is_refused_with_the_nearest(function):
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        function("mnits")


def test_importing_the_package_and_looking_for_data_sets_import_nothing_heavy():
    code = (
        "import sys, normscope.data as d; [d.available(name) for name in d.CATALOGUE]; "
        "print([m for m in ('torch', 'pandas', 'mlxtend', 'numpy', 'requests') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
