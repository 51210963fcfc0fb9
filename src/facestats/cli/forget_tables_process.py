"""The process that looks for names in tables of other programs, for `cli.forget_contents`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from facestats.cli.forget_names import Finder, Found
from facestats.core.shard_members import opened
from facestats.machine.child import Message, answer_calls
from facestats.machine.limits import is_own_limit

SQLITE = b"SQLite format 3\0"
_ROWS = 10_000  # that are read at once


def main(seconds: float, memory: float) -> None:
    """Look through tables until there are no more."""
    pa.set_memory_pool(pa.system_memory_pool())  # which takes no more than it is asked for

    def answer(head: dict[str, Any], body: bytearray) -> Message:
        try:
            return {"found": _first_found(Path(head["path"]), Finder.from_bytes(bytes(body)))}, b""
        except MemoryError:
            if not is_own_limit(int(memory)):
                raise
            return {"why": "takes too much memory"}, b""
        except ImportError as error:
            return {"why": f"needs the package {error.name}"}, b""
        except Exception as error:  # a damaged file may raise anything in its reader
            if isinstance(error, OSError) and error.errno is not None:
                return {"errno": error.errno, "error": error.strerror}, b""
            return {"why": "damaged, or of an unknown version"}, b""

    answer_calls(answer, seconds, memory)


def _first_found(path: Path, finder: Finder) -> Found | None:
    unsure = None
    with opened(path) as file:
        kind = path.suffix.lower()
        columns = {".parquet": _parquet, ".dta": _stata}.get(kind, _arrow)(file)
        if file.read(len(SQLITE)) == SQLITE:
            columns = _sqlite(path)
        file.seek(0)
        for values in _spss(path) if kind in (".sav", ".zsav") else columns:
            text = "\n".join(str(value) for value in values if value is not None)
            for found in finder.all_in(text.encode(errors="surrogateescape")):
                if found.is_sure:
                    return found
                unsure = unsure or found
    return unsure


def _parquet(file: Any) -> Iterator[Iterable[Any]]:
    table = pq.ParquetFile(file)
    yield table.schema_arrow.names
    leaves = map(table.schema.column, range(len(table.schema.names)))
    texts = [leaf.path for leaf in leaves if leaf.logical_type.type == "STRING"]
    if texts:
        for batch in table.iter_batches(_ROWS, columns=texts):
            yield from (column.to_pylist() for column in batch.columns)


def _arrow(file: Any) -> Iterator[Iterable[Any]]:
    table = pyarrow.feather.read_table(file, memory_map=False)
    yield table.column_names
    for batch in table.to_batches(_ROWS):
        for column in batch.columns:
            if not (pa.types.is_primitive(column.type) or pa.types.is_binary(column.type)):
                yield column.to_pylist()


def _stata(file: Any) -> Iterator[Iterable[Any]]:
    options: dict[str, Any] = {"convert_categoricals": False, "convert_dates": False}
    with pd.read_stata(file, chunksize=_ROWS, **options) as reader:
        for frame in reader:
            yield from (frame[name] for name in frame.select_dtypes(["object", "string"]))
        yield from (labels.values() for labels in reader.value_labels().values())


def _sqlite(path: Path) -> Iterator[Iterable[Any]]:
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as base:
        base.text_factory = lambda data: data.decode(errors="surrogateescape")
        tables = base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for name, made_by in tables:
            if not str(made_by).upper().startswith("CREATE VIRTUAL"):
                yield [name, made_by]
                quoted = name.replace('"', '""')
                rows = base.execute(f'SELECT * FROM "{quoted}"')
                while some := rows.fetchmany(_ROWS):
                    yield (cell for row in some for cell in row if isinstance(cell, str))


def _spss(path: Path) -> Iterator[Iterable[Any]]:
    pyreadstat = import_module("pyreadstat")  # of the extra `export`
    for columns, facts in pyreadstat.read_file_in_chunks(
        pyreadstat.read_sav, str(path), chunksize=_ROWS, output_format="dict"
    ):
        yield from columns.values()
        yield from (labels.values() for labels in facts.value_labels.values())
