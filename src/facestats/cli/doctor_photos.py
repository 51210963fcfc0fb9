"""Look into the photos before a run does: which can't be used, which hold no face, which are
copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from facestats.core.layout import CROPS, LANDMARKER, METADATA
from facestats.core.photo_files import printable
from facestats.errors import FaultError, ImageError, number_of
from facestats.faces.comparison import read_thumbnail
from facestats.faces.crop import NO_FACE, PreprocessConfig
from facestats.faces.dedup import find_near_duplicates
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import limits_of, over_limit, process_photo, within_limits
from facestats.machine.pool import count_workers, ordered_map
from facestats.photos.decode import open_photo
from facestats.photos.reading import hash_photo, read_photo

if TYPE_CHECKING:
    from facestats.cli.doctor_inputs import Inputs
    from facestats.params.project import Params

MOST = 2000  # photos looked at unless all are asked for: half a minute on two cores
SHOWN = 5  # names in a warning
_ENOUGH = 1024  # px of the long side that a photo is decoded at where no face is looked for


@dataclass(frozen=True)
class Look:
    """What is known of one photo.

    Attributes
    ----------
    reason : why it can't be used, in the words of `faces.parquet`; None where it can
    fault : why nothing is known of it, which would stop a run
    sha256 : of its bytes; None where it can't be read
    faces : faces found; None where nobody looked
    perceptual_hash : of its face, as hexadecimal text
    face : its `faces.comparison.thumbnail`, or the file of its crop
    """

    reason: str | None = None
    sha256: str | None = None
    faces: int | None = None
    perceptual_hash: str | None = None
    face: np.ndarray | Path | None = None
    fault: str | None = None


def spread(images: list[str], most: int | None) -> list[str]:
    """At most so many of the photos, evenly spread over the folder."""
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
    folder, images : the image folder, and paths below it
    models : folder of the landmark models; None: photos are only decoded
    known : what the last run found, by sha256 of the photo's bytes; such photos are read, but not
        looked at again
    """
    from tqdm import tqdm

    paths = [folder / image for image in images]
    with ThreadPoolExecutor() as pool:
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
    """Look into the photos; adds what is wrong to `inputs` and returns the counts.

    Parameters
    ----------
    every : look into all of them; False: into `MOST` at most

    Returns
    -------
    dict with `files`, `looked_at`, `unusable`, `no_pictures`, `without_face`, `copies` and `faces`,
    the last as many as all photos are likely to have (None: not counted); `copies` are those beyond
    the first of each group.
    """
    images = inputs.images or []
    chosen = spread(images, None if every else MOST)
    counts: dict[str, Any] = {"files": len(images), "looked_at": len(chosen), "faces": None}
    counts |= dict.fromkeys(("unusable", "no_pictures", "without_face", "copies"), 0)
    if not chosen:
        return counts
    folder, models = root / params.data.images, _models(root, params)
    config = PreprocessConfig(**params.preprocess.model_dump())
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
    """Findings, and how many there are of each kind."""
    from facestats.cli.doctor_inputs import TABLES, Finding
    from facestats.labels.names import PICTURES

    others, faceless = [], []
    named = {problem.path for problem in inputs.problems}  # what DVC can't read either
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
    """The photo that each copy is one of: by the same bytes, or by faces that are copies; `size` is
    that of the crops, px.
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
        return read_thumbnail(face, size) if isinstance(face, Path) else face

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
    """Folder of the landmark models, where they are there."""
    from facestats.faces.models import SHA256

    folders = [root / LANDMARKER, root / Path(params.landmarker.source).expanduser()]
    return next(
        (folder for folder in folders if all((folder / name).is_file() for name in SHA256)), None
    )


def _last_run(root: Path) -> dict[str, Look]:
    """What the last run found, by sha256 of the photo; empty without one."""
    import pandas as pd

    columns = ["sha256", "status", "reason", "face_count", "perceptual_hash", "filename"]
    try:
        table = pd.read_parquet(root / METADATA / "faces.parquet", columns=columns).dropna(
            subset="sha256"
        )
    except (OSError, ValueError):
        return {}
    crops, found = root / CROPS, {}
    for sha256, status, reason, count, phash, filename in table.itertuples(index=False):
        if status != "ok" and "limit" in str(reason):  # of the machine or the parameters then
            continue
        face = None if pd.isna(filename) else crops / filename
        found[sha256] = Look(
            None if status == "ok" or reason == NO_FACE else reason,
            sha256,
            0 if pd.isna(count) else int(count),
            phash,
            face if face and face.is_file() else None,
        )
    return found
