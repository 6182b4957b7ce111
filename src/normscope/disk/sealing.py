"""JSON files with a checksum of what they say.

The checksum is a SHA-256 of the values, not of the bytes: other spaces between them change nothing. It guards against
accidents, not against people: whoever can write the file can write its checksum, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from normscope.errors import DamagedError

CHECKSUM = "checksum"
"""The field of an object that holds the checksum of all others."""


def checksum(value: Mapping[str, Any]) -> str:
    """SHA-256 (hexadecimal) of an object of JSON values; its field ``checksum`` does not count."""
    rest = {name: entry for name, entry in value.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sealed_json(value: Mapping[str, Any]) -> bytes:
    """The text of a JSON file that holds an object with its checksum."""
    return json.dumps({**value, CHECKSUM: checksum(value)}, indent=1).encode() + b"\n"


def unsealed_json(content: bytes) -> dict[str, Any]:
    """The object that :func:`sealed_json` wrote, without its checksum.

    Raises:
        DamagedError: the content is something else, or not what was written.
    """
    value = parse_json(content)
    if not isinstance(value, dict) or value.get(CHECKSUM) != checksum(value):
        raise DamagedError("its content does not match its checksum")
    del value[CHECKSUM]
    return value


def parse_json(content: bytes) -> Any:
    """What a JSON text says.

    Raises:
        DamagedError: the content is not JSON in UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"it is not JSON ({error})") from None
