"""Datasets without an importer of their own: a folder of folders, and any table."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict

import pandas as pd

from facestats.errors import InputError
from facestats.importers.content import GENDERS, NO_PHOTO, Choices, Content, Dataset
from facestats.importers.spelling import known_columns, without_column_dataset
from facestats.importers.tree import Tree, is_archive, is_photo, listed
from facestats.labels.cells import MAX_AGE, MAX_RATING, number
from facestats.labels.columns import (
    LABELS,
    OWN_NAMES,
    describe_columns,
    plain,
    rating_name,
    refuse_other_unit,
)
from facestats.labels.csv_text import INVISIBLE

ANY = (r".*",)
TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")
_OF_FACES = [name for name in LABELS if name != "image"]
OWN = "yours: what you may do with the photos is between you and those who gave them"


def read_folder(tree: Tree, choices: Choices) -> Content:
    """Photos in subfolders that are persons or classes."""
    column = choices.subfolders
    if not column:
        raise InputError(
            "`import folder` needs --as: what the subfolders are (person, gender, ethnicity, or "
            "the name of a column)"
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", column) or plain(column) in OWN_NAMES:
        raise InputError(f"--as {column}: a column's name is letters, digits, - and _, not image")
    known = known_columns([column], tree.top, _OF_FACES)
    if {"age", "rating"} & {*known}:
        raise InputError(f"--as {column}: subfolders are classes or persons; use `import csv`")
    content, rows = Content({}, pd.DataFrame()), []
    below = _common_folder([path for path in tree.files if is_photo(path)])
    if below:
        content.notes.append(f"all subfolders lie in {below}, which is taken for DIR")
    for path in tree.files:
        if not is_photo(path):
            content.leave_out("a file that is no photo", [path])
        elif "/" not in path[len(below) :]:
            content.leave_out("a photo outside of any subfolder", [path])
        else:
            image = path[len(below) :]
            content.photos[image] = path
            rows.append((image, image.split("/")[0]))
    labels = pd.DataFrame(rows, columns=["image", column], dtype="str")
    if "gender" in known:  # as all other datasets spell it
        words = [GENDERS.get(_visible(word).lower(), word) for word in labels[column]]
        labels[column] = pd.Series(words, labels.index, dtype="str")
    content.labels = labels
    alike = defaultdict(set)
    for word in rows:
        alike[_visible(word[1])].add(word[1])
    for words in alike.values():
        if len(words) > 1:
            content.notes.append(
                f"the folders {' and '.join(map(ascii, sorted(words)))} differ only in characters "
                "that nobody sees, and are read as one"
            )
    return content


def _visible(word: str) -> str:
    """A word as label files are read: without what nobody sees."""
    return word.translate(INVISIBLE).strip()


def _common_folder(photos: list[str]) -> str:
    """The folder, with a slash, that holds all photos in subfolders of its own: archives have one.

    One that holds photos itself is a class.
    """
    below = ""
    while photos:
        uppermost = {path[len(below) :].split("/")[0] for path in photos}
        inner = below + "".join(uppermost) + "/"
        if len(uppermost) != 1 or any(path.count("/") <= inner.count("/") for path in photos):
            break
        below = inner
    return below


def read_csv(tree: Tree, choices: Choices) -> Content:
    """Photos and labels that a CSV file or workbook of any form names."""
    mapping = dict(choices.columns)
    path = _table(tree, choices.table)
    if path.lower().endswith((".xlsx", ".xlsm")):
        sheets = {name: rows for name, rows in tree.sheets(path).items() if rows}
        if len(sheets) != 1:
            raise InputError(f"{tree.top / path} has {len(sheets)} sheets; keep the one to read")
        rows = [row for row in next(iter(sheets.values())) if row]
        table = tree.frame(path, rows[0], rows[1:])
    else:
        table = tree.table(path)
    specs = {name: spec.partition(":") for name, spec in mapping.items()}
    key = specs.pop("image", ("image", "", ""))[0]
    for column in (key, *(spec[0] for spec in specs.values())):
        tree.frame(path, [*table.columns], [], [column])  # raises
    table = table[table[key] != ""]
    content = Content({}, table)
    photos = _photos(tree, table[key], content)
    content.leave_out(NO_PHOTO, table.loc[photos.isna(), key])
    table, photos, top = table[photos.notna()], photos[photos.notna()], tree.top / path
    content.photos = {path: path for path in photos}
    labels: dict[str, pd.Series] = {"image": photos}
    for name, (column, _, codes) in specs.items():
        if name == "age" and not codes:
            refuse_other_unit(column, top)
        cells = table[column]
        if codes:
            cells = content.codes(cells, photos, _codes(codes))
        if name in ("age", "rating"):
            cells = _numbers(content, cells, photos, name, choices)
        labels[name] = cells
    if not specs:  # a table that has the names already
        names = [str(name) for name in table if name and name != key]
        also = [name for name in names if plain(name) in OWN_NAMES]
        if also:
            content.notes.append(
                f"the table's column {', '.join(also)} is left out, for {key} names the photos"
            )
        labels |= {name: table[name] for name in names if name not in also}
        known = known_columns([*labels], top, ("age", "rating"))
        content.notes += describe_columns(known, top)
        for name, header in known.items():
            labels[name] = _numbers(content, labels.pop(header), photos, name, choices)
        for header in [name for name in labels if name != "rating" and rating_name(name)]:
            if labels[header].fillna("").map(number).notna().any():  # else they are words
                labels[header] = content.numbers(labels[header], photos, -MAX_RATING, MAX_RATING)
    content.labels, on_dataset = without_column_dataset(pd.DataFrame(labels), "csv")
    content.notes += on_dataset
    content.scale = choices.scale if any(map(rating_name, labels)) else None
    unnamed = [path for path in tree.files if is_photo(path) and path not in content.photos]
    content.leave_out("a photo that the table does not name", unnamed)
    return content


def _numbers(
    content: Content, cells: pd.Series, photos: pd.Series, name: str, choices: Choices
) -> pd.Series:
    low, high = (0, MAX_AGE) if name == "age" else choices.scale or (-MAX_RATING, MAX_RATING)
    return content.numbers(cells.fillna(""), photos, low, high)


def _table(tree: Tree, name: str) -> str:
    """The table to read: the one named, or the only one.

    Raises
    ------
    InputError
        There is none, or there are several.
    """
    tables = [path for path in tree.files if path.lower().endswith(TABLES)]
    if name:
        return tree.table_named(name)
    if len(tables) == 1:
        return tables[0]
    if not tables:
        archives = [path for path in tree.files if is_archive(path)]
        hint = f"; it holds {listed(archives)}: unpack it first" if archives else ""
        raise InputError(f"{tree.top} holds no table (.csv, .tsv, .txt or .xlsx){hint}")
    raise InputError(f"{tree.top} holds {listed(tables)}; name one of them with --table")


def _photos(tree: Tree, cells: pd.Series, content: Content) -> pd.Series:
    """The file that each cell names, null without one.

    Where none is found, the folder that all cells share, as on the machine where the table was
    made, does not count.
    """
    names = cells.str.replace("\\", "/", regex=False)
    tails = names.str.replace(r"^(?:\.{0,2}/)+", "", regex=True)
    photos = tails.map(lambda tail: _photo(tree, tail))
    folders = [*dict.fromkeys(tail.rpartition("/")[0] for tail in tails)]
    shared = posixpath.commonpath(folders) if folders else ""
    if shared and photos.isna().all():
        photos = tails.map(lambda tail: _photo(tree, tail[len(shared) + 1 :]))
        if photos.notna().any():
            content.notes.append(f"photos are found without {shared}/, with which all names begin")
    return photos


def _photo(tree: Tree, tail: str) -> str | None:
    """The file that a cell names, at any depth, perhaps without its suffix."""
    paths = tree.ending(tail)
    if not paths and not is_photo(tail):
        paths = [
            path for suffix in (".jpg", ".jpeg", ".png") for path in tree.ending(tail + suffix)
        ]
    photos = [path for path in paths if is_photo(path)]
    return tree.one_of(photos) if photos else None


def _codes(text: str) -> dict[str, str]:
    """`0=female,1=male` as a mapping."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(code.strip() and sign and word.strip() for code, sign, word in pairs):
        raise InputError(f"{text!r} is no list of codes such as 0=female,1=male")
    return {code.strip(): word.strip() for code, _, word in pairs}


DATASETS = (
    Dataset(
        "folder",
        "a folder of folders",
        ANY,
        read_folder,
        OWN,
        "",
        "",
        "any",
        "what `--as` says the subfolders are",
        "subfolders with photos, at any depth",
        "the uppermost subfolder is the value of `--as person`, `gender`, `ethnicity` or any name",
        "A single folder around the subfolders does not count.",
    ),
    Dataset(
        "csv",
        "a table and its photos",
        ANY,
        read_csv,
        OWN,
        "",
        "",
        "any",
        "what the mapping names",
        "one table (.csv, .tsv, .txt, .xlsx; else --table) and the photos, at any depth",
        '`--image file --rating score --gender "sex:0=female,1=male"`; without a mapping the '
        "table's own names",
        "Several rows on one photo: the first counts. `--scale 1 7` says which scale the ratings "
        "have; `--append` needs it.",
    ),
)
