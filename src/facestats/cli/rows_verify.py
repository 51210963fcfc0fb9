"""`rows verify`: compute stored rows again and compare, since a store may hold false ones."""

from __future__ import annotations

import hashlib
import io
import math
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

from facestats.core.crops import Crops
from facestats.core.layout import CLIP, CROPS, LANDMARKER
from facestats.errors import ImageError, ModelError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import process_photo
from facestats.machine.faults import starting_threads
from facestats.machine.pool import count_workers, ordered_map
from facestats.photos.source import hash_photo, read_photo
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.interface import StorePath
from facestats.rows.place import open_below
from facestats.rows.recipes import read_rows, recipes
from facestats.rows.segments import list_segments, read_any_segment

if TYPE_CHECKING:
    from facestats.params.project import Params

# Another kind of processor rounds differently. The tolerances are far above that (the last bits of
# float32, the eighth of bfloat16) and far below the differences between faces.
LANDMARKS = 0.002  # of the crop's side
BOX = 0.002  # of the photo's longer side
DEGREES = 0.5
SHARES = 0.01  # of confidence, presence and the measures of a crop, and as a share of larger values
BITS = 8  # of a perceptual hash's 256
GREY_LEVELS = 3.0  # mean difference of 8×8 px, of 255
# Between embeddings of length 1; those of two photos of one face are some 0.3 apart.
DISTANCE = {"float32": 0.001}
HALF_DISTANCE = 0.03  # the same for precisions of 16 bits

_CRASHES = ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGBUS")
_EXACT = ("sha256", "status", "reason", "width", "height", "face_count")
_ALLOWED = {"yaw": DEGREES, "pitch": DEGREES, "roll": DEGREES, "landmarks": LANDMARKS}


@dataclass
class Comparison:
    """The outcome of comparing one stage's rows.

    Attributes
    ----------
    compared : int
        Rows that were computed again.
    equal : int
        Those of the same bits.
    rounding : int
        Those that differ no more than processors do.
    different : list of (str, str)
        Names of the others' photos or faces, and the columns that differ.
    not_compared : int
        Rows of other photos, parameters, weights or code, or left out of the sample.
    why : str
        Why nothing could be compared.
    """

    compared: int = 0
    equal: int = 0
    rounding: int = 0
    different: list[tuple[str, str]] = field(default_factory=list)
    not_compared: int = 0
    why: str = ""

    def add(
        self, name: str, stored: dict[str, Any], differences: Iterable[tuple[str, bool]]
    ) -> None:
        """Count a row by how its columns differ: (column, whether beyond rounding)."""
        columns = list(differences)
        self.compared += 1
        if beyond := [column for column, large in columns if large]:
            self.different.append((name, ", ".join(beyond)))
        elif columns:
            self.rounding += 1
        else:
            self.equal += 1


def deadly_segments(store: StorePath) -> list[StorePath]:
    """Segments that end the process that reads them, by a fault of the reader of parquet files."""
    left = []
    for recipe in recipes(store):
        with suppress(OSError), open_below(store, recipe.parent.name, recipe.name) as folder:
            left += [recipe / name for name in list_segments(folder)]
    deadly = []
    while left and hasattr(os, "fork"):
        last = _crash_of_reading(store, left)
        if last is None:
            break
        deadly.append(left[last])
        left = left[last + 1 :]
    return deadly


def _crash_of_reading(store: StorePath, segments: list[StorePath]) -> int | None:
    """Read segments in a copy of this process; the place of the one that ends it, if one does."""
    signs, sign = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C++ says at its end
            for path in segments:
                os.write(sign, b".")
                recipe = path.parent
                with (
                    suppress(Exception),  # which this process meets in its turn
                    open_below(store, recipe.parent.name, recipe.name) as folder,
                ):
                    read_any_segment(folder, path.name)
        finally:
            os._exit(0)
    os.close(sign)
    with open(signs, "rb") as signs_of_life:
        begun = len(signs_of_life.read())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    crashed = code < 0 and signal.Signals(-code).name in _CRASHES
    return begun - 1 if crashed else None


def verify_photos(
    root: Path, params: Params, store: StorePath, cache: DvcCache | None, sample: int | None
) -> Comparison:
    """Compare the stored rows and crops of `preprocess` with fresh ones.

    They are those of the photos, parameters, models and code as they are now.
    """
    from facestats.core.photo_files import check_names, list_images
    from facestats.faces.keys import recipe_hash, row_key
    from facestats.faces.preprocess import ROW_COLUMNS, STAGE

    images, models = root / params.data.images, root / LANDMARKER
    config = PreprocessConfig(**params.preprocess.cutting())
    try:
        Landmarker(models)
        recipe = recipe_hash(config, models)
    except ModelError as error:
        return Comparison(why=str(error))
    names = list_images(images)
    unusable = check_names(names)

    def key(name: str) -> str | None:
        try:
            return row_key(hash_photo(images / name, config.max_megabytes), recipe)
        except ImageError:
            return None

    with starting_threads(), ThreadPoolExecutor() as pool:
        usable = [name for name in names if name not in unusable]
        by_key = {key: name for key, name in zip(pool.map(key, usable), usable, strict=True) if key}
    table = read_rows(store, STAGE, recipe, ROW_COLUMNS)
    stored = _sample(table, by_key, sample)
    comparison = Comparison()
    if stored:
        files = RowFiles(store / STAGE / recipe[:32], cache)
        paths = [images / by_key[key] for key in stored]
        fresh = ordered_map(
            _process, paths, count_workers(len(paths)), _set_up, (config, str(models))
        )
        for (stored_key, rows), (row, jpeg) in zip(stored.items(), fresh, strict=True):
            for one in table.take(rows).to_pylist():
                comparison.add(by_key[stored_key], one, _photo_differences(one, row, jpeg, files))
    return comparison


def verify_faces(root: Path, params: Params, store: StorePath, sample: int | None) -> Comparison:
    """Compare the stored embeddings of `embed` with fresh ones.

    They are those of the faces, weights, parameters and code as they are now.
    """
    from facestats.clip.embed import STAGE, list_faces, recipe_hash, row_columns, row_fingerprint
    from facestats.clip.encoder import read_face
    from facestats.clip.load import load_encoder
    from facestats.core.fingerprint import sha256_json

    folder = root / CROPS
    try:
        encoder = load_encoder(root / CLIP, params.clip.precision, params.clip.batch_size)
    except ModelError as error:
        return Comparison(why=str(error))
    if not folder.is_dir():
        return Comparison(
            why=f"{folder}: no such folder; `dvc repro preprocess` makes it (or `dvc pull`)"
        )
    crops, fingerprint = Crops.of(folder), row_fingerprint(encoder)
    by_key = {
        sha256_json({**fingerprint, "face": hashlib.sha256(crops.read(name)).hexdigest()}): name
        for name in list_faces(crops)
    }
    table = read_rows(store, STAGE, recipe_hash(encoder), row_columns(encoder.dimension))
    stored = _sample(table, by_key, sample)
    comparison, allowed = Comparison(), DISTANCE.get(encoder.precision, HALF_DISTANCE)
    fresh = (
        encoder.stream(
            stored,
            lambda key: read_face(crops.one(by_key[key])),
        )
        if stored
        else ()
    )
    for (key, rows), embedding in zip(stored.items(), fresh, strict=True):
        for one in table.take(rows).to_pylist():
            comparison.add(
                by_key[key],
                one,
                _vector_differences(
                    "embedding",
                    one["embedding"],
                    embedding,
                    lambda a, b: float(np.linalg.norm(a - b)),
                    allowed,
                ),
            )
    return comparison


def _sample(table: pa.Table, names: dict[str, str], sample: int | None) -> dict[str, list[int]]:
    """Positions of stored rows by key, for the keys that can be computed again.

    A sample is drawn anew each time, so that nobody can tell which rows it spares.
    """
    rows: dict[str, list[int]] = {}
    for place, key in enumerate(table["key"].to_pylist()):
        if key in names:
            rows.setdefault(key, []).append(place)
    keys = (
        sorted(rows)
        if sample is None or sample >= len(rows)
        else random.SystemRandom().sample(sorted(rows), sample)
    )
    return {key: rows[key] for key in keys}


_state: tuple = ()  # of a worker: configuration, landmarker


def _set_up(config: PreprocessConfig, models: str) -> None:
    global _state
    _state = (config, Landmarker(models))


def _process(path: Path) -> tuple[dict[str, Any], bytes | None]:
    config, landmarker = _state
    done = process_photo(read_photo(path, config.max_megabytes), config, landmarker)
    return done.row, done.jpeg


def _photo_differences(
    stored: dict[str, Any], row: dict[str, Any], jpeg: bytes | None, files: RowFiles
) -> Iterator[tuple[str, bool]]:
    """Columns of a photo's row that differ, and whether beyond rounding."""
    for column, value in stored.items():
        other: Any = row.get(column)
        if column in ("key", "crop"):
            continue
        if (value is None) != (other is None):
            yield column, True
        elif value is None:
            continue
        elif column in _EXACT:
            if value != other:
                yield column, True
        elif column == "perceptual_hash":
            if value != other:
                yield column, _bits_between(value, other) > BITS
        else:
            allowed = (
                BOX * max(row["width"], row["height"])
                if column == "box"
                else _ALLOWED.get(column, SHARES * max(1.0, abs(np.max(other))))
            )
            yield from _vector_differences(
                column, value, other, lambda a, b: float(np.abs(a - b).max()), allowed
            )
    if (stored["crop"] is None) != (jpeg is None):
        yield "crop", True
    elif (
        jpeg is not None and stored["crop"] != hashlib.md5(jpeg, usedforsecurity=False).hexdigest()
    ):
        kept = files.read(stored["crop"])
        if kept is not None:  # one that is lost is cut anew
            yield "crop", _looks_different(kept, jpeg)


def _bits_between(one: str, other: str) -> float:
    """Bits in which two perceptual hashes differ; infinite where the stored one is no hash."""
    try:
        return (int(one, 16) ^ int(other, 16)).bit_count()
    except ValueError:
        return math.inf


def _vector_differences(
    column: str,
    one: Any,
    other: Any,
    distance: Callable[[np.ndarray, np.ndarray], float],
    allowed: float,
) -> Iterator[tuple[str, bool]]:
    a, b = (
        np.asarray(value, dtype=np.float32).ravel().astype(np.float64) for value in (one, other)
    )
    if a.shape != b.shape:
        yield column, True
    elif not np.array_equal(a, b):  # to the bit; what follows has a tolerance
        yield column, not distance(a, b) <= allowed  # also where a number is none


def _looks_different(one: bytes, other: bytes) -> bool:
    """Whether two crops differ by more than their last bits."""
    try:
        a, b = (
            np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float32)
            for data in (one, other)
        )
    except (OSError, ValueError, Image.DecompressionBombError):
        return True
    if a.shape != b.shape:
        return True
    height, width = (side - side % 8 for side in a.shape[:2])
    blocks = (a - b)[:height, :width].reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))
    return bool(np.abs(blocks).max() > GREY_LEVELS)
