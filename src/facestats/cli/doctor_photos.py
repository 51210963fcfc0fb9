"""Check the photos before a run: unusable ones, photos without a face, copies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from facestats.core.crops import Crop, Crops
from facestats.core.layout import CROPS, FACES_TABLE, LANDMARKER
from facestats.core.photo_files import printable
from facestats.errors import FaceStatsError, FaultError, ImageError, number_of
from facestats.faces.comparison import read_thumbnail
from facestats.faces.crop import NO_FACE, PreprocessConfig
from facestats.faces.dedup import find_near_duplicates
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import limits_of, over_limit, process_photo, within_limits
from facestats.machine.faults import starting_threads
from facestats.machine.pool import count_workers, ordered_map
from facestats.photos.decode import open_photo
from facestats.photos.source import hash_photo, read_photo

if TYPE_CHECKING:
    from facestats.cli.doctor_inputs import Inputs
    from facestats.params.project import Params

MOST = 2000  # photos looked at unless all are asked for: half a minute on two cores
SHOWN = 5  # names in a warning
_ENOUGH = 1024  # px of the long side that a photo is decoded at where no face is looked for


@dataclass(frozen=True)
class Look:
    """The result of examining one photo.

    Attributes
    ----------
    reason : str or None
        Why it can't be used, as in `faces.parquet`.
    sha256 : str or None
        Of its bytes; None if it can't be read.
    faces : int or None
        Number of faces; None if nothing looked for them.
    perceptual_hash : str or None
        Of its face, hexadecimal.
    face : uint8 array or Crop, or None
        Its `faces.comparison.thumbnail`, or its crop.
    fault : str or None
        Why the machine could not examine it, which would stop a run.
    """

    reason: str | None = None
    sha256: str | None = None
    faces: int | None = None
    perceptual_hash: str | None = None
    face: np.ndarray | Crop | None = None
    fault: str | None = None


def spread(images: list[str], most: int | None) -> list[str]:
    """Take at most `most` photos, evenly spread over the folder."""
    if most is None or len(images) <= most:
        return images
    return [images[i * len(images) // most] for i in range(most)]


def look_at_photos(
    folder: Path,
    images: list[str],
    config: PreprocessConfig,
    models: Path | None,
    known: Mapping[str, Look],
) -> list[Look]:
    """Look at photos as `preprocess` will, on all processors.

    Parameters
    ----------
    folder : Path
        The image folder.
    images : list of str
        Paths below it.
    config : PreprocessConfig
    models : Path or None
        Folder of the landmark models; None: photos are only decoded.
    known : mapping of str to Look
        Results of the last run by sha256 of the photo's bytes; such photos are hashed only.

    Returns
    -------
    list of Look
        In the order of `images`.
    """
    from tqdm import tqdm

    paths = [folder / image for image in images]
    with starting_threads(), ThreadPoolExecutor() as pool:
        read = pool.map(lambda path: _read(path, config.max_megabytes), paths)
        looks = list(tqdm(read, "reading", len(paths), unit="photo", disable=None, leave=False))
    looks = [known.get(look.sha256 or "", look) for look in looks]
    new = [
        i
        for i, look in enumerate(looks)
        if look.reason is None and look.faces is None and look.fault is None
    ]
    done = ordered_map(
        _look,
        [paths[i] for i in new],
        count_workers(len(new)),
        _set_up,
        (config, models),
        limits_of(config),
        lambda _, error: Look(over_limit(config, error)),
    )
    for i, look in zip(
        new,
        tqdm(done, "looking for faces", len(new), unit="photo", disable=None, leave=False),
        strict=True,
    ):
        looks[i] = look
    return looks


def _read(path: Path, max_megabytes: float) -> Look:
    try:
        return Look(sha256=hash_photo(path, max_megabytes))
    except ImageError as error:
        return Look(str(error))
    except FaultError as error:
        return Look(fault=str(error))


_state: tuple = ()  # of a worker: configuration, landmarker


def _set_up(config: PreprocessConfig, models: Path | None) -> None:
    global _state
    _state = (config, Landmarker(models) if models else None)


def _look(path: Path) -> Look:
    config, landmarker = _state
    try:
        data = read_photo(path, config.max_megabytes)
        sha256 = hashlib.sha256(data).hexdigest()
        if landmarker is None:
            within_limits(open_photo, config, data, _ENOUGH, config.max_pixels)
            return Look(sha256=sha256)
        done = process_photo(data, config, landmarker)
    except ImageError as error:
        return Look(str(error))
    except FaultError as error:
        return Look(fault=str(error))
    row = done.row
    if row["status"] == "ok" or row["reason"] == NO_FACE:
        return Look(
            None,
            sha256,
            row["face_count"],
            row.get("perceptual_hash"),
            read_thumbnail(done.jpeg, config.size) if done.jpeg else None,
        )
    return Look(row["reason"], sha256)


def examine_photos(root: Path, params: Params, inputs: Inputs, every: bool) -> dict[str, Any]:
    """Examine the photos, add what is wrong to `inputs`, and return the counts.

    Parameters
    ----------
    root : Path
        The project folder.
    params : Params
    inputs : Inputs
    every : bool
        Examine all photos, not `MOST` at most.

    Returns
    -------
    dict
        `files`, `looked_at`, `unusable`, `no_pictures`, `without_face`, `copies` (beyond the first
        of each group) and `faces`: an estimate for all photos, or None if not counted.
    """
    images = inputs.images or []
    chosen = spread(images, None if every else MOST)
    counts: dict[str, Any] = {"files": len(images), "looked_at": len(chosen), "faces": None}
    counts |= dict.fromkeys(("unusable", "no_pictures", "without_face", "copies"), 0)
    if not chosen:
        return counts
    folder, models = root / params.data.images, _models(root, params)
    config = PreprocessConfig(**params.preprocess.cutting())
    looks = look_at_photos(folder, chosen, config, models, _last_run(root))
    _sort_out(
        params.data.images, dict(zip(chosen, looks, strict=True)), config.size, inputs, counts
    )
    if models is not None:
        with_face = sum(bool(look.faces) for look in looks)
        counts["faces"] = round(len(images) * with_face / len(chosen))
    return counts


def _sort_out(
    folder: str, looks: dict[str, Look], size: int, inputs: Inputs, counts: dict[str, Any]
) -> None:
    """Turn looks into findings, and count each kind."""
    from facestats.cli.doctor_inputs import TABLES, Finding
    from facestats.labels.names import PICTURES

    others, faceless = [], []
    named = {problem.path for problem in inputs.problems}  # files that DVC can't read either
    for image, look in looks.items():
        if f"{folder}/{printable(image)}" in named:
            continue
        if look.fault:
            inputs.problems.append(
                Finding("unreadable", look.fault, f"{folder}/{printable(image)}")
            )
            continue
        suffix = PurePosixPath(image).suffix.lower()
        if look.reason and suffix.lstrip(".") not in PICTURES:
            others += [image] if suffix not in TABLES else []  # those are named as label files
        elif look.reason:
            inputs.problems.append(
                Finding(
                    "photo",
                    f"{folder}/{printable(image)}: {look.reason}; a run leaves it out: copy it "
                    "again from where it came, or remove it",
                    f"{folder}/{printable(image)}",
                )
            )
            counts["unusable"] += 1
        elif look.faces == 0:
            faceless.append(image)
    copies = find_copies(looks, size)
    for kind, count, names, text in (
        ("no_picture", "no_pictures", others, "no picture, and a run leaves them out"),
        ("no_face", "without_face", faceless, "without a face that was found"),
        (
            "copy",
            "copies",
            [f"{copy} of {first}" for copy, first in copies.items()],
            "copies of others",
        ),
    ):
        counts[count] = len(names)
        if names:
            shown = ", ".join(map(printable, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
            inputs.warnings.append(
                Finding(
                    kind,
                    f"{number_of(len(names), 'file')} in {folder} to look at, {text}: {shown}",
                    folder,
                )
            )


def find_copies(looks: Mapping[str, Look], size: int) -> dict[str, str]:
    """Find copies among photos, by the same bytes or the same face.

    Parameters
    ----------
    looks : mapping of str to Look
    size : int
        That of the crops, px.

    Returns
    -------
    dict of str to str
        The original of each copy.
    """
    first: dict[str, str] = {}
    copies = {}
    for image, look in looks.items():
        if look.sha256 and (original := first.setdefault(look.sha256, image)) != image:
            copies[image] = original
    faces = [
        image for image, look in looks.items() if look.face is not None and image not in copies
    ]

    def thumbnail(position: int) -> np.ndarray:
        face: Any = looks[faces[position]].face
        return face if isinstance(face, np.ndarray) else read_thumbnail(face.read_bytes(), size)

    near = find_near_duplicates(
        [bytes.fromhex(looks[image].perceptual_hash or "") for image in faces],
        thumbnail,
        np.zeros(len(faces)),
    )
    return copies | {
        image: faces[leader]
        for image, leader in zip(faces, near, strict=True)
        if leader is not None
    }


def _models(root: Path, params: Params) -> Path | None:
    """Folder of the landmark models, if they have been fetched."""
    from facestats.faces.models import NEEDED

    folders = [root / LANDMARKER, root / Path(params.landmarker.source).expanduser()]
    return next(
        (folder for folder in folders if all((folder / name).is_file() for name in NEEDED)), None
    )


def _last_run(root: Path) -> dict[str, Look]:
    """Results of the last run by sha256 of the photo; empty without one, or with a damaged one."""
    import pandas as pd

    from facestats.core import tables
    from facestats.faces.tables import FACES

    columns = ["sha256", "status", "reason", "face_count", "perceptual_hash", "filename"]
    try:
        table = tables.read(root / FACES_TABLE, FACES, columns).dropna(subset="sha256")
    except (OSError, FaceStatsError):
        return {}
    faces = table.dropna(subset="filename")
    if not faces["perceptual_hash"].str.fullmatch("[0-9a-f]{64}").eq(True).all():
        return {}
    crops, looks = Crops.of(root / CROPS), {}
    for sha256, status, reason, count, phash, filename in table.itertuples(index=False):
        if status != "ok" and "limit" in str(reason):  # limits may have changed since
            continue
        looks[sha256] = Look(
            None if status == "ok" or reason == NO_FACE else reason,
            sha256,
            0 if pd.isna(count) else int(count),
            phash,
            None if pd.isna(filename) or not crops.has(filename) else crops.one(filename),
        )
    return looks
