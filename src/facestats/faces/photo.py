"""One photo to its row and its crop, in a process of its own that imports nothing else."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from facestats.errors import ImageError, InputError
from facestats.faces.crop import NO_FACE, NoFaceError, PreprocessConfig, crop_face
from facestats.faces.dedup import perceptual_hash
from facestats.faces.landmarks import Landmarker
from facestats.faces.reading import read_photo
from facestats.faces.runtime import keep_freed_memory
from facestats.rows.files import RowFiles


@dataclass(frozen=True)
class ProcessedPhoto:
    """What became of one photo: its row's values and, if accepted, the crop's JPEG."""

    row: dict
    jpeg: bytes | None = None


@dataclass(frozen=True)
class PhotoTask:
    """A photo to process: its file, the sha256 of its bytes, and where its crop goes."""

    source: str
    sha256: str
    targets: tuple[str, ...]


def process_photo(data: bytes, config: PreprocessConfig, landmarker: Landmarker) -> ProcessedPhoto:
    """One photo's bytes to its crop and the columns that depend on these bytes alone.

    A photo that can't be used is no error: its row has the status 'rejected' and a reason.
    """
    row = {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        face = crop_face(data, config, landmarker)
    except NoFaceError as error:
        row |= {"status": "rejected", "reason": NO_FACE, "face_count": 0}
        return ProcessedPhoto(row | {"width": error.width, "height": error.height})
    except ImageError as error:
        return ProcessedPhoto(row | {"status": "rejected", "reason": str(error)})
    row |= face.facts() | {
        "status": "ok",
        "reason": None if face.face_count else f"{NO_FACE}: centre square",
        "bits_per_pixel": bits_per_pixel(data, face.width, face.height),
        "perceptual_hash": perceptual_hash(face.grey).hex(),
    }
    if face.landmarks is not None:
        row["landmarks"] = face.landmarks.ravel()
    return ProcessedPhoto(row, face.jpeg(config.quality))


def bits_per_pixel(data: bytes, width: int, height: int) -> float:
    """How little a file is compressed; 0 for one of at most 256 colours (GIF, PNG with a palette), however large it is."""
    palette = data[:4] == b"GIF8" or (data[:8] == b"\x89PNG\r\n\x1a\n" and data[25:26] == b"\x03")
    return 0.0 if palette else 8 * len(data) / (width * height)


_state: tuple = ()  # of a worker: configuration, landmarker, files


def set_up(config: PreprocessConfig, model_dir: str, files: RowFiles) -> None:
    """Prepare this process for `process_task`."""
    global _state
    keep_freed_memory()
    _state = (config, Landmarker(model_dir), files)


def process_task(task: PhotoTask) -> dict:
    """Process one photo and write its crop; returns the row's values with the crop's MD5 as `crop`.

    Raises
    ------
    InputError
        The file is not the one any more whose sha256 was taken.
    """
    config, landmarker, files = _state
    try:
        data = read_photo(task.source, config.max_megabytes)
    except ImageError:
        data = b""
    done = process_photo(data, config, landmarker)
    if done.row["sha256"] != task.sha256:
        raise InputError(f"{task.source} was changed or removed while it was processed; run again")
    if done.jpeg:
        for target in task.targets:
            done.row["crop"] = files.save(done.jpeg, Path(target))
    return done.row
