"""Folders of stimuli: the pictures, and a sheet of how each was made and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from facestats.core.crops import Crops
from facestats.core.files import write_bytes, write_csv
from facestats.core.photo_files import refuse_link_out
from facestats.errors import (
    FaultError,
    ImageError,
    InputError,
    ModelError,
    WithheldError,
    number_of,
    suggestion,
)
from facestats.geometry.measurements import NAMES
from facestats.groups.filters import filter_faces
from facestats.photos.reading import MAX_MEGABYTES
from facestats.photos.source import as_source, hash_photo, is_photo
from facestats.serving import answers
from facestats.serving.checks import as_text
from facestats.stimuli.photo import encoded

if TYPE_CHECKING:
    from facestats.serving.models import Models
    from facestats.serving.stimuli import Mover
    from facestats.stimuli.params import Stimuli

KEPT = (".jpg", ".jpeg", ".png")  # formats in which a picture is written as it came
SHEET = "stimuli.csv"
SCORES = ("score", "geometric", "combined")  # fields of `Score`
BEFORE = "_before"


def stimulus_name(image: str) -> str:
    """The name of a photo's stimulus: the photo's own, with `.png` appended to other formats."""
    return image if PurePosixPath(image).suffix.lower() in KEPT else f"{image}.png"


def write_stimuli(
    mover: Mover, photos: Iterable[tuple[str, Any, Path]], sheet: Path
) -> Iterator[dict[str, Any]]:
    """Move the face of each photo, and write the pictures and their sheet.

    Parameters
    ----------
    mover : Mover
    photos : iterable of (str, image, Path)
        Name, source, and where its picture goes.
    sheet : Path
        Where the sheet goes.

    Yields
    ------
    dict
        The photo's row of the sheet, with `error` for one that can't be used.

    Raises
    ------
    InputError
        Two photos have one target.
    """
    rows, written = [], {}
    try:
        for name, source, target in photos:
            if target in written:
                raise InputError(
                    f"{written[target]} and {name} would both be written to {target.name}; rename "
                    "one"
                )
            written[target] = name
            row = _moved(mover, name, source, target, sheet.parent)
            rows.append(as_text(row))
            yield row
    finally:  # a run that stops leaves a row of each picture
        table = pd.DataFrame(rows, columns=None if rows else ["image", "stimulus"])
        write_csv(sheet, table[[c for c in table if c == "image" or table[c].notna().any()]])


def _moved(mover: Mover, name: str, source: Any, target: Path, folder: Path) -> dict[str, Any]:
    """Write the picture of one photo; its row of the sheet."""
    row: dict[str, Any] = {"image": name, "stimulus": None, "error": None}
    row |= {key: value for key, value in mover.parameters().items() if value is not None}
    try:
        photo, picture = mover.move(source)
        write_bytes(target, encoded(picture, target.suffix))
        row["stimulus"] = target.relative_to(folder).as_posix()
        row |= {"yaw": round(photo.yaw, 1), "faces": photo.faces}
        row |= compared(mover.models, source, picture)
    except FaultError:
        raise
    except (ImageError, InputError, WithheldError) as error:
        row["error"] = str(error)
    return row


def compared(
    models: Models,
    before: Any,
    after: Any,
    withheld: str | None = None,
    same_person: bool = True,
) -> dict[str, Any]:
    """Measurements and scores of a face before and after; a score only where both get one.

    `withheld` says why none gets one, whatever the pictures look like. With `same_person`, an age
    that was checked before counts after, too: a moved face is not known by its picture.
    """
    columns = {}
    was = _figures(models, before)
    now = _figures(models, after, same_person and was.get("age_checked") is not None)
    if withheld:
        was["score_withheld"] = withheld
    for name in (*SCORES, *NAMES):
        if name in was and name in now:
            columns[name + BEFORE], columns[name] = was[name], now[name]
    for key in ("score_withheld", "score_warning"):
        if texts := list(dict.fromkeys(found[key] for found in (was, now) if key in found)):
            columns[key] = "; ".join(texts)
            if key == "score_withheld":
                columns = {k: v for k, v in columns.items() if k.removesuffix(BEFORE) not in SCORES}
    return columns


def _figures(models: Models, image: Any, age_known: bool = False) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    source = image.convert("RGB") if isinstance(image, Image.Image) else image
    try:
        crop = models.crop(source)
    except ImageError:  # the moved face is not found any more
        return figures
    try:
        result = models.score(source)
        figures |= {name: getattr(result, name) for name in SCORES if result[name] is not None}
        figures = {name: round(value, 2) for name, value in figures.items()}
        if result.withheld:
            figures["score_withheld"] = result.withheld
        texts = result.warnings
        if age_known and result.age_checked is None:
            texts = texts[1:]  # the first says that the age was not checked
        if texts and not result.withheld:
            figures["score_warning"] = texts[0]
        figures["age_checked"] = result.age_checked
    except (ModelError, WithheldError) as error:
        figures["score_withheld"] = str(error)
    if crop.landmarks is not None:
        measured = answers.measurements(models, crop, models.jpeg(crop)).values
        figures |= {k: round(v, 4) for k, v in measured.items() if isinstance(v, float)}
    return figures


def check_free(paths: Iterable[Path], overwrite: bool) -> None:
    """Raise `InputError` where a file is there already, unless it may be replaced."""
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        more = f" (and {number_of(len(there) - 1, 'other')})" if len(there) > 1 else ""
        raise InputError(
            f"{there[0]} exists{more}; name another --output, or replace it with --overwrite"
        )


@dataclass(frozen=True)
class ChosenFaces:
    """Faces of the project that are to be moved.

    Attributes
    ----------
    names : list of (str, str)
        Photo and crop, sorted.
    sha256 : dict of str to str
        Of the photos, where these are to be moved rather than the crops.
    """

    names: list[tuple[str, str]]
    sha256: dict[str, str] = field(default_factory=dict)

    def photos(
        self,
        crops: Path,
        images: str | Path,
        out: Path,
        max_megabytes: float = MAX_MEGABYTES,
        cache: Path | None = None,
    ) -> Iterator[tuple[str, Any, Path]]:
        """Name, source and target of each, as `write_stimuli` takes them.

        `cache` is that of DVC, to which links among the photos may lead.

        Raises
        ------
        InputError
            A photo is missing, behind a link out of its folder, or not the one that the crop was
            made of; or a name leads out of its folder, in a table that somebody has forged.
        """
        faces = Crops.of(crops)
        for image, crop in self.names:
            for name in (PurePosixPath(image), PurePosixPath(crop)):
                if name.is_absolute() or ".." in name.parts:
                    raise InputError(f"{name} is no name of a photo; run `dvc repro`")
            path = Path(images) / image
            if self.sha256:
                if is_photo(path):
                    refuse_link_out(images, image, cache)
                if not is_photo(path) or hash_photo(path, max_megabytes) != self.sha256[image]:
                    raise InputError(
                        f"{path} is not the photo that its face was cut out of; run `dvc repro`"
                    )
                yield image, as_source(path), out / stimulus_name(image)
            else:
                yield image, faces.source(crop), out / crop


def chosen_faces(
    table: pd.DataFrame, faces: pd.DataFrame, options: Stimuli
) -> tuple[ChosenFaces, list[str]]:
    """Choose the faces that a section of `params.yaml` asks for.

    Parameters
    ----------
    table : DataFrame
        `attributes_final.parquet`.
    faces : DataFrame
        `image` and `sha256`.
    options : Stimuli

    Returns
    -------
    chosen : ChosenFaces
    warnings : list of str
        Photos without a face, or a filter that finds too few faces.
    """
    if options.images is None:
        selection = filter_faces(table, options.filter)
        rows, warnings = selection.rows, selection.hints
        if not selection.enough:
            rows, warnings = rows.iloc[:0], [f"too few: {selection}"]
    else:
        rows = table[table["image"].isin(options.images)].sort_values("filename")
        unknown = sorted({*options.images} - {*rows["image"]})
        known = table["image"].tolist()
        warnings = [
            f"{image} is no photo with a face.{suggestion(image, known)}" for image in unknown
        ]
    names = list(zip(rows["image"], rows["filename"], strict=True))
    hashes = faces.set_index("image")["sha256"] if options.originals else {}
    return ChosenFaces(
        names, {image: hashes[image] for image, _ in names} if options.originals else {}
    ), list(warnings)
