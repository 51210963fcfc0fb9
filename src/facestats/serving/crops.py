"""Whether crops are those that the table of faces describes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facestats.core import tables
from facestats.core.layout import CROPS
from facestats.faces.dedup import shows
from facestats.faces.tables import FACES
from facestats.serving.manifest import OF_TWO_RUNS, MixedPartsError, faces_table

if TYPE_CHECKING:
    from facestats.serving.models import Models


def check_crops(models: Models, names: Iterable[str]) -> None:
    """Compare crops with the pictures that the models' run has measured, each file once.

    Parameters
    ----------
    models : Models
    names : iterable of str
        Filenames of crops.

    Raises
    ------
    MixedPartsError
        A crop shows another picture or is not there, or the table of faces is of another run.
    """
    faces = tables.read(faces_table(models), FACES, ["filename", "perceptual_hash"])
    hashes = faces.dropna().set_index("filename")["perceptual_hash"]
    for name in names:
        path = models.root / CROPS / name
        if not path.is_file():
            raise MixedPartsError(f"{path} is not there; {OF_TWO_RUNS}")
        state = _state(path)
        if models.compared_crops.get(name) == state:
            continue
        expected = np.frombuffer(bytes.fromhex(hashes[name]), np.uint8)
        if not shows(path.read_bytes(), expected):
            raise MixedPartsError(f"{path} is not the picture that was measured; {OF_TWO_RUNS}")
        models.compared_crops[name] = state


def _state(path: Path) -> tuple[int, ...]:
    """What changes with a file's content."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
