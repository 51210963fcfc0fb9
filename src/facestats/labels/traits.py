"""Traits that were rated beside attractiveness."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from facestats.core.files import read_json, write_json
from facestats.errors import LabelError, TableError
from facestats.labels.cells import without_empty
from facestats.labels.columns import is_marked, plain
from facestats.labels.tables import PREFIX
from facestats.params.names import COLUMN_PARTS, LONGEST, NO_TARGETS, PATTERN

# The name of a trait by the words that studies use for it.
NAMES = {
    "att": "attractive",
    "attractiveness": "attractive",
    "dom": "dominant",
    "dominance": "dominant",
    "health": "healthy",
    "sexdim": "sexual_dimorphism",
    "trust": "trustworthy",
    "trustworthiness": "trustworthy",
}
MAIN = "attractive"  # what the page Rate calls a trait without a name
IN_USE = "in_use.json"  # the traits that are scored


def trait_name(text: str) -> str:
    """The name of a trait as columns have it: `Trust` is `trustworthy`."""
    word = re.sub(r"\W+", "_", text.strip().casefold()).strip("_")
    return NAMES.get(word, word)


def trait_column(columns: pd.Index) -> str | None:
    """The header of the column that names the rated trait."""
    named = [header for header in columns if plain(header) == "trait"]
    return next(iter(sorted(named, key=is_marked)), None)  # not `Trait (order)` before `Trait`


def first_trait(ratings: pd.DataFrame) -> str:
    """The trait that comes first in ratings.csv; '' if none is named."""
    header = trait_column(ratings.columns)
    words = without_empty(ratings[header]) if header else ()
    return next((trait_name(word) for word in words if word), "")


def read_trait(cells: pd.Series, path: Path) -> pd.Series:
    """The trait of each line; empty cells are the first trait.

    Raises
    ------
    LabelError
        A trait can't be part of a column's name.
    """
    text = without_empty(cells)
    names = {word: trait_name(word) for word in dict.fromkeys(text) if word}
    for word, name in names.items():
        column = PREFIX + name
        if (
            not re.fullmatch(PATTERN, column)
            or column in NO_TARGETS
            or any(part in column for part in COLUMN_PARTS)
        ):
            raise LabelError(
                f"{path}: the trait {word!r} would be the column {column!r}, which can't be; give "
                "it another name"
            )
    if not names:
        return pd.Series("", cells.index, dtype="str")
    return text.replace("", next(iter(names))).map(names)


def read_traits(folder: Path) -> list[str]:
    """The traits that are scored, the main one first, from `in_use.json`; empty without any.

    Raises
    ------
    TableError
        The file, which others may have written, names something else: names become paths.
    """
    facts = read_json(folder / IN_USE)
    traits = facts.get("traits") if isinstance(facts, dict) else None
    if isinstance(traits, list) and all(
        isinstance(name, str) and len(name) <= LONGEST and re.fullmatch(PATTERN, name)
        for name in traits
    ):
        return traits
    raise TableError(f"{folder / IN_USE} names what is no trait; run `dvc repro`")


def write_traits(folder: Path, traits: list[str]) -> None:
    """Write `in_use.json`: a trait that was removed leaves its files behind."""
    write_json(folder / IN_USE, {"traits": traits})
