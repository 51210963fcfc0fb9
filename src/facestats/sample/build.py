"""Write the built-in sample: images, labels, ratings and the truth behind them."""

import csv
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from facestats.errors import InputError
from facestats.machine.pool import ordered_map
from facestats.sample.bad_files import write_bad_files
from facestats.sample.draw import Drawing, draw_face
from facestats.sample.raters import rate_faces
from facestats.sample.traits import Traits, another_photo, draw_traits

JPEG_QUALITY = 92
LABEL_COLUMNS = ("image", "gender", "ethnicity", "age", "person")
RATING_COLUMNS = ("image", "rater", "rating")
_MISSING = 1 / 3  # share of empty cells in each label column, and of faces without ratings
_PEOPLE = 20  # persons with two or three photos, at most a tenth of the faces

# Streams of random numbers below the sample's seed; `[seed, stream, i]` belongs to face i.
_TRAITS, _PHOTO, _NOISE, _LABELS, _RATERS, _BAD = range(6)


def write_sample(
    out: Path,
    n: int = 480,
    size: int = 256,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, int]:
    """Draw a sample and write it below `out`.

    Writes `images/` (JPEG; a dozen bad files among them, see `bad_files`) and `labels/` with
    `labels.csv`, `ratings.csv` and `truth.csv`. The bytes depend on `n`, `size` and `seed` alone.

    Parameters
    ----------
    out : Path
        Folder to write; its `images/` and `labels/` must not exist or be empty.
    n : int
        Number of drawn faces, at least 1.
    size : int
        Width and height of the pictures in pixels.
    seed : int, default 0
        Another seed draws other faces.
    workers : int, optional
        Number of processes; all processors by default.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of str to int
        Counts: `faces`, `bad_files`, `persons`, `ratings`, `rated`, and labelled faces per column.

    Raises
    ------
    InputError
        `out` already holds files.
    """
    images, labels = Path(out) / "images", Path(out) / "labels"
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(
                f"{folder} holds files already; the sample needs an empty folder: remove it or "
                "name another"
            )
    names = [f"face_{i + 1:0{max(4, len(str(n)))}d}.jpg" for i in range(n)]
    people, traits = cast(n, seed)
    draw = partial(_draw_file, images=images, size=size, seed=seed)
    landmarks = list(
        tqdm(
            _pooled(draw, names, traits, workers),
            total=n,
            desc="sample",
            unit="face",
            disable=None if progress else True,
        )
    )
    bad = write_bad_files(images, size=size, seed=int(_rng(seed, _BAD, 0).integers(2**31)))

    label_rows = [_label_row(names[i], traits[i], people[i], seed, i) for i in range(n)]
    _write_csv(labels / "labels.csv", label_rows, LABEL_COLUMNS)
    rated = [(names[i], traits[i]) for i in range(n) if _rng(seed, _RATERS, i).random() >= _MISSING]
    ratings = rate_faces(rated, seed)
    rating_rows = [dict(zip(RATING_COLUMNS, row, strict=True)) for row in ratings]
    _write_csv(labels / "ratings.csv", rating_rows, RATING_COLUMNS)
    identities = [person or name for person, name in zip(people, names, strict=True)]
    truth = [
        {"image": name, "identity": identity} | asdict(face) | points
        for name, identity, face, points in zip(names, identities, traits, landmarks, strict=True)
    ]
    _write_csv(labels / "truth.csv", truth, tuple(truth[0]))
    counts = {"faces": n, "bad_files": len(bad), "persons": len(set(people) - {""})}
    counts |= {"rated": len(rated), "ratings": len(ratings)}
    return counts | {
        column: sum(row[column] != "" for row in label_rows)
        for column in ("gender", "ethnicity", "age")
    }


def cast(n: int, seed: int) -> tuple[list[str], list[Traits]]:
    """Person (empty for somebody with only one photo) and traits of each of `n` photos."""
    people = [""] * n
    traits = [draw_traits(_rng(seed, _TRAITS, i)) for i in range(n)]
    # The photos of one person lie far apart: a random order is cut into pairs and triples.
    order = _rng(seed, _TRAITS, n).permutation(n)
    start = 0
    for k in range(min(_PEOPLE, n // 10)):
        photos = order[start : start + 2 + k % 2]
        start += len(photos)
        for i in photos:
            people[i] = f"person_{k + 1:02d}"
        for i in photos[1:]:
            traits[i] = another_photo(traits[photos[0]], _rng(seed, _PHOTO, int(i)))
    return people, traits


def save_jpeg(drawing: Drawing, path: Path) -> None:
    """Write a drawing as the sample's JPEG."""
    Image.fromarray(drawing.image).save(path, "JPEG", quality=JPEG_QUALITY)


def _draw_file(
    name: str, traits: Traits, index: int, images: Path, size: int, seed: int
) -> dict[str, float]:
    """Draw and write one face; returns its landmarks for `truth.csv`."""
    drawing = draw_face(traits, size, _rng(seed, _NOISE, index))
    save_jpeg(drawing, images / name)
    truth = {"face_width_px": round(drawing.face_width, 3)}
    for feature, (x, y) in drawing.landmarks.items():
        truth |= {f"{feature}_x": round(x, 3), f"{feature}_y": round(y, 3)}
    return truth


def _pooled(
    draw: Callable, names: list[str], traits: list[Traits], workers: int | None
) -> Iterable[dict[str, float]]:
    workers = min(workers or os.cpu_count() or 1, len(names))
    return ordered_map(
        _draw_one,
        zip(names, traits, range(len(names)), strict=True),
        0 if workers <= 1 else workers,
        _set_up,
        (draw,),
    )


_draw: list[Callable] = []  # of a worker


def _set_up(draw: Callable) -> None:
    _draw[:] = [draw]


def _draw_one(face: tuple[str, Traits, int]) -> dict[str, float]:
    return _draw[0](*face)


def _label_row(name: str, traits: Traits, person: str, seed: int, index: int) -> dict[str, str]:
    known = _rng(seed, _LABELS, index).random(3) >= _MISSING
    values = (traits.gender, traits.tone, f"{traits.age:.0f}")
    cells = {
        column: value if is_known else ""
        for column, value, is_known in zip(
            ("gender", "ethnicity", "age"), values, known, strict=True
        )
    }
    return {"image": name} | cells | {"person": person}


def _write_csv(path: Path, rows: list[dict], columns: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _rng(seed: int, stream: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, index])
