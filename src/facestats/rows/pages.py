"""The page headers of a parquet file, which hold the sizes of its pages once they are unpacked.

They are in Thrift's compact protocol, by the struct PageHeader of parquet.thrift in
apache/parquet-format. pyarrow shows only the footer, but decodes a page by its own header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

_DATA, _DATA_V2 = 0, 3  # kinds of a page; others are dictionaries and indices
_PLAIN, _RLE, _BYTE_STREAM_SPLIT = 0, 3, 9  # encodings of values; RLE holds booleans and levels
_MOST = 10_000  # pages of a column: of 1 MB each, as the store writes them, 25 make a segment
_DEEPEST = 4  # structs in a page's header: its own, one of its kind, and its statistics


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
            kind, size, packed = header[1], header[2], header[3]
            facts = header[8 if kind == _DATA_V2 else 5]
            values, encoding = facts[1], facts[4 if kind == _DATA_V2 else 2]
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
        raise ValueError("a page's header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
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
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise ValueError("a page's header has a field of an unknown kind")


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
            raise ValueError("a number in a page's header is too long")
