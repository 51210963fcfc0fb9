"""One photo to its row and its crop, in a process of its own that imports nothing else."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from facestats.errors import FaultError, ImageError
from facestats.faces.crop import NO_FACE, NoFaceError, PreprocessConfig, crop_face
from facestats.faces.dedup import perceptual_hash
from facestats.faces.landmarks import Landmarker
from facestats.faces.runtime import keep_freed_memory
from facestats.machine.limits import CrashError, Limits, OverLimitError
from facestats.photos import budget, limited
from facestats.photos.budget import OverBudgetError
from facestats.photos.reading import read_photo
from facestats.rows.files import RowFiles

Result = TypeVar("Result")

# What a row depends on: only the photo's bytes; these and `max_pixels`; the load of this machine.
BY_BYTES, BY_LIMITS, BY_MACHINE = "bytes", "limits", "machine"


@dataclass(frozen=True)
class ProcessedPhoto:
    """The result for one photo.

    Attributes
    ----------
    row : dict
        The row's values.
    jpeg : bytes or None
        The crop, if the photo was accepted.
    basis : str
        What the row depends on: `BY_BYTES`; `BY_LIMITS`, which holds for runs with the same
        `max_pixels`; or `BY_MACHINE`, which holds for this run only.
    """

    row: dict
    jpeg: bytes | None = None
    basis: str = BY_BYTES


@dataclass(frozen=True)
class PhotoTask:
    """A photo to process: its file, the sha256 of its bytes, and where its crop goes."""

    source: str
    sha256: str
    targets: tuple[str, ...]


def process_photo(data: bytes, config: PreprocessConfig, landmarker: Landmarker) -> ProcessedPhoto:
    """One photo's bytes to its crop and the columns that depend on these bytes alone.

    A photo that can't be used is no error: its row has the status 'rejected' and a reason.

    Raises
    ------
    FaultError
        The machine fails repeatedly, for lack of memory for example: nothing is known about the
        photo.
    OverLimitError
        The photo takes more memory than `limits_of` allows this process.
    """
    row: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        face = within_limits(crop_face, config, data, config, landmarker)
    except NoFaceError as error:
        row |= {"status": "rejected", "reason": NO_FACE, "face_count": 0}
        return ProcessedPhoto(row | {"width": error.width, "height": error.height})
    except ImageError as error:
        return ProcessedPhoto(
            row | {"status": "rejected", "reason": str(error)},
            basis=BY_LIMITS if isinstance(error, OverBudgetError) else BY_BYTES,
        )
    row |= face.facts() | {
        "status": "ok",
        "reason": None if face.face_count else f"{NO_FACE}: centre square",
        "bits_per_pixel": bits_per_pixel(data, face.width, face.height),
        "perceptual_hash": perceptual_hash(face.grey).hex(),
    }
    if face.landmarks is not None:
        row["landmarks"] = face.landmarks.ravel()
    return ProcessedPhoto(row, face.jpeg(config.quality))


def within_limits(function: Callable[..., Result], config: PreprocessConfig, *arguments) -> Result:
    """Call what decodes a photo by these limits; see `limited.within_limits`."""
    return limited.within_limits(function, limits_of(config).memory, *arguments)


def limits_of(config: PreprocessConfig) -> Limits:
    """Limits of time and memory for a photo in a worker process."""
    return budget.limits(config.max_pixels, config.max_seconds, config.max_megabytes)


def over_limit(config: PreprocessConfig, error: OverLimitError | CrashError) -> str:
    """The reason in a row."""
    return budget.over_limit(config.max_pixels, config.max_seconds, error)


def bits_per_pixel(data: bytes, width: int, height: int) -> float:
    """Bits a pixel of a file; 0 for a picture of at most 256 colours (GIF, PNG with a palette)."""
    palette = data[:4] == b"GIF8" or (data[:8] == b"\x89PNG\r\n\x1a\n" and data[25:26] == b"\x03")
    return 0.0 if palette else 8 * len(data) / (width * height)


_state: tuple = ()  # of a worker: configuration, landmarker, files


def set_up(config: PreprocessConfig, model_dir: str, files: RowFiles) -> None:
    """Prepare this process for `process_task`."""
    global _state
    keep_freed_memory()
    _state = (config, Landmarker(model_dir), files)


def process_task(task: PhotoTask) -> dict:
    """Process one photo and write its crop.

    Returns the row's values with the crop's MD5 as `crop`, and `basis`, see `ProcessedPhoto`.

    Raises
    ------
    FaultError
        The file can't be read, or has changed since its sha256 was taken.
    OverLimitError
        See `process_photo`.
    """
    config, landmarker, files = _state
    try:
        data = read_photo(task.source, config.max_megabytes)
    except ImageError:
        data = b""
    try:
        done = process_photo(data, config, landmarker)
    except FaultError as error:
        raise FaultError(f"{task.source}: {error}") from None
    if done.row["sha256"] != task.sha256:
        raise FaultError(f"{task.source} was changed or removed while it was processed; run again")
    if done.jpeg:
        for target in task.targets:
            done.row["crop"] = files.save(done.jpeg, Path(target))
    return done.row | {"basis": done.basis}
