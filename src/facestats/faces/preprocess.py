"""A folder of photos to aligned faces and the table `faces.parquet`."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from facestats import tables
from facestats.errors import ImageError, InputError
from facestats.faces.crop import NO_FACE, NoFaceError, PreprocessConfig, crop_face
from facestats.faces.decode import read_photo
from facestats.faces.dedup import find_near_duplicates, first_of_group, perceptual_hash
from facestats.faces.files import check_names, face_filename, list_images, printable
from facestats.faces.keys import recipe_hash, row_key
from facestats.faces.landmarks import Landmarker
from facestats.faces.pool import count_workers, ordered_map
from facestats.faces.quality import brightness, grey_crop, sharpness


@dataclass
class ProcessedPhoto:
    """What became of one photo: its row's values and, if accepted, the crop's JPEG and perceptual hash."""

    row: dict = field(default_factory=dict)
    jpeg: bytes | None = None
    phash: bytes | None = None


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
    grey = grey_crop(face.rgb)
    row |= {
        "status": "ok",
        "reason": None if face.face_count else f"{NO_FACE}: centre square",
        "width": face.width,
        "height": face.height,
        "face_count": face.face_count,
        "sharpness": sharpness(grey),
        "brightness": brightness(grey),
    }
    if face.landmarks is not None:
        row |= {"confidence": face.confidence, "box": face.box, "landmarks": face.landmarks.ravel()}
        row |= {"yaw": face.pose.yaw, "pitch": face.pose.pitch, "roll": face.pose.roll}
    return ProcessedPhoto(row, face.jpeg(config.quality), perceptual_hash(grey))


def preprocess_folder(
    images: str | Path,
    out_dir: str | Path,
    config: PreprocessConfig,
    model_dir: str | Path,
    workers: int | None = None,
) -> pd.DataFrame:
    """Cut the largest face out of every photo below a folder.

    Parameters
    ----------
    images : folder of the photos; every file that is not hidden counts as one
    out_dir : where the faces go, as `face_filename` names them
    config : PreprocessConfig
    model_dir : folder of the landmarker's two files
    workers : processes; None takes all processors. The result does not depend on it.

    Returns
    -------
    One row an image, sorted by `image`, rejected ones included, with the columns of `faces.parquet`.

    Raises
    ------
    InputError
        There are no images, or `out_dir` lies inside of them.
    ModelError
        The landmarker's files are missing or broken.
    """
    images, out_dir = Path(images), Path(out_dir)
    names = list_images(images)
    if out_dir.resolve().is_relative_to(images.resolve()):
        raise InputError(
            f"{out_dir} lies in the folder of the photos, {images}: its faces would be photos next time"
        )
    Landmarker(model_dir)  # broken files are named here: from a worker would come only that it died
    recipe = recipe_hash(config, model_dir)
    unusable = check_names(names)
    usable = [name for name in names if name not in unusable]
    rows = [
        {"image": printable(name), "status": "rejected", "reason": reason}
        for name, reason in unusable.items()
    ]
    hashes = {}
    for name, (row, phash) in _process_all(usable, images, out_dir, config, model_dir, workers):
        rows.append(
            {"image": name, **row, "key": row_key(row["sha256"], recipe) if row.get("sha256") else None}
        )
        if phash:
            hashes[name] = phash
            rows[-1]["filename"] = face_filename(name)
    frame = pd.DataFrame(rows, columns=list(tables.FACES.columns), dtype=object).sort_values(
        "image", kind="stable", ignore_index=True
    )
    _mark_duplicates(frame, hashes)
    return frame.where(frame.notna(), None)


def _process_all(names, images, out_dir, config, model_dir, workers) -> Iterator[tuple[str, tuple]]:
    tasks = [(str(images / name), str(out_dir / face_filename(name))) for name in names]
    out_dir.mkdir(parents=True, exist_ok=True)
    results = ordered_map(
        _process_file,
        tasks,
        count_workers(len(tasks), workers),
        _set_up,
        (config, str(model_dir), str(out_dir)),
    )
    return zip(names, tqdm(results, "preprocess", len(tasks), unit="photo", disable=None), strict=True)


_state: tuple = ()  # of a worker: configuration, landmarker and folder for temporary files


def _set_up(config: PreprocessConfig, model_dir: str, out_dir: str) -> None:
    global _state
    _state = (config, Landmarker(model_dir), out_dir)


def _process_file(task: tuple[str, str]) -> tuple[dict, bytes | None]:
    """Process one file and write its crop; returns the row's values and the perceptual hash."""
    source, target = task
    config, landmarker, out_dir = _state
    try:
        data = read_photo(source)
    except ImageError as error:
        return {"status": "rejected", "reason": str(error)}, None
    done = process_photo(data, config, landmarker)
    if done.jpeg:
        temporary = os.path.join(out_dir, f".part-{os.getpid()}")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(done.jpeg)
            os.replace(temporary, target)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)
    return done.row, done.phash


def _mark_duplicates(frame: pd.DataFrame, hashes: dict[str, bytes]) -> None:
    """Fill `duplicate_of` and `near_duplicate_of` of the accepted rows, in the order of the table.

    An exact duplicate has only `duplicate_of`: its first copy stands for it among the near duplicates.
    """
    accepted = frame.index[frame["status"] == "ok"]
    exact = first_of_group(frame.loc[accepted, "sha256"].tolist())
    for row, first in zip(accepted, exact, strict=True):
        if first is not None:
            frame.at[row, "duplicate_of"] = frame.at[accepted[first], "filename"]
    single = [row for row, first in zip(accepted, exact, strict=True) if first is None]
    near = find_near_duplicates([hashes[frame.at[row, "image"]] for row in single])
    for row, first in zip(single, near, strict=True):
        if first is not None:
            frame.at[row, "near_duplicate_of"] = frame.at[single[first], "filename"]
