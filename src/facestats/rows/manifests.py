"""Manifests: what is in a segment, so that whoever looks for rows need not read it.

    <sha256>.json    beside the segment <sha256>.parquet

A manifest is written before its segment. It may be absent, as in stores of older versions, or of
a killed writer and without its segment: a listing goes by the segments. It may be false, as any
file of the store; then rows are computed again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from facestats.rows.bucket import BucketError
from facestats.rows.interface import StoreFolder

_MOST = 2**20  # bytes; 4096 keys and names of crops take 420 kB
_WHERE = 200  # most characters of a kind of machine
_ROWS = 4096


@dataclass(frozen=True)
class Manifest:
    """The facts of a segment.

    Attributes
    ----------
    keys : pa.Array
        Key of each row (text).
    files : list of (str or None)
        MD5 of each row's file; empty where rows have none.
    where : str
        Kind of machine that computed the rows; empty if unknown.
    """

    keys: pa.Array
    files: list[str | None]
    where: str


def manifest_name(segment: str) -> str:
    """Name of a segment's manifest."""
    return f"{segment.removesuffix('.parquet')}.json"


def write_manifest(folder: StoreFolder, segment: str, size: int, manifest: Manifest) -> None:
    """Write the manifest of a segment of `size` bytes that is about to be written."""
    facts = {
        "sha256": segment.removesuffix(".parquet"),
        "bytes": size,
        "where": manifest.where,
        "rows": len(manifest.keys),
        "keys": manifest.keys.to_pylist(),
        "files": manifest.files,
    }
    folder.write(manifest_name(segment), json.dumps(facts).encode(), lasting=True)


def read_manifest(folder: StoreFolder, segment: str) -> Manifest | None:
    """The manifest of a segment; None if it has none that fits, so that its rows are to be read.

    Raises `BucketError` where the bucket does not answer.
    """
    try:
        facts = json.loads(folder.read(manifest_name(segment), _MOST))
        keys, files, where = facts["keys"], facts["files"], facts["where"]
        if (
            facts["sha256"] == segment.removesuffix(".parquet")
            and facts["bytes"] == folder.size(segment)
            and isinstance(keys, list)
            and isinstance(files, list)
            and facts["rows"] == len(keys) <= _ROWS
            and len(files) in (0, len(keys))
            and isinstance(where, str)
            and where.isprintable()
            and len(where) <= _WHERE
        ):
            keys, files = pa.array(keys, pa.string()), pa.array(files, pa.string())
            return None if keys.null_count else Manifest(keys, files.to_pylist(), where)
    except BucketError:
        raise
    except (OSError, ValueError, TypeError, KeyError, RecursionError, pa.ArrowException):
        pass
    return None


class KnownSegments:
    """Which rows are in segments whose manifests were read: eight bytes of memory a row."""

    def __init__(self) -> None:
        self._numbers: dict[str, np.ndarray] = {}

    def note(self, segments: Iterable[tuple[str, Manifest | None]]) -> None:
        """Note what manifests say; segments without one stay unknown."""
        self._numbers |= {
            name: np.sort(_numbers(manifest.keys)) for name, manifest in segments if manifest
        }

    def that_may_hold(self, keys: pa.Array, segments: list[str]) -> list[str]:
        """The segments that hold one of the keys, or of which nothing is known."""
        if not self._numbers:
            return segments
        wanted = np.sort(_numbers(keys))
        return [
            name
            for name in segments
            if (held := self._numbers.get(name)) is None or _meet(wanted, held)
        ]


def _numbers(keys: pa.Array) -> np.ndarray:
    """The beginnings of keys: uint64 (n,); others than hashes, which tests have, by their CRC."""

    def number(key: str) -> int:
        try:
            return int.from_bytes(bytes.fromhex(key[:16].rjust(16, "0")))
        except ValueError:
            return zlib.crc32(key.encode())

    return np.array([number(key) for key in keys.to_pylist()], np.uint64)


def _meet(wanted: np.ndarray, held: np.ndarray) -> bool:
    """Whether two sorted arrays have a number in common."""
    if not len(held):
        return False
    places = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return bool((held[places] == wanted).any())
