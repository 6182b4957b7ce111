import json

import pytest

from normscope.disk.sealing import parse_json, sealed_json, unsealed_json
from normscope.errors import DamagedError

VALUE = {
    "text": "λ \ud800",
    "number": 0.1,
    "large": 10**30,
    "list": [1, None, {"true": True}],
    "inf": float("inf"),
}


def test_what_is_sealed_is_read_back():
    assert unsealed_json(sealed_json(VALUE)) == VALUE


def test_every_flipped_bit_of_a_sealed_file_is_noticed_or_changes_nothing():
    content = sealed_json(VALUE)
    harmless = 0
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        try:
            assert unsealed_json(bytes(damaged)) == VALUE, damaged
            harmless += 1
        except DamagedError:
            continue
    assert harmless < len(content) / 10  # spaces that became other spaces


def test_a_file_without_a_checksum_is_damaged():
    with pytest.raises(DamagedError):
        unsealed_json(json.dumps({"a": 1}).encode())


@pytest.mark.parametrize("content", [b"", b"no", b"\xff", b"[" * 10**5, b"1" * 5000, b"[1]", b"null", b'"a"'])
def test_what_is_no_object_is_damaged(content):
    with pytest.raises(DamagedError):
        unsealed_json(content)


def test_a_nesting_that_no_reader_survives_is_damaged():
    with pytest.raises(DamagedError, match="not JSON"):
        parse_json(b'{"a":' * 10**6)
