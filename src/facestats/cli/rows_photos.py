"""Photos that a list names, by path or by `s3://` address, for `rows fill --photos`."""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from facestats.core.files import write_bytes
from facestats.core.photo_files import printable
from facestats.errors import FaultError, InputError
from facestats.rows.segments import matches

URI, SHA256 = "uri", "sha256"  # columns of a list
_S3 = "s3://"
_HASH = re.compile("[0-9a-f]{64}")
_MEGABYTE = 10**6
_SHOWN = 200  # characters of an address in a message
_CONFIG = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 3}}


def read_photos(path: Path) -> pa.Table:
    """A list of photos: a parquet or CSV file with the column `uri`, and perhaps `sha256`.

    Returns
    -------
    pa.Table
        `uri` and `sha256` (hex; null where it is unknown), both text; each photo once.

    Raises
    ------
    InputError
        The file is missing, damaged or empty, lacks `uri`, or has an address or a hash that is
        none.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; --photos names a list of photos")
    try:
        table = _read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{path} is no readable list of photos ({' '.join(str(error).split())}); expected "
            "parquet, or a file called .csv"
        ) from None
    if URI not in table.column_names:
        raise InputError(
            f"{path} has no column {URI}, but {', '.join(table.column_names) or 'none at all'}; "
            f"{URI} holds the path or s3:// address of each photo"
        )
    for column in (URI, SHA256):
        if table.column_names.count(column) > 1:
            raise InputError(f"{path} has two columns {column}; leave one of them")
    if SHA256 not in table.column_names:
        table = table.append_column(SHA256, pa.nulls(len(table), pa.string()))
    try:
        table = table.select([URI, SHA256]).cast(
            pa.schema([(URI, pa.string()), (SHA256, pa.string())])
        )
    except pa.ArrowException:
        raise InputError(f"{path}: {URI} and {SHA256} are not text") from None
    _check(path, table)
    return (
        table.group_by(URI, use_threads=False)
        .aggregate([(SHA256, "first")])
        .rename_columns([URI, SHA256])
    )


def _read_csv(path: Path) -> pa.Table:
    """A CSV file, whose texts stay as they are, also `007`; an empty sha256 is an unknown one."""
    texts = pyarrow.csv.ConvertOptions(column_types={URI: pa.string(), SHA256: pa.string()})
    table = pyarrow.csv.read_csv(path, convert_options=texts)
    if table.column_names.count(SHA256) == 1:
        at, known = table.column_names.index(SHA256), table[SHA256]
        known = pc.if_else(pc.equal(known, ""), pa.scalar(None, pa.string()), known)
        table = table.set_column(at, SHA256, known)
    return table


def _check(path: Path, table: pa.Table) -> None:
    if not len(table):
        raise InputError(f"{path} lists no photo")
    if table[URI].null_count or pc.any(pc.equal(table[URI], "")).as_py():
        raise InputError(f"{path}: a row has no {URI}")
    if not matches(table[SHA256], _HASH):
        raise InputError(f"{path}: a {SHA256} is not 64 hexadecimal digits in lower case")
    if pc.any(pc.match_substring(table[URI], "\0")).as_py():
        raise InputError(f"{path}: a {URI} has a NUL character")
    foreign = pc.and_(
        pc.match_substring(table[URI], "://"), pc.invert(pc.starts_with(table[URI], _S3))
    )
    if pc.any(foreign).as_py():
        first = table[URI].filter(foreign)[0].as_py()
        raise InputError(
            f"{path}: {printable(first)[:_SHOWN]} is neither a path nor an {_S3} address"
        )


class PhotoSources:
    """The files of photos; a context manager, which removes the copies of remote ones.

    Parameters
    ----------
    root : Path
        Where relative paths begin.
    max_megabytes : float
        Of what is larger, one byte more than this is copied.
    """

    def __init__(self, root: Path, max_megabytes: float):
        self._root, self._most = root, int(max_megabytes * _MEGABYTE)
        self._folder = tempfile.TemporaryDirectory(prefix="facestats-photos-")
        self._bucket: Any = None

    def __enter__(self) -> PhotoSources:
        return self

    def __exit__(self, *error) -> None:
        self._folder.cleanup()

    def path(self, uri: str) -> Path:
        """The file of a photo on this machine.

        Raises
        ------
        FaultError
            It can't be copied.
        InputError
            The package for `s3://` addresses is missing.
        """
        if not uri.startswith(_S3):
            return self._root / uri
        target = Path(self._folder.name) / hashlib.sha256(uri.encode()).hexdigest()
        if not target.exists():
            write_bytes(target, self._content(uri))
        return target

    def _content(self, uri: str) -> bytes:
        if self._bucket is None:
            self._bucket = _file_system()
        try:
            return self._bucket.cat_file(uri, start=0, end=self._most + 1)
        except OSError as error:
            if error.errno == errno.EINVAL:  # there is no first byte
                return b""
            raise _unreadable(uri, error) from None
        except Exception as error:  # of s3fs, botocore and aiohttp, which share no class
            raise _unreadable(uri, error) from None


def _unreadable(uri: str, error: Exception) -> FaultError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return FaultError(f"{uri} can't be read: {reason}")


def _file_system() -> Any:
    try:
        import s3fs  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        raise InputError(
            "photos at s3:// addresses need a further package: pip install 'facestats[remotes]'"
        ) from None
    return s3fs.S3FileSystem(config_kwargs=_CONFIG)
