"""A dataset added to an imported one: names of its own, and one scale for all ratings."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.core.files import read_json
from facestats.errors import InputError, LabelError, number_of
from facestats.importers.content import Content
from facestats.importers.placing import carry_over
from facestats.labels.cells import MAX_RATING, Mistakes, numbers, without_empty
from facestats.labels.columns import LABELS, RATINGS, describe_columns, find_columns, plain
from facestats.labels.dataset import FACTS, read_dataset
from facestats.labels.files import find_label_file, read_sheet
from facestats.labels.traits import trait_column

COMMON = (0.0, 100.0)  # scale of ratings that come from different ones
# What tells two imports of datasets of one name apart in `dataset.json`.
_OF_SOURCE = ("label_files", "files", "labels", "judgements", "limit")


@dataclass(frozen=True)
class Earlier:
    """What is in place before a dataset is added; empty if nothing is.

    Attributes
    ----------
    into : Path or None
        Holds `raw` and `labels`.
    dataset : dict or None
        Its `dataset.json`.
    """

    into: Path | None = None
    dataset: dict[str, Any] | None = None

    def carry_over(self, folders: Mapping[str, Path]) -> None:
        """Put its photos, and all files that no import has written, into the new folders."""
        for part, folder in folders.items() if self.into else ():
            assert self.into is not None
            carry_over(self.into / part, folder)


class AlreadyThereError(InputError):
    """The last dataset that was added is just the one to add."""


def read_earlier(into: Path, added: Mapping[str, Any], photos: Collection[str]) -> Earlier:
    """Read the import that is in place.

    Parameters
    ----------
    into : Path
        Holds `raw` and `labels`.
    added : mapping
        What `dataset.json` would say of the dataset to add.
    photos : collection of str
        Names of its photos.

    Raises
    ------
    AlreadyThereError
        It has this dataset already, with the same photos and label files.
    InputError
        There is none, it is damaged, or it has another dataset of this name.
    """
    name = added["name"]
    raw, labels = into / "raw", into / "labels"
    if not raw.is_dir() or not (labels / FACTS).is_file():
        raise InputError(
            f"--append adds to an imported dataset, and {labels / FACTS} is missing; "
            "import without --append"
        )
    read_dataset(labels)
    dataset = read_json(labels / FACTS)
    names = [dataset["name"], *(part["name"] for part in dataset.get("appended", []))]
    if name in names or os.path.lexists(raw / name):
        last, own = (dataset.get("appended") or [{}])[-1], raw / name
        same = all(last.get(key) == added[key] for key in ("name", *_OF_SOURCE)) and {
            path.relative_to(own).as_posix() for path in own.rglob("*") if not path.is_dir()
        } == {*photos}
        raise (AlreadyThereError if same else InputError)(f"{into} holds {name} already")
    return Earlier(into, dataset)


def joined(
    earlier: Earlier, content: Content, added_dataset: dict[str, Any]
) -> tuple[Content, dict[str, Any]]:
    """The labels, ratings and new photos of both, and their `dataset.json`.

    The photos of the added dataset go into a folder of its name; its raters and persons get the
    name in front. Ratings of different scales become shares of each dataset's own, from 0 to 100.
    Earlier ratings that need no change have no part in it: their file stays.

    Raises
    ------
    LabelError
        An earlier file can't be written anew without a loss.
    InputError
        Ratings of an unknown scale would be mixed with others.
    """
    if earlier.dataset is None or earlier.into is None:
        return content, added_dataset
    name, folder, notes = added_dataset["name"], earlier.into / "labels", [*content.notes]
    added = {f"{name}/{image}": path for image, path in content.photos.items()}
    old_labels = _table(folder, "labels", notes)
    if old_labels is None:
        old_labels = pd.DataFrame({"image": []}, dtype="str")
    labels = _spelt_as(_with_prefix(content.labels, name), old_labels)
    ratings = None if content.ratings is None else _with_prefix(content.ratings, name)
    before, own = _scale_there(earlier.dataset), content.scale
    differ = bool(before and own and tuple(before) != tuple(own))
    try:
        old_ratings = _table(folder, "ratings", notes)
    except LabelError:
        if ratings is not None or differ:
            raise
        old_ratings = None  # and stays as it is
    was_rated = _is_rated(old_labels) or _has_ratings(folder)
    is_rated = _is_rated(labels) or ratings is not None
    if was_rated and is_rated and not own:
        raise InputError(
            f"--append: the scale of the ratings of {name} is not known; give its ends, as in "
            "--scale 1 7"
        )
    if was_rated and is_rated and not before:
        raise InputError(
            "--append: the scale of the ratings that are there is not known; give its ends, as in "
            f'"rating_scale": [1, 7], in {folder / FACTS}'
        )
    scale = before or own
    if differ and before:
        old_labels, labels = _rescaled(old_labels, before), _rescaled(labels, own or COMMON)
        old_ratings = None if old_ratings is None else _rescaled(old_ratings, before)
        ratings = None if ratings is None else _rescaled(ratings, own or COMMON)
        scale = COMMON
    if "dataset" not in old_labels:
        old_labels = old_labels.assign(dataset=earlier.dataset["name"])
    tables = [table for table in (old_ratings, ratings) if table is not None]
    both = pd.concat(tables, ignore_index=True) if tables else None
    if both is not None and "trait" in both:
        both["trait"] = both["trait"].replace("", pd.NA).fillna("attractive")
    merged = replace(
        content,
        photos=added,
        labels=pd.concat([old_labels, labels.assign(dataset=name)], ignore_index=True),
        ratings=both,
        scale=(scale[0], scale[1]) if scale else None,
        notes=notes,
    )
    appended = [*earlier.dataset.get("appended", []), added_dataset]
    stored = {"stored_scale": list(scale) if scale else None}
    return merged, {**earlier.dataset, "appended": appended, **stored}


def refuse_other_scale(earlier: Earlier, content: Content, by_hand: Collection[Path]) -> None:
    """Refuse to bring ratings to another scale while some by hand would stay on the old one.

    Parameters
    ----------
    earlier : Earlier
    content : Content
        Of the dataset to add.
    by_hand : collection of Path
        The project's files of labels and ratings by hand; may be missing.

    Raises
    ------
    LabelError
        One of them can't be read.
    InputError
        One of them holds ratings, whose scale would change or is not known.
    """
    if earlier.into is None or earlier.dataset is None or not content.scale:
        return
    before = _scale_there(earlier.dataset)
    if before and tuple(before) in (tuple(content.scale), COMMON):
        return
    held = [
        f"{path} holds {number_of(n, 'rating')}" for path in by_hand if (n := _count_ratings(path))
    ]
    if held and before is None:
        raise InputError(
            f"--append: {' and '.join(held)} by hand, whose scale is not known; give its ends, as "
            f'in "rating_scale": [1, 7], in {earlier.into / "labels" / FACTS}'
        )
    if held and before:
        raise InputError(
            f"--append brings ratings from {before[0]:g}–{before[1]:g} to {COMMON[0]:g}–"
            f"{COMMON[1]:g}, for those to add are on another scale, and "
            f"{' and '.join(held)} by hand, which would stay; bring these to the new scale in "
            "another file, move the old one away, and import again"
        )


def _scale_there(dataset: Mapping[str, Any]) -> Sequence[float] | None:
    return dataset.get("stored_scale") or dataset.get("rating_scale")


def _count_ratings(path: Path) -> int:
    sheet = read_sheet(path) if path.is_file() else None
    if sheet is None:
        return 0
    names = {header: name for name, header in find_columns(sheet.table, LABELS, path).items()}
    rated = [c for c in map(str, sheet.table.columns) if _is_rating(names.get(c, c))]
    return sum(int((without_empty(sheet.table[column]) != "").sum()) for column in rated)


def _is_rating(column: str) -> bool:
    return column == "rating" or (column.startswith("rating_") and column != "rating_type")


def _is_rated(labels: pd.DataFrame) -> bool:
    rated = labels[[column for column in labels if _is_rating(str(column))]]
    return bool((rated.notna() & (rated != "")).any(axis=None))


def _has_ratings(folder: Path) -> bool:
    """Whether there are single judgements, in whatever form."""
    return any(path.stem.lower() == "ratings" for path in folder.iterdir())


def _with_prefix(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Names of photos, persons and raters with that of the dataset in front."""
    table = table.assign(image=name + "/" + table["image"])
    for column in ("person", "rater"):
        if column in table:
            text = table[column].astype("str")
            known = text.notna() & (without_empty(text) != "")
            table[column] = table[column].mask(known, f"{name}:" + text)
    return table


def _spelt_as(labels: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Classes that differ from earlier ones in case, blanks and signs alone, as these are spelt."""
    for column in ("gender", "ethnicity"):
        if column in labels and column in earlier:
            usual = {plain(word): word for word in earlier[column].dropna().unique() if word}
            labels = labels.assign(
                **{
                    column: labels[column].map(
                        lambda word, usual=usual: usual.get(plain(word), word),
                        na_action="ignore",
                    )
                }
            )
    return labels


def _rescaled(table: pd.DataFrame, scale: Sequence[float]) -> pd.DataFrame:
    """Ratings as shares of their scale, from 0 to 100, to four decimals."""
    low, high = scale
    table = table.copy()
    for column in map(str, table.columns):
        if _is_rating(column):
            values = pd.to_numeric(table[column])
            table[column] = ((values - low) / (high - low) * (COMMON[1] - COMMON[0])).round(4)
    return table


def _table(folder: Path, stem: str, notes: list[str]) -> pd.DataFrame | None:
    """A label file as the pipeline reads it, its columns under their own names; None without one.

    Raises
    ------
    LabelError
        It can't be read, or written anew without a loss.
    """
    path, own = find_label_file(folder, stem), folder / f"{stem}.csv"
    if path is None:
        return None
    if not path.is_file():
        raise LabelError(f"{path} is no regular file; put the file itself there, or remove it")
    if path != own:
        raise LabelError(
            f"--append writes {own}, and {path} stands in its place; save it as {own.name} (in a "
            f"spreadsheet as `CSV UTF-8`), and move {path.name} away"
        )
    sheet = read_sheet(path)
    assert sheet is not None
    if sheet.notes:
        raise LabelError(
            f"--append writes {path} anew, and would lose a part of it ({sheet.notes[0]}); "
            "save it as UTF-8, with the names of the columns in its first line"
        )
    raw = sheet.table
    headers = find_columns([*raw.columns], LABELS if stem == "labels" else RATINGS, path)
    missing = [name for name in _NEEDED[stem] if name not in headers]
    if missing:
        raise LabelError(
            f"--append writes {path} anew, and it has no column `{missing[0]}`; give it the "
            f"columns {', '.join(_NEEDED[stem])}"
        )
    notes += describe_columns(headers, path)
    names = {header: name for name, header in headers.items()}
    if stem == "ratings" and (trait := trait_column(raw.columns)):
        names[trait] = "trait"
    table, mistakes = raw.rename(columns=names), Mistakes()
    for column in map(str, table.columns):
        if _is_rating(column) or column == "age":
            text = without_empty(table[column])
            values = numbers(text, path, mistakes, -MAX_RATING, MAX_RATING)
            plain_number = pd.to_numeric(text, errors="coerce").notna()
            odd = values.notna() & ~plain_number  # a comma, or a minus as texts have it
            table[column] = text.mask(odd, values.astype("str"))
    mistakes.raise_any()
    return table.reset_index(drop=True)


_NEEDED = {"labels": ("image",), "ratings": ("image", "rating")}
