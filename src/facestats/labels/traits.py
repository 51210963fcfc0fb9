"""Traits that were rated beside attractiveness, and conditions on who rated."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from facestats.core.files import read_json, write_json
from facestats.errors import LabelError, TableError, did_you_mean, nearest_names, suggestion
from facestats.labels.cells import without_empty
from facestats.labels.columns import listed, plain
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
IN_USE = "in_use.json"  # the traits that are scored


def trait_name(text: str) -> str:
    """The name of a trait as columns have it: `Trust` is `trustworthy`."""
    word = re.sub(r"\W+", "_", text.strip().casefold()).strip("_")
    return NAMES.get(word, word)


def trait_column(columns: pd.Index) -> str | None:
    """The header of the column that names the rated trait."""
    return next((header for header in columns if plain(header) == "trait"), None)


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


def only_raters(
    raw: pd.DataFrame, condition: Mapping[str, str | list[str]], path: Path
) -> pd.DataFrame:
    """The lines whose raters fulfil a condition.

    Parameters
    ----------
    raw : DataFrame
        The file as text.
    condition : mapping of str to str or list of str
        Value, or values, of columns: `{rater_gender: female}`. Case does not count.
    path : Path
        The file, for messages.

    Raises
    ------
    LabelError
        There is no such column, or no such rater.
    """
    chosen = pd.Series(True, raw.index)
    for column, wanted in condition.items():
        if column not in raw:
            near = suggestion(column, raw.columns)
            raise LabelError(
                f"{path}: labels.raters names {column!r}, which is no column of the file; it has "
                f"{listed(raw.columns)}.{near}"
            )
        values = [wanted] if isinstance(wanted, str) else wanted
        fits = raw[column].str.casefold().isin([value.casefold() for value in values])
        if not (chosen & fits).any():
            there = ", ".join(map(repr, sorted({*raw[column]} - {""})[:5])) or "nothing"
            raise LabelError(
                f"{path}: labels.raters leaves no rating: nobody has {column} "
                f"{' or '.join(values)}; the column has {there}"
            )
        chosen &= fits
    return raw[chosen]


def has_means(table: pd.DataFrame, chosen: Sequence[str]) -> bool:
    """Whether label files have the means of the first chosen trait under its name."""
    return bool(chosen) and PREFIX + chosen[0] in table


def choose_traits(
    named: Sequence[str],
    table: pd.DataFrame,
    chosen: Sequence[str],
    by_hand: Collection[str] = (),
) -> list[str]:
    """Put the first chosen trait first, and find the others among judgements or means.

    Means of a label file become `rating` if they are of the first chosen trait, and ratings.csv
    does not have it.

    Parameters
    ----------
    named : sequence of str
        Traits in ratings.csv, in its order; '' if it names none.
    table : DataFrame
        Labels by face, changed in place.
    chosen : sequence of str
        `score.traits`.
    by_hand : collection of str
        Those of `named` that only judgements by hand have: they stand beside such means.

    Returns
    -------
    list of str
        `named`, the first chosen trait first.

    Raises
    ------
    LabelError
        Nobody rated a chosen trait.
    """
    named = list(dict.fromkeys(named))
    if not chosen:
        return named
    means = {name for name in chosen if PREFIX + name in table}
    first = chosen[0]
    if first in means and (first not in named or first in by_hand):
        # A `rating` by hand wins, unless the means of the trait are by hand, too.
        by_hand_alone = (table["rating_source"] == "manual") & (
            table[f"{PREFIX}{first}_source"] != "manual"
        )
        for end in ("", "_source"):
            means_of_first = table[f"{PREFIX}{first}{end}"]
            table[f"rating{end}"] = table[f"rating{end}"].where(by_hand_alone, means_of_first)
        named = [first, *filter(None, named)]  # what else was judged stays beside it
    if first in named:
        named = [first, *(name for name in named if name != first)]
    unnamed = first not in means and first not in named
    if unnamed and (any(named) or ("" not in named and table["rating"].isna().all())):
        raise _unrated(first, [*filter(None, named), *_means(table)])
    there = {*named, *means, *([first] if unnamed else [])}
    if missing := [name for name in chosen if name not in there]:
        raise _unrated(missing[0], [*filter(None, named), *_means(table)])
    return named


def _means(table: pd.DataFrame) -> list[str]:
    """The traits whose means stand in the label files."""
    return [
        column.removeprefix(PREFIX)
        for column in map(str, table)
        if column.startswith(PREFIX)
        and column not in NO_TARGETS
        and not any(part in column for part in COLUMN_PARTS)
    ]


def _unrated(name: str, there: list[str]) -> LabelError:
    there = sorted(set(there))
    near = did_you_mean(
        [trait_name(name)] if trait_name(name) in there else nearest_names(name, there)
    )
    return LabelError(
        f"score.traits names {name!r}, which nobody rated: it is no trait in ratings.csv and no "
        f"column {PREFIX}{name} in labels.csv. Rated are {', '.join(there) or 'no named traits'}."
        f"{near}"
    )


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
