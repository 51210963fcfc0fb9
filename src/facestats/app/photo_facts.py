"""What the run noted of each photo: sizes, pose, landmarks, reasons for leaving it out, flags."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.app.faces_table import plain
from facestats.app.recent import Recent
from facestats.attributes.tables import FLAGS
from facestats.core import tables
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.layout import METADATA
from facestats.core.tables.parts import sha256_table
from facestats.errors import FaceStatsError, TableError
from facestats.faces.tables import FACES
from facestats.serving.manifest import faces_table, identity
from facestats.serving.models import Models

Flags = dict[str, list[dict[str, Any]]]  # by filename
_VECTORS = ("box", "landmarks")
_REJECTED = ["image", "filename", "status", "reason"]


class PhotoFacts:
    """`faces.parquet` and `attributes_flags.parquet` of the run that made models.

    Parameters
    ----------
    models : Models
    flags_sha256 : str or None
        Of the run's `attributes_flags.parquet`.
    """

    def __init__(self, models: Models, flags_sha256: str | None):
        self.models = models
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._hashes: pd.DataFrame | None = None
        self._rejected: pd.DataFrame | None = None
        self._flags: Recent[Flags | None] = Recent(1)
        self._flags_sha256 = flags_sha256

    def _path(self) -> Path:
        """Path of the table of faces; raises `ModelError` unless it is that of the run."""
        with self._lock:  # the first one hashes it for all
            return faces_table(self.models)

    def prepare(self) -> None:
        """Read what each picture needs, so that the first one does not wait for it."""
        with suppress(FaceStatsError):
            self.hash_of("")

    def hash_of(self, filename: str) -> np.ndarray | None:
        """The perceptual hash of a crop, uint8 (32,)."""
        self._path()
        hashes = self._read_hashes()
        text = hashes["perceptual_hash"].get(filename)
        return None if pd.isna(text) else np.frombuffer(bytes.fromhex(text), np.uint8)

    def sha256_of(self, filename: str) -> str | None:
        """The sha256 of the photo of a face in the run that is shown, also while another one runs.

        Raises
        ------
        ModelError
            Another run has replaced the table before it was read.
        """
        found = self._read_hashes()["sha256"].get(filename)
        return None if pd.isna(found) else str(found)

    def _read_hashes(self) -> pd.DataFrame:
        with self._reading:
            if self._hashes is None:
                names = ["filename", "perceptual_hash", "sha256"]
                read = tables.read(self._path(), FACES, names).dropna(subset="filename")
                self._hashes = read.set_index("filename")
            return self._hashes

    def of_face(self, filename: str) -> dict[str, Any]:
        """The row of a face; `box` (4,) in pixels of the photo and `landmarks` (468, 3) as lists.

        Raises
        ------
        TableError
            The table has no such row.
        """
        rows = tables.read(self._path(), FACES, only=[filename])
        if rows.empty:
            raise TableError(f"{FACES.name} has no row of this face; run `dvc repro`")
        row = rows.iloc[0]
        facts = {str(name): plain(row[name]) for name in rows.columns if name not in _VECTORS}
        box, points = row["box"], row["landmarks"]
        facts["box"] = None if box is None else _numbers(box).tolist()
        facts["landmarks"] = (
            None if points is None else _numbers(points).reshape(N_LANDMARKS, 3).tolist()
        )
        return facts

    def rejected(self) -> pd.DataFrame:
        """Photos that gave no face: `image` and `reason`, by name."""
        if self._rejected is None:
            read = tables.read(self._path(), FACES, _REJECTED)
            out = read[read["status"] != "ok"][["image", "reason"]]
            self._rejected = out.sort_values("image", ignore_index=True)
        return self._rejected

    def flags_of(self, filename: str) -> list[dict[str, Any]] | None:
        """Reasons to look at a face, the most serious first: `reason` and `value`.

        None where the table is not that of the run.
        """
        flags = self._all_flags()
        return None if flags is None else flags.get(filename, [])

    def flagged(self, reason: str) -> list[str]:
        """The faces with a reason, in the order of the table; none where it is not the run's."""
        return [
            filename
            for filename, flags in (self._all_flags() or {}).items()
            if any(flag["reason"] == reason for flag in flags)
        ]

    def _all_flags(self) -> Flags | None:
        path = self.models.root / METADATA / FLAGS.name
        return self._flags.get(identity(path), lambda: _flags_in(path, self._flags_sha256))


def _flags_in(path: Path, sha256: str | None) -> Flags | None:
    with suppress(OSError, FaceStatsError):
        read = tables.read(path, FLAGS)
        if sha256_table(path) == sha256:
            flags: Flags = {}
            for row in read.itertuples():
                entry = {"reason": row.reason, "value": plain(row.value)}
                flags.setdefault(str(row.filename), []).append(entry)
            return flags
    return None


def _numbers(values: Any) -> np.ndarray:
    return np.round(np.asarray(values, dtype=np.float64), 5)
