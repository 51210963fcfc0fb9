"""A dataset added to an imported one: names of its own, and one scale for all ratings."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.core.files import read_json, without_apostrophe
from facestats.errors import InputError
from facestats.importers.content import Content
from facestats.labels.columns import plain

COMMON = (0.0, 100.0)  # scale of ratings that come from different ones


@dataclass(frozen=True)
class Earlier:
    """What is in place before a dataset is added; empty if nothing is.

    Attributes
    ----------
    raw : Path or None
    labels, ratings : DataFrame or None
    facts : dict
        Its `dataset.json`.
    """

    raw: Path | None = None
    labels: pd.DataFrame | None = None
    ratings: pd.DataFrame | None = None
    facts: dict[str, Any] | None = None

    def link_photos(self, raw: Path) -> None:
        """Put its photos into a new folder: hard links, or copies where there are none."""
        if self.raw is None:
            return
        for folder, _, names in os.walk(self.raw):
            to = raw / os.path.relpath(folder, self.raw)
            to.mkdir(exist_ok=True)
            for name in names:
                source = os.path.join(folder, name)
                try:
                    os.link(source, to / name, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                        raise
                    shutil.copyfile(source, to / name)


def read_earlier(into: Path, name: str) -> Earlier:
    """Read the import that is in place.

    Raises
    ------
    InputError
        There is none, or it has this dataset already.
    """
    raw, labels = into / "raw", into / "labels"
    if not raw.is_dir() or not (labels / "dataset.json").is_file():
        raise InputError(
            f"--append adds to an imported dataset, and {labels / 'dataset.json'} is missing; "
            "import without --append"
        )
    facts = read_json(labels / "dataset.json")
    names = [facts["name"], *(one["name"] for one in facts.get("appended", []))]
    if name in names or (raw / name).exists():
        raise InputError(f"{into} holds {name} already")
    return Earlier(raw, _table(labels / "labels.csv"), _table(labels / "ratings.csv"), facts)


def joined(
    earlier: Earlier, content: Content, facts: dict[str, Any]
) -> tuple[Content, dict[str, Any]]:
    """The labels, ratings and new photos of both, and their `dataset.json`.

    The photos of the added dataset go into a folder of its name; its raters and persons get the
    name in front. Ratings of different scales become shares of each dataset's own, from 0 to 100.
    """
    if earlier.facts is None or earlier.labels is None:
        return content, facts
    name = facts["name"]
    added = {f"{name}/{image}": path for image, path in content.photos.items()}
    old_labels, old_ratings = earlier.labels, earlier.ratings
    labels = _spelt_as(_with_prefix(content.labels, name), old_labels)
    ratings = None if content.ratings is None else _with_prefix(content.ratings, name)
    before, own = earlier.facts.get("stored_scale") or earlier.facts["rating_scale"], content.scale
    scale = before or own
    if before and not own and _is_rated(labels):
        raise InputError(
            f"--append: the scale of the ratings of {name} is not known; give its ends, as in "
            "--scale 1 7"
        )
    if own and not before and _is_rated(old_labels):
        raise InputError(
            "--append: the scale of the ratings that are there is not known; import them again "
            "with --scale LOW HIGH"
        )
    if before and own and tuple(before) != tuple(own):
        old_labels, labels = _rescaled(old_labels, before), _rescaled(labels, own)
        old_ratings = None if old_ratings is None else _rescaled(old_ratings, before)
        ratings = None if ratings is None else _rescaled(ratings, own)
        scale = COMMON
    if "dataset" not in old_labels:
        old_labels = old_labels.assign(dataset=earlier.facts["name"])
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
    )
    appended = [*earlier.facts.get("appended", []), facts]
    stored = {"stored_scale": list(scale) if scale else None}
    return merged, {**earlier.facts, "appended": appended, **stored}


def _is_rated(labels: pd.DataFrame) -> bool:
    return "rating" in labels and bool((labels["rating"].notna() & (labels["rating"] != "")).any())


def _with_prefix(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Names of photos, persons and raters with that of the dataset in front."""
    table = table.assign(image=name + "/" + table["image"])
    for column in ("person", "rater"):
        if column in table:
            known = table[column].notna() & (table[column] != "")
            table[column] = table[column].mask(known, f"{name}:" + table[column].astype("str"))
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
        if column == "rating" or (column.startswith("rating_") and column != "rating_type"):
            values = pd.to_numeric(table[column])
            table[column] = ((values - low) / (high - low) * (COMMON[1] - COMMON[0])).round(4)
    return table


def _table(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    for column in table:
        table[column] = table[column].map(without_apostrophe)
    return table
