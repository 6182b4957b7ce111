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


@pytest.mark.parametrize("file", [file for entry in data.CATALOGUE.values() for file in entry.files])
def test_every_file_has_a_size_and_checksums(file):
    assert file.size_gz > 0
    assert re.fullmatch("[0-9a-f]{64}|", file.sha256)
    assert re.fullmatch("[0-9a-f]{64}", file.sha256_gz)
    assert file.sha256 != file.sha256_gz


def test_no_two_published_files_are_the_same():
    files = [file for entry in data.CATALOGUE.values() for file in entry.files]
    checksums = [one for file in files for one in (file.sha256, file.sha256_gz) if one]
    assert len(set(checksums)) == len(checksums)


@pytest.mark.parametrize("entry", data.CATALOGUE.values(), ids=data.CATALOGUE)
def test_the_content_of_a_set_has_a_digest_exactly_where_every_unpacked_file_has_a_checksum(entry):
    assert bool(entry.digest) == all(file.sha256 for file in entry.files)


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
