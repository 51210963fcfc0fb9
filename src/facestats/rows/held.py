"""Rows that a stage holds while it runs: few in memory, many in a file that is mapped."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import IO

import pyarrow as pa

MOST = 2**29  # bytes in memory: 80,000 faces with their landmarks


class HeldRows:
    """Rows, part by part. A file that they need has no name, and goes with them.

    Parameters
    ----------
    schema : pa.Schema
        That of each part.
    folder : Path or None
        Where the file lies; None: in the machine's temporary folder.
    """

    def __init__(self, schema: pa.Schema, folder: Path | None = None):
        self._schema, self._folder = schema, folder
        self._parts: list[pa.Table] = []
        self._size = 0
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def add(self, rows: pa.Table) -> None:
        """Add a part.

        Raises
        ------
        OSError
            The disk is full.
        """
        if not len(rows):
            return
        self._parts.append(rows)
        self._size += rows.nbytes
        if self._size > MOST:
            self._put()

    def table(self) -> pa.Table:
        """All parts one after the other; no further one can be added."""
        if self._file is None or self._writer is None:
            return pa.concat_tables([self._schema.empty_table(), *self._parts])
        self._put()
        self._writer.close()
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)  # as long as the table
        self._file.close()
        return pa.ipc.open_stream(pa.py_buffer(mapped)).read_all()

    def _put(self) -> None:
        """Move what is in memory into the file."""
        try:
            writer = self._writer
            if writer is None:
                # open as long as parts are added
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
                self._writer = writer = pa.ipc.new_stream(self._file, self._schema)
            for part in self._parts:
                writer.write_table(part)
        except OSError as error:
            error.filename = str(self._folder or tempfile.gettempdir())
            raise
        self._parts, self._size = [], 0
