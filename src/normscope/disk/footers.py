"""How the columns of a Parquet file are compressed, read from its footer in Python.

Arrow can tell, too, but it ends the whole process when the footer is damaged in certain places (seen with pyarrow 26: a
flipped bit in the statistics of a column). The footer is a structure in Thrift's compact protocol, of which the codecs
are picked and everything else is skipped.
"""

from __future__ import annotations

from normscope.errors import DamagedError

_END = b"PAR1"
_MOST_FIELDS = 2**20
_DEEPEST = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12

# From the file's metadata to a column's codec: fields 4 (row groups), 1 (columns), 3 (metadata), 4 (codec).
_PATH = (4, 1, 3, 4)
_CODEC = len(_PATH) - 1


def codecs(content: bytes) -> set[int]:
    """The numbers of all codecs that the columns of a Parquet file use, as the format counts them (0 none, 1 Snappy).

    Raises:
        DamagedError: there is no footer, or it is not Thrift.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != _END or not 0 < length <= len(content) - 8:
        raise DamagedError("it has no footer")
    footer = _Footer(content[-8 - length : -8])
    try:
        footer.skip_struct(0, 0, 0)
    except IndexError:
        raise DamagedError("its footer ends early") from None
    return footer.codecs


class _Footer:
    """A walk through a footer. Each method skips a value at a place and returns the place after it.

    A ``level`` says how many fields of the path to a codec have led to a structure; it is -1 off the path.
    """

    def __init__(self, data: bytes) -> None:
        self.codecs: set[int] = set()
        self._data, self._fields = data, 0

    def skip_struct(self, at: int, level: int, depth: int) -> int:
        """Skip a structure. Every column of every cell has several: the frequent kinds of fields are skipped here."""
        data, field = self._data, 0
        while head := data[at]:
            self._fields += 1
            at += 1
            kind, step = head & 15, head >> 4
            if step:
                field += step
            else:
                number, at = self._number(at)
                field = (number >> 1) ^ -(number & 1)
            if _BYTE < kind < _DOUBLE:
                if level == _CODEC and field == _PATH[_CODEC]:
                    self.codecs.add(self._number(at)[0] >> 1)
                while data[at] > 127:
                    at += 1
                at += 1
            elif kind == _BINARY:
                length, at = self._number(at)
                at += length
            elif kind != _TRUE and kind != _FALSE:
                is_on_path = level >= 0 and field == _PATH[level]
                at = self._skip(kind, at, level + 1 if is_on_path else -1, depth + 1)
        if self._fields > _MOST_FIELDS:
            raise DamagedError("its footer has too many fields")
        return at + 1

    def _skip(self, kind: int, at: int, level: int, depth: int) -> int:
        if depth > _DEEPEST:
            raise DamagedError("its footer is nested too deeply")
        if kind == _STRUCT:
            return self.skip_struct(at, level, depth)
        if kind in (_LIST, _SET):
            return self._skip_list(at, level, depth)
        if kind == _BINARY:
            length, at = self._number(at)
            return at + length
        if _BYTE < kind < _DOUBLE:
            return self._number(at)[1]
        if kind in (_TRUE, _FALSE, _BYTE):
            return at + 1
        if kind == _DOUBLE:
            return at + 8
        raise DamagedError("its footer has a field of an unknown kind")

    def _skip_list(self, at: int, level: int, depth: int) -> int:
        head = self._data[at]
        size, kind, at = head >> 4, head & 15, at + 1
        if size == 15:
            size, at = self._number(at)
        self._fields += size
        if self._fields > _MOST_FIELDS:
            raise DamagedError("its footer has too many fields")
        for _ in range(size):
            at = self._skip(kind, at, level, depth + 1)
        return at

    def _number(self, at: int) -> tuple[int, int]:
        """A number of a variable length, as it is written, and the place after it."""
        data = self._data
        value, shift = data[at] & 127, 0
        while data[at] > 127 and shift < 64:
            at, shift = at + 1, shift + 7
            value |= (data[at] & 127) << shift
        return value, at + 1
