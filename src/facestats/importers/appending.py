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
from facestats.importers.spelling import (
    letters,
    named_as,
    with_own_names,
    without_column_dataset,
)
from facestats.labels.cells import MAX_RATING, Mistakes, number, numbers, without_empty
from facestats.labels.columns import LABELS, find_columns, rating_name
from facestats.labels.dataset import FACTS, read_dataset
from facestats.labels.files import find_label_file, read_sheet
from facestats.labels.label_file import NUMBERS
from facestats.labels.tables import PREFIX
from facestats.labels.traits import MAIN, first_trait

COMMON = (0.0, 100.0)  # scale of ratings that come from different ones
# What tells two imports of datasets of one name apart in `dataset.json`.
_OF_SOURCE = ("label_files", "files", "labels", "judgements", "limit", "rating_trait")


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
    name in front. Columns of both that mean the same become one, see `spelling`. Ratings of
    different scales become shares of each dataset's own, from 0 to 100. Earlier ratings that need
    no change have no part in it: their file stays.

    Raises
    ------
    LabelError
        An earlier file can't be written anew without a loss, or columns can't be told apart.
    InputError
        Ratings of an unknown scale, or of another trait, would be mixed with others.
    """
    if earlier.dataset is None or earlier.into is None:
        return content, added_dataset
    name, folder, notes = added_dataset["name"], earlier.into / "labels", [*content.notes]
    old_labels = _table(folder, "labels", notes)
    if old_labels is None:
        old_labels = pd.DataFrame({"image": []}, dtype="str")
    labels = _added_labels(content, added_dataset, old_labels, notes)
    ratings = None if content.ratings is None else _with_prefix(content.ratings, name)
    before, own = _scale_there(earlier.dataset), content.scale
    differ = bool(before and own and tuple(before) != tuple(own))
    try:
        old_ratings = _table(folder, "ratings", notes)
    except LabelError:
        if ratings is not None or differ:
            raise
        old_ratings = None  # and stays as it is
    if ratings is not None and old_ratings is not None:
        ratings = named_as(ratings, old_ratings, folder / "ratings.csv")
    was_rated = bool(_rated(old_labels)) or _has_ratings(folder)
    if was_rated and (_rated(labels) or ratings is not None):
        _require_scales(before, own, name, folder)
    trait = ("" if old_ratings is None else first_trait(old_ratings)) or _trait_there(
        earlier.dataset
    )
    other = added_dataset["rating_trait"] or ""
    notes += _check_traits((old_labels, old_ratings, trait), (labels, ratings, other), name)
    old_labels = _with_named_means(old_labels, labels, trait or other)
    labels = _with_named_means(labels, old_labels, other or trait)
    scale = before or own
    if differ and before:
        old_labels = _rescaled(old_labels, before, _rated(old_labels))
        labels = _rescaled(labels, own or COMMON, _rated(labels))
        old_ratings = None if old_ratings is None else _rescaled(old_ratings, before, ["rating"])
        ratings = None if ratings is None else _rescaled(ratings, own or COMMON, ["rating"])
        scale = COMMON
    if not earlier.dataset.get("appended"):
        old_labels, on_dataset = without_column_dataset(old_labels, earlier.dataset["name"])
        old_labels, notes = old_labels.assign(dataset=earlier.dataset["name"]), notes + on_dataset
    merged = replace(
        content,
        photos={f"{name}/{image}": path for image, path in content.photos.items()},
        labels=pd.concat([old_labels, labels.assign(dataset=name)], ignore_index=True),
        ratings=_all_ratings(old_ratings, trait, ratings, other),
        scale=(scale[0], scale[1]) if scale else None,
        notes=notes,
    )
    appended = [*earlier.dataset.get("appended", []), added_dataset]
    stored = {"stored_scale": list(scale) if scale else None}
    return merged, {**earlier.dataset, "appended": appended, **stored}


def is_rated(content: Content) -> bool:
    """Whether there are judgements, or ratings in the column `rating`."""
    return content.ratings is not None or "rating" in _rated(content.labels)


def _added_labels(
    content: Content, dataset: Mapping[str, Any], earlier: pd.DataFrame, notes: list[str]
) -> pd.DataFrame:
    """The labels to add, their names, columns and classes as they shall be in the joint file."""
    name = dataset["name"]
    path = Path(next(iter(dataset["label_files"]), name))
    labels, on_dataset = without_column_dataset(content.labels, name)
    labels, _, on_names = with_own_names(labels, "labels", path)
    notes += [*on_dataset, *on_names]
    return _spelt_as(_with_prefix(named_as(labels, earlier, path), name), earlier)


def _require_scales(
    before: Sequence[float] | None, own: Sequence[float] | None, name: str, folder: Path
) -> None:
    if not own:
        raise InputError(
            f"--append: the scale of the ratings of {name} is not known; give its ends, as in "
            "--scale 1 7"
        )
    if not before:
        raise InputError(
            "--append: the scale of the ratings that are there is not known; give its ends, as in "
            f'"rating_scale": [1, 7], in {folder / FACTS}'
        )


def _trait_there(dataset: Mapping[str, Any]) -> str:
    """What `rating` is of; '' if it is not known.

    Older imports did not write it. What `--trait` chose then can't be told where ratings.csv names
    no trait, so nothing is checked.
    """
    every = [dataset, *dataset.get("appended", [])]
    traits = (part.get("rating_trait") for part in every)
    return next((trait for trait in traits if trait and isinstance(trait, str)), "")


def _check_traits(
    before: tuple[pd.DataFrame, pd.DataFrame | None, str],
    added: tuple[pd.DataFrame, pd.DataFrame | None, str],
    name: str,
) -> list[str]:
    """Refuse to bring means of different traits into the column `rating`.

    Judgements name their trait, and those of the first in the joint file are what `rating` is of.

    Parameters
    ----------
    before, added : tuple
        Labels, ratings and the trait that `rating` is of, or ''.
    name : str
        Of the dataset to add.

    Returns
    -------
    list of str
        A note where one trait is not known, and taken for attractiveness.

    Raises
    ------
    InputError
        The traits differ, or one is not known and the other is not attractiveness.
    """
    old_labels, old_ratings, trait = before
    labels, ratings, other = added
    first_is_new = old_ratings is None and ratings is not None
    was_rated, is_rated = ("rating" in _rated(table) for table in (old_labels, labels))
    mixed = is_rated or (was_rated and first_is_new)
    if trait and other and trait != other and mixed:
        raise InputError(
            f"--append: `rating` is of {trait} in what is there, and would be of {other} in "
            f"{name}; import both with one trait first, as in --trait {trait}, or keep {name} "
            "apart with --into DIR"
        )
    both = (was_rated or old_ratings is not None) and (is_rated or ratings is not None)
    if both and mixed and bool(trait) != bool(other):
        unknown, known = (name, "what is there") if trait else ("what is there", name)
        if (trait or other) != MAIN:
            raise InputError(
                f"--append: of what trait the ratings of {unknown} are is not known, and those of "
                f"{known} are of {trait or other}; call the column {PREFIX}<trait>, or write a "
                "column `trait` into ratings.csv, or keep them apart with --into DIR"
            )
        return [f"`rating` of {unknown} is taken for {MAIN}, as that of {known}"]
    return []


def _with_named_means(labels: pd.DataFrame, others: pd.DataFrame, trait: str) -> pd.DataFrame:
    """Labels with a column `rating_<trait>` if those of the other dataset have it.

    Where it states means of some faces, the stage `labels` leaves `rating` out for all.
    """
    column = PREFIX + trait
    if trait and column in _rated(others) and column not in labels and "rating" in labels:
        return labels.assign(**{column: labels["rating"]})
    return labels


def _all_ratings(
    before: pd.DataFrame | None, trait: str, added: pd.DataFrame | None, other: str
) -> pd.DataFrame | None:
    """The judgements of both; if some name their trait, all do."""
    tables = [(table, own) for table, own in ((before, trait), (added, other)) if table is not None]
    if any("trait" in table for table, _ in tables):
        tables = [(_with_trait(table, own or MAIN), own) for table, own in tables]
    return pd.concat([table for table, _ in tables], ignore_index=True) if tables else None


def _with_trait(ratings: pd.DataFrame, trait: str) -> pd.DataFrame:
    """Judgements that all name a trait: where one does not, the file's first, or else this one."""
    if "trait" not in ratings:
        return ratings.assign(trait=trait)
    named = without_empty(ratings["trait"].fillna("").astype("str"))
    return ratings.assign(trait=named.replace("", next(filter(None, named), trait)))


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
    columns = [*map(str, sheet.table.columns)]
    names = {header: name for name, header in find_columns(columns, LABELS, path).items()}
    rated = [column for column in columns if rating_name(names.get(column, column))]
    return sum(int((without_empty(sheet.table[column]) != "").sum()) for column in rated)


def _rated(labels: pd.DataFrame) -> list[str]:
    """The columns that hold ratings: `rating`, and means of traits."""
    return [
        column
        for column in filter(rating_name, map(str, labels.columns))
        if pd.to_numeric(labels[column], errors="coerce").notna().any()
    ]


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
            usual = {letters(word): word for word in earlier[column].dropna().unique() if word}
            usual.pop("", None)
            labels = labels.assign(
                **{
                    column: labels[column].map(
                        lambda word, usual=usual: usual.get(letters(word), word),
                        na_action="ignore",
                    )
                }
            )
    return labels


def _rescaled(
    table: pd.DataFrame, scale: Sequence[float], columns: Collection[str]
) -> pd.DataFrame:
    """Ratings as shares of their scale, from 0 to 100, to four decimals."""
    low, high = scale
    table = table.copy()
    for column in columns:
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
    if lost := [*sheet.notes, *sheet.lost]:
        raise LabelError(
            f"--append writes {path} anew, and would lose a part of it ({lost[0]}); "
            "save it as UTF-8, with the names of the columns in its first line"
        )
    table, headers, read = with_own_names(sheet.table, stem, path)
    missing = [name for name in _NEEDED[stem] if name not in headers]
    if missing:
        raise LabelError(
            f"--append writes {path} anew, and it has no column `{missing[0]}`; give it the "
            f"columns {', '.join(_NEEDED[stem])}"
        )
    notes += read
    of_labels = [name for name in map(str, table.columns) if rating_name(name) or name == "age"]
    columns = ["rating"] if stem == "ratings" else of_labels
    return _with_plain_numbers(table, columns, path).reset_index(drop=True)


def _with_plain_numbers(table: pd.DataFrame, columns: Collection[str], path: Path) -> pd.DataFrame:
    """A table of texts, its ages and ratings as every program reads numbers."""
    mistakes = Mistakes()
    for column in columns:
        text = without_empty(table[column])
        if column not in NUMBERS and text.map(number).isna().all():
            continue  # words: no mean of a trait
        values = numbers(text, path, mistakes, -MAX_RATING, MAX_RATING)
        plain_number = pd.to_numeric(text, errors="coerce").notna()
        odd = values.notna() & ~plain_number  # a comma, or a minus as texts have it
        table[column] = text.mask(odd, values.astype("str"))
    mistakes.raise_any()
    return table


_NEEDED = {"labels": ("image",), "ratings": ("image", "rating")}
