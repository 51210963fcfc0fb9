"""Tables of more than a million rows: a folder of parquet files at the path of the one file.

The parts are `part-00000.parquet`, `part-00001.parquet`, …, each of `PART_ROWS` rows but the last,
which names their number. `pandas.read_parquet` reads such a folder like a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facestats.core.files import require_file
from facestats.core.fingerprint import sha256_file, sha256_json
from facestats.errors import TableError
from facestats.machine.faults import fault, is_of_machine

ANEW = "remove the file and run `dvc repro`"
ANEW_FOLDER = "remove the folder and run `dvc repro`"
PART_ROWS = 1_000_000
_PART = re.compile(r"part-\d{5,}\.parquet")
LAST = "parts"  # key of the last part's own metadata: how many there are


class TableFile:
    """A parquet file, or the parts of one, with as much of `pyarrow.parquet.ParquetFile` as we use.

    Parameters
    ----------
    paths : list of Path
        The file, or the parts in order.

    Attributes
    ----------
    schema_arrow : Schema
        Columns and metadata.
    num_rows, num_row_groups : int

    Raises
    ------
    TableError
        A part is damaged, or has other columns than the first.
    """

    def __init__(self, paths: list[Path]):
        self._paths = paths
        self._stack = ExitStack()
        # A file stays open: whoever replaces it meanwhile changes nothing for who reads it.
        self._whole = self._stack.enter_context(_file(paths[0])) if len(paths) == 1 else None
        self._one = self._stack.enter_context(ExitStack())
        self._current: tuple[int, pq.ParquetFile] | None = None
        self._groups: list[tuple[int, int]] = []  # part, and its row group
        self._metadata: list[pq.FileMetaData] = []
        self.num_rows = 0
        for part, path in enumerate(paths):
            with reading(path), self._opened(part) as file:
                schema = file.schema_arrow
                if part == 0:
                    self.schema_arrow: pa.Schema = schema
                if not schema.equals(self.schema_arrow) or _facts(schema) != _facts(
                    self.schema_arrow
                ):
                    raise TableError(f"{path}: not of one run with {paths[0].name}; {ANEW_FOLDER}")
                self.num_rows += file.metadata.num_rows
                self._metadata.append(file.metadata)
                self._groups += [(part, group) for group in range(file.num_row_groups)]

    @property
    def num_row_groups(self) -> int:
        return len(self._groups)

    def read(self, columns: list[str]) -> pa.Table:
        """These columns of all rows, in the order of the file."""
        return pa.concat_tables(list(self._each(lambda file: [file.read(columns=columns)])))

    def iter_batches(self, batch_size: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """All rows, up to `batch_size` at a time."""
        return self._each(lambda file: file.iter_batches(batch_size, columns=columns))

    def read_row_group(self, group: int, columns: list[str]) -> pa.Table:
        part, own = self._groups[group]
        with reading(self._paths[part]):
            return self._at(part).read_row_group(own, columns=columns)

    def has_nulls(self, column: str) -> bool:
        """Whether a column may lack a value in some row, by the statistics of its row groups."""
        at = self.schema_arrow.names.index(column)
        return any(
            group.column(at).statistics is None or group.column(at).statistics.null_count != 0
            for metadata in self._metadata
            for group in map(metadata.row_group, range(metadata.num_row_groups))
        )

    def close(self) -> None:
        self._stack.close()

    def _each(self, read) -> Iterator:
        for part, path in enumerate(self._paths):
            with reading(path), self._opened(part) as file:
                yield from read(file)

    def _at(self, part: int) -> pq.ParquetFile:
        """A part that stays open until another is asked for: opening reads all that it says."""
        if self._whole is not None:
            return self._whole
        if self._current is None or self._current[0] != part:
            self._one.close()
            self._current = part, self._one.enter_context(_file(self._paths[part]))
        return self._current[1]

    @contextmanager
    def _opened(self, part: int) -> Iterator[pq.ParquetFile]:
        if self._whole is not None:
            yield self._whole
        else:
            with _file(self._paths[part]) as file:
                yield file


def _facts(schema: pa.Schema) -> dict[bytes, bytes]:
    return {k: v for k, v in (schema.metadata or {}).items() if k != LAST.encode()}


def _file(path: Path) -> pq.ParquetFile:
    # Buffered ahead, pyarrow fetches all column chunks at once, up to the whole file: 200 instead
    # of 13 MB for 100,000 embeddings.
    require_file(path)
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20)


@contextmanager
def reading(path: Path, stage: str = "") -> Iterator[None]:
    """Turn problems with a parquet file, while it is opened or read, into a `TableError`."""
    try:
        yield
    except FileNotFoundError:
        raise TableError(
            f"{path}: no such table; `{f'dvc repro {stage}'.strip()}` makes it"
        ) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        if is_of_machine(error):
            raise fault(path, error) from None
        raise TableError(f"{path}: not a readable parquet file ({error}); {ANEW}") from None


def files_of(path: Path) -> list[Path]:
    """The files of a table: itself, or its parts in order.

    Raises
    ------
    TableError
        It is a folder that holds anything else, or lacks a part.
    """
    require_file(path)
    if not path.is_dir():
        return [path]
    there = sorted(one.name for one in path.iterdir() if not one.name.startswith("."))
    strange = [name for name in there if not _PART.fullmatch(name)]
    if strange or not there:
        raise TableError(
            f"{path}: a folder with {strange[0] if strange else 'nothing'} in it, expected a "
            f"parquet file or its parts {part_name(0)}, {part_name(1)}, …; {ANEW_FOLDER}"
        )
    missing = sorted({part_name(part) for part in range(len(there))} - {*there})
    if not missing:
        with reading(path / there[-1]), _file(path / there[-1]) as last:
            count = (last.metadata.metadata or {}).get(LAST.encode())
        if count != str(len(there)).encode():
            missing = [part_name(len(there))]
    if missing:
        raise TableError(f"{path}: {missing[0]} is missing; {ANEW_FOLDER}")
    return [path / part_name(part) for part in range(len(there))]


def listed_files(path: Path) -> list[Path]:
    """The files of a table that may be missing or damaged, for their hashes."""
    return sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]


def table_of(file: Path) -> Path:
    """The table that a file is, or is a part of."""
    return file.parent if _PART.fullmatch(file.name) else file


def sha256_table(path: Path) -> str:
    """Hex sha256 of a table's file; for parts, of their names' and bytes' hashes."""
    files = listed_files(path)
    if files == [path]:
        return sha256_file(path)
    return sha256_json({file.name: sha256_file(file) for file in files})


def part_name(part: int) -> str:
    return f"part-{part:05}.parquet"
