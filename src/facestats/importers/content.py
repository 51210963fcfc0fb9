"""What an importer reads out of a dataset, and how a dataset is described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from facestats.errors import InputError
from facestats.importers.tree import Tree, is_photo
from facestats.labels.cells import MAX_AGE

NO_PHOTO = "no such photo"
COPY = "a copy of another file of the dataset"
UNNAMED = "a photo without labels"


@dataclass(frozen=True)
class Choices:
    """What the user may choose beside the dataset.

    Attributes
    ----------
    traits : tuple of str
        Rated traits to take, the first for `rating`; empty for the usual one.
    subfolders : str
        What the subfolders of a folder are: `person`, or the name of a column.
    columns : dict of str to str
        The table's column by that of labels.csv, perhaps with codes: `sex:0=female,1=male`.
    table : str
        The table to read where a folder has several.
    scale : (float, float) or None
        Ends of the scale of a table's ratings.
    """

    traits: tuple[str, ...] = ()
    subfolders: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    table: str = ""
    scale: tuple[float, float] | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset that can be imported.

    Attributes
    ----------
    name, title : str
        As typed, and as its authors call it.
    markers : tuple of str
        Regular expressions of paths. A folder below which each matches a file is the dataset; the
        first also tells its root.
    read : callable
        Reads the files into a `Content`.
    licence, licence_link, citation : str
    faces, labels : str
        How many faces, and what labels it has.
    layout, columns, pitfalls : str
        For docs/datasets.md: files, what becomes of their columns, what to know.
    has_traits : bool
        Whether one can choose among its traits.
    """

    name: str
    title: str
    markers: tuple[str, ...]
    read: Callable[[Tree, Choices], Content]
    licence: str
    licence_link: str
    citation: str
    faces: str
    labels: str
    layout: str
    columns: str
    pitfalls: str = ""
    has_traits: bool = False


@dataclass
class Content:
    """Photos and labels of a dataset.

    Attributes
    ----------
    photos : dict of str to str
        Path below the dataset by path below `raw`.
    labels : DataFrame
        Rows of `labels.csv`.
    ratings : DataFrame or None
        Rows of `ratings.csv`; `image`, `rater`, `rating`, perhaps `trait` and columns on raters.
    scale : (float, float) or None
        Ends of the scale of all ratings.
    trait : str
        What `rating`, or a judgement without a trait, is of; '' where that is not known.
    version : str
    left_out : dict of str to list of str
        Names by the reason why they, or one of their labels, are not imported.
    notes : list of str
        How labels were understood.
    """

    photos: dict[str, str]
    labels: pd.DataFrame
    ratings: pd.DataFrame | None = None
    scale: tuple[float, float] | None = None
    trait: str = ""
    version: str = ""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, names: Iterable[Any]) -> None:
        """Note what is not imported."""
        new = [str(name) for name in names]
        if new:
            self.left_out.setdefault(reason, []).extend(new)

    def numbers(
        self, cells: pd.Series, names: pd.Series, low: float, high: float = MAX_AGE
    ) -> pd.Series:
        """Numbers within a range; other cells that are not empty are noted, and left empty.

        Raises
        ------
        InputError
            A cell such as `1,234` may be a decimal number or thousands, and no other tells which.
        """
        text = cells.astype("str").str.strip()
        doubtful = text[text.str.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}")]
        thousands = doubtful.str.replace(",", "", regex=False).astype("float64")
        if thousands.between(low, high).any() and not _has_decimal_commas(text):
            raise InputError(
                f"{cells.name}: {doubtful.iloc[0]!r} may be a decimal number or thousands; write "
                "numbers with a decimal point, or no comma"
            )
        text = text.str.replace(",", ".", regex=False)
        values = pd.to_numeric(text, errors="coerce")
        good = values.between(low, high)
        bad = ~good & ~text.isin(["", "nan", "NaN", "None"])
        what = f"{cells.name} is no number from {low:g} to {high:g}"
        self.leave_out(what, _with_cells(names, text, bad))
        return values.where(good)

    def codes(
        self,
        cells: pd.Series,
        names: pd.Series,
        meanings: dict[str, str],
        empty: Sequence[str] = (),
    ) -> pd.Series:
        """Words for codes; other cells are noted unless they are `empty`, and left empty."""
        text = cells.astype("str").str.strip()
        words = text.map(meanings)
        bad = words.isna() & ~text.isin(["", "nan", *empty])
        self.leave_out(f"{cells.name} has an unknown code", _with_cells(names, text, bad))
        return words


def _has_decimal_commas(text: pd.Series) -> bool:
    """Whether some commas are surely decimal ones, and no number has a point."""
    surely = text.str.fullmatch(r"[+-]?(?:\d*,(?:\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+)")
    return bool(surely.any()) and not text.str.contains(".", regex=False).any()


def _with_cells(names: pd.Series, text: pd.Series, bad: pd.Series) -> list[str]:
    """`name: cell` of each bad cell."""
    return [f"{name}: {cell}" for name, cell in zip(names[bad], text[bad], strict=True)]


GENDERS = {
    word: gender
    for gender, words in (
        ("female", ("f", "F", "female", "Female", "woman", "women", "w")),
        ("male", ("m", "M", "male", "Male", "man", "men")),
    )
    for word in words
}


def add_photo(tree: Tree, content: Content, image: str, path: str) -> bool:
    """Take the photo at `path` as `image`; False if it is a copy of one that was taken before.

    Raises
    ------
    InputError
        There is another photo of that name, and it differs.
    """
    if image not in content.photos:
        content.photos[image] = path
        return True
    tree.one_of([content.photos[image], path])
    content.leave_out(COPY, [path])
    return False


def photos_by_tail(
    tree: Tree, tails: Iterable[str], content: Content, missing: str = NO_PHOTO
) -> dict[str, str]:
    """Find photos by the end of their path, at any depth.

    Equal copies in other folders are noted; tails without a photo, and other photos, too.

    Raises
    ------
    InputError
        Two files of one name differ.
    """
    photos, absent, copies = {}, [], []
    for tail in tails:
        paths = tree.ending(tail)
        if paths:
            photos[tail] = tree.one_of(paths)
            copies += paths[1:]
        else:
            absent.append(tail)
    content.leave_out(missing, absent)
    content.leave_out(COPY, copies)
    leave_unnamed(tree, content, [*photos.values(), *copies])
    return photos


def leave_unnamed(tree: Tree, content: Content, taken: Iterable[str]) -> None:
    """Note the photos of the dataset that are none of these paths."""
    known = {*taken}
    content.leave_out(
        UNNAMED, (path for path in tree.files if is_photo(path) and path not in known)
    )
