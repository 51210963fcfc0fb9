"""The footer and the page headers of a parquet file, which hold the sizes of its pages.

They are in Thrift's compact protocol, by the structs FileMetaData and PageHeader of parquet.thrift
in apache/parquet-format. pyarrow shows only the footer, but decodes a page by its own header; and
it ends the process where it is asked for a column whose facts in the footer are false.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

_DATA, _DATA_V2 = 0, 3  # kinds of a page; others are dictionaries and indices
_PLAIN, _RLE, _BYTE_STREAM_SPLIT = 0, 3, 9  # encodings of values; RLE holds booleans and levels
_MOST = 10_000  # pages of a column: of 1 MB each, as the store writes them, 25 make a segment
_DEEPEST = 8  # structs and lists in each other: groups, columns, their facts, statistics, levels
_LAST_FIELD = 100  # of a struct; those of parquet.thrift end at 17
_FOOTER = 2**20  # most bytes of a footer; one of 24 columns has 10 kB
_END = b"PAR1"
# Kinds of the items of lists, by the number of their field: in the file, and in a column's facts.
_WHOLE, _BYTES, _STRUCT = 5, 8, 12
_FOOTER_LISTS = {2: _STRUCT, 4: _STRUCT, 5: _STRUCT, 7: _STRUCT}
_COLUMN_LISTS = {2: _WHOLE, 3: _BYTES, 8: _STRUCT, 13: _STRUCT}


class Chunk(NamedTuple):
    """Where a column's pages of one group of rows begin and end in the file, and its values."""

    start: int
    end: int
    values: int


class Page(NamedTuple):
    """The facts in a page's header.

    Attributes
    ----------
    size : int
        Bytes once unpacked.
    values : int
        Values, nulls included.
    plain : bool
        Whether the page holds each value by itself, not by reference to a dictionary or another.
    """

    size: int
    values: int
    plain: bool


def chunks(data: bytes) -> list[Chunk]:
    """The column chunks of all groups of rows, as the footer names them.

    Raises
    ------
    ValueError
        There is no footer, or it is not as the store writes it.
    """
    size = int.from_bytes(data[-8:-4], "little")
    if data[-4:] != _END or not 0 < size <= min(_FOOTER, len(data) - 8):
        raise ValueError("it has no footer")
    try:
        footer, end = _struct(data[-8 - size : -8], 0)
        if end != size:
            raise ValueError("its footer ends before its end")
        columns = [column for group in footer[4] for column in group[1]]
        facts = [column[3] for column in columns]
        _check_kinds((footer, _FOOTER_LISTS), *((group, {1: _STRUCT}) for group in footer[4]))
        _check_kinds(*((one, _COLUMN_LISTS) for one in facts))
        if any(1 in column for column in columns):
            raise ValueError("it names another file")
        if any(11 in one for one in facts):
            raise ValueError("dictionary encoding, which the store does not write")
        found = [
            Chunk(_whole(one[9]), _whole(one[9]) + _whole(one[7]), _whole(one[5])) for one in facts
        ]
        rows = [_whole(group[3]) for group in footer[4]]
        if min(rows, default=0) < 0 or sum(rows) != _whole(footer[3]):
            raise ValueError("its groups have other rows than the file")
    except (IndexError, KeyError, TypeError):
        raise ValueError("its footer is damaged") from None
    return found


def pages(data: bytes, start: int, end: int) -> Iterator[Page]:
    """Yield the pages of a column chunk.

    Parameters
    ----------
    data : bytes
        The file.
    start, end : int
        Where the chunk begins and ends in it.

    Raises
    ------
    ValueError
        The headers do not lead from the beginning to the end.
    """
    at = start
    for _ in range(_MOST):
        if at >= end:
            break
        try:
            header, at = _struct(data, at)
            kind, size, packed = _whole(header[1]), _whole(header[2]), _whole(header[3])
            facts = header[8 if kind == _DATA_V2 else 5]
            values, encoding = _whole(facts[1]), _whole(facts[4 if kind == _DATA_V2 else 2])
        except (IndexError, KeyError, TypeError):
            raise ValueError("a page has no header") from None
        if kind not in (_DATA, _DATA_V2) or min(size, packed, values) < 0:
            raise ValueError("a page that the store does not write")
        at += packed
        yield Page(size, values, encoding in (_PLAIN, _RLE, _BYTE_STREAM_SPLIT))
    if at != end or start < 0:
        raise ValueError("its pages are longer than its footer says")


def _struct(data: bytes, at: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and where it ends."""
    if depth > _DEEPEST:
        raise ValueError("a header of a page or the file is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        if not 0 < number <= _LAST_FIELD:  # others count it in 16 bits
            raise ValueError("a header of a page or the file has a field that no format names")
        if number in fields:  # which of them counts is up to the reader
            raise ValueError("a header of a page or the file has a field twice")
        fields[number], at = _value(data, at, head & 15, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false
        return kind == 1, at
    if kind == 3:  # one byte
        return data[at], at + 1
    if kind in (4, 5, 6):  # whole numbers
        return _integer(data, at)
    if kind == 7:  # a float
        return None, at + 8
    if kind == 8:  # bytes
        size, at = _unsigned(data, at)
        return None, at + size
    if kind in (9, 10):
        return _list(data, at, depth)
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise ValueError("a header of a page or the file has a field of an unknown kind")


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _check_kinds(*structs: tuple[dict[int, Any], dict[int, int]]) -> None:
    """Raise ValueError where a list is of another kind than the format says.

    pyarrow reads such a list by the format, whatever it says of itself.
    """
    for fields, kinds in structs:
        for number, kind in kinds.items():
            if number in fields and getattr(fields[number], "kind", None) != kind:
                raise ValueError("a list in its footer is of another kind than the format says")


class _List(list):
    """A list, and the kind that it gives for its items."""

    kind = 0


def _list(data: bytes, at: int, depth: int) -> tuple[list, int]:
    if depth > _DEEPEST:
        raise ValueError("a header of a page or the file is nested too deeply")
    head, at = data[at], at + 1
    kind, size = head & 15, head >> 4
    if size == 15:
        size, at = _unsigned(data, at)
    if size > len(data) - at:  # each has at least one byte
        raise ValueError("a header of a page or the file has a list that is too long")
    items = _List()
    items.kind = kind
    for _ in range(size):
        # In a list, a truth takes a byte.
        item, at = _value(data, at, 3 if kind in (1, 2) else kind, depth + 1)
        items.append(item)
    return items, at


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at, value = at + 1, value | (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number in a header of a page or the file is too long")
