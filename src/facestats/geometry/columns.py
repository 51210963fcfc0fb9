"""The measurements of faces as they stand in the tables: from landmarks, and the crop's pixels.

The tables and the functions on one photo take this way alike. A measurement that the head's pose
spoils is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from facestats.core.crops import Crops
from facestats.core.doubts import HIDDEN as OCCLUDED
from facestats.errors import ModelError
from facestats.faces.irises import Irises, load_irises
from facestats.faces.models import MESH_FILE
from facestats.geometry import skin
from facestats.geometry.measurements import MEASUREMENTS, NAMES, measure
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.tables import PUPILS_SOURCE, SKIN_CLASS, SKIN_MISSING
from facestats.machine.faults import starting_threads
from facestats.machine.pool import count_workers
from facestats.photos.decode import to_photo

IRISES, CONTOURS = "irises", "contours"
SKIN = ("skin_l", "skin_a", "skin_b", "skin_ita")
COLUMNS = (*NAMES, PUPILS_SOURCE, *SKIN, SKIN_CLASS, SKIN_MISSING)
MAX_YAW, MAX_PITCH = 30.0, 30.0  # degrees up to which the skin shows
_TOGETHER = 16  # faces that a thread takes: handing over one takes longer than a glance at it
_ENOUGH = 512  # px, side of a crop: an eye takes 60 of them, and the iris model sees 64


def measure_table(
    shapes: LandmarkTable, crops: Path, landmarker: Path
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Measure all faces of a project, some at a time.

    Parameters
    ----------
    shapes : LandmarkTable
        Of n faces.
    crops : Path
        Folder of their crops.
    landmarker : Path
        Folder that may hold the iris model.

    Yields
    ------
    start : int
        Number of the first of these faces.
    measured : DataFrame
        As `measure_faces` gives it.

    Raises
    ------
    ModelError
        The folder holds no landmarker, as where two paths of a stage were swapped.
    """
    if not (landmarker / MESH_FILE).is_file():
        raise ModelError(
            f"{landmarker} holds no {MESH_FILE}; `dvc repro fetch_landmarker` puts it there"
        )
    irises = load_irises(landmarker, count_workers(len(shapes)))
    sources, start = Crops.of(crops), 0
    with tqdm(total=len(shapes), desc="measuring", unit="face", disable=None) as bar:
        for batch in shapes.batches():
            rows = shapes.rows.iloc[start : start + len(batch)]
            files = sources.sources(rows["filename"])
            yaw, pitch, occlusion = rows[["yaw", "pitch", "occlusion"]].to_numpy(float).T
            yield start, measure_faces(batch, files, yaw, pitch, occlusion, irises)
            start += len(batch)
            bar.update(len(batch))


def measure_faces(
    landmarks: np.ndarray,
    crops: Sequence[Any],
    yaw: np.ndarray,
    pitch: np.ndarray,
    occlusion: np.ndarray,
    irises: Irises | None = None,
) -> pd.DataFrame:
    """Measure faces.

    Parameters
    ----------
    landmarks : ndarray of float (n, 468, 3)
        As shares of the crops' side; NaN where there are none.
    crops : sequence of path or bytes
        The crop of each face; one without landmarks is not opened, one that is not there gives no
        colours.
    yaw, pitch : ndarray (n,)
        Degrees, as in `faces.parquet`.
    occlusion : ndarray (n,)
        How likely it is that something hides a part of the face, 0 to 1; NaN counts as 0.
    irises : Irises, optional
        Without it the mean of an eye's contour stands in for its pupil.

    Returns
    -------
    DataFrame
        `COLUMNS`, rows 0 … n-1.
    """
    there = np.asarray(np.isfinite(landmarks).all(axis=(1, 2)))
    pupils, colours, missing = _pixels(crops, landmarks, there, irises)
    measured = measure(landmarks, pupils)
    yaw, pitch = np.abs(np.asarray(yaw, float)), np.abs(np.asarray(pitch, float))
    for one in MEASUREMENTS:
        if np.isfinite([one.max_yaw, one.max_pitch]).any():
            steady = (yaw <= one.max_yaw) & (pitch <= one.max_pitch)
            measured[one.name] = measured[one.name].where(steady)
    source = np.full(len(landmarks), None, dtype=object)
    source[there] = CONTOURS
    source[np.asarray(np.isfinite(pupils).all(axis=(1, 2)))] = IRISES
    measured[PUPILS_SOURCE] = pd.Series(source, dtype="str")
    hidden = np.asarray(occlusion, float) >= OCCLUDED
    turned = ~((yaw <= MAX_YAW) & (pitch <= MAX_PITCH))
    bluish = ~(colours[:, 2] > 0)
    for reason, applies in ((skin.TURNED, turned), (skin.HIDDEN, hidden), (skin.BLUISH, bluish)):
        missing[applies & pd.isna(missing)] = reason
    colours[~pd.isna(missing)] = np.nan
    angle = skin.typology_angle(colours[:, 0], colours[:, 2])
    measured[list(SKIN)] = np.column_stack([colours, angle])
    measured[SKIN_CLASS] = pd.Series(skin.typology_class(angle), dtype="str")
    measured[SKIN_MISSING] = pd.Series(missing, dtype="str")
    return measured


def _pixels(
    crops: Sequence[Any], landmarks: np.ndarray, there: np.ndarray, irises: Irises | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pupils (n, 2, 2), skin colours (n, 3), and why there is no colour (n,) or None."""
    n = len(landmarks)
    pupils, colours = np.full((n, 2, 2), np.nan), np.full((n, 3), np.nan)
    missing = np.full(n, None, dtype=object)

    def look_at_some(start: int) -> None:
        for at in range(start, min(start + _TOGETHER, n)):
            look(at)

    def look(at: int) -> None:
        crop = crops[at]
        if not there[at]:
            missing[at] = skin.NO_LANDMARKS
            return
        if isinstance(crop, str | PathLike) and not Path(crop).exists():
            missing[at] = skin.NO_CROP
            return
        rgb = to_photo(crop, _ENOUGH, ours=True).rgb
        if irises is not None:
            found = irises.find(rgb, landmarks[at])
            pupils[at] = found if np.isfinite(found).all() else np.nan
        colour = skin.skin_colour(rgb, landmarks[at])
        if isinstance(colour, str):
            missing[at] = colour
        else:
            colours[at] = colour

    workers = count_workers(n)
    if workers == 1:
        for at in range(n):
            look(at)
    else:
        # Threads suffice: decoding and LiteRT release Python's lock.
        with starting_threads(), ThreadPoolExecutor(workers) as pool:
            list(pool.map(look_at_some, range(0, n, _TOGETHER)))
    return pupils, colours, missing
