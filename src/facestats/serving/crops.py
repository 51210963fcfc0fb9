"""Whether crops are those that the table of faces describes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.layout import CROPS
from facestats.faces.dedup import shows
from facestats.faces.tables import FACES
from facestats.serving.manifest import OF_TWO_RUNS, MixedPartsError, faces_table, identity

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
    table, new = faces_table(models), {}
    crops = Crops.of(models.root / CROPS)
    for name in names:
        file = (CROPS / name).as_posix()
        if not crops.has(name):
            raise MixedPartsError(f"{models.root / file} is not there; {OF_TWO_RUNS}")
        now = identity(crops.file(name))
        if now is None or models.compared_files.get(file) != now:
            new[name] = file, now
    if not new:
        return
    faces = tables.read(table, FACES, ["filename", "perceptual_hash"], [*new])
    hashes = faces.dropna().set_index("filename")["perceptual_hash"]
    for name, (file, now) in new.items():
        expected = np.frombuffer(bytes.fromhex(hashes[name]), np.uint8)
        if not shows(crops.read(name), expected):
            raise MixedPartsError(
                f"{models.root / file} is not the picture that was measured; {OF_TWO_RUNS}"
            )
        models.compared_files[file] = now
