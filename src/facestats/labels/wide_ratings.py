"""Wide tables of judgements: one line a photo and one column a rater, or the other way round."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import as_numbers, without_empty
from facestats.labels.chosen_raters import named_raters
from facestats.labels.columns import LABELS, RATINGS, listed, no_image_column, plain
from facestats.labels.name_index import NameIndex
from facestats.labels.names import PhotoNames, has_extension
from facestats.labels.rater_columns import (
    MEAN_RATER_NAMES,
    find_raters,
    is_called_statistic,
    kind_of,
    possible_raters,
    statistic_of,
)

FOOT = 8  # lines of statistics below a table, at most
SHOWN = 40  # raters in a note
_LONG = 2000  # letters of a header or question that may hold a photo's name


def wide_to_long(
    raw: pd.DataFrame,
    headers: Mapping[str, str],
    photos: Mapping[str, str],
    names: PhotoNames,
    path: Path,
    chosen: Sequence[str] = (),
    everybody: bool = False,
) -> tuple[pd.DataFrame, str]:
    """One line a judgement, from judgements in many columns, and a note on it.

    Names in `chosen` (see `chosen_raters.named_raters`) tell which columns, or lines, are raters'.
    With `everybody`, what may be others' is read, too.

    Raises
    ------
    LabelError
        The columns are neither raters nor photos.
    """
    if photos and "image" not in headers:
        rater = headers.get("rater")
        _refuse_both_ways(None if rater is None else raw[rater], photos, names, path)
        if not chosen:
            _refuse_foot(raw, rater, photos, path)
        return _photo_columns_to_long(raw, rater, photos, path)
    if "image" not in headers:
        raise LabelError(no_image_column(raw, path))
    raw = raw[(raw != raw.columns).any(axis=1)]  # of sheets put together, each with its header
    if chosen:
        columns, possible = raw.columns.drop(headers["image"]), possible_raters(raw, headers)
        raters = named_raters(chosen, columns, path, unmatched=columns.difference(possible))
        if everybody:
            raters = [*dict.fromkeys([*raters, *possible])]
    else:
        raters = find_raters(raw, headers, names, path)
    return _rater_columns_to_long(raw, headers["image"], raters, path)


def _refuse_both_ways(
    raters: pd.Series | None, photos: Mapping[str, str], names: PhotoNames, path: Path
) -> None:
    """Raise `LabelError` where columns are called like photos, and could be raters as well."""
    bare = [column for column in photos if not has_extension(column) and names.read(column).image]
    may_be_photos = raters is None or (
        plain(str(raters.name)) != "rater" and any(names.read(cell).image for cell in raters)
    )
    if bare and may_be_photos:
        raise LabelError(
            f"{path}: the columns {listed(bare[:3])}, … may be photos or raters; if they are "
            "photos, call the column of the raters rater, and else that of the photos image"
        )


def _photo_columns_to_long(
    raw: pd.DataFrame, rater_column: str | None, photos: Mapping[str, str], path: Path
) -> tuple[pd.DataFrame, str]:
    """Judgements from one line a rater and one column a photo; see `wide_to_long`."""
    repeated = [column for column in photos if [*photos.values()].count(photos[column]) > 1]
    if repeated:
        raise LabelError(
            f"{path}: the columns {' and '.join(map(repr, repeated[:3]))} are about one photo, "
            f"{photos[repeated[0]]}; leave only the ratings that you mean"
        )
    if rater_column:
        rater = without_empty(raw[rater_column])
    else:  # the first column that is different in all lines
        others = (without_empty(raw[column]) for column in raw.columns if column not in photos)
        rater = next(
            (cells for cells in others if cells.is_unique and (cells != "").all()),
            pd.Series([f"line {line}" for line in raw.index], raw.index),
        )
    parts = [
        _judgements(image, rater, without_empty(raw[column]), column)
        for column, image in photos.items()
    ]
    left_out = [
        column
        for column in raw.columns
        if column not in photos and column != rater_column and (raw[column] != rater).any()
    ]
    note = f"{path.name}: one line a rater, one column a photo ({len(photos)})"
    return pd.concat(parts), note + (f", without {', '.join(left_out)}" if left_out else "")


def _refuse_foot(
    raw: pd.DataFrame, rater: str | None, photos: Mapping[str, str], path: Path
) -> None:
    """Raise `LabelError` where the last lines may be statistics of those above, but for means."""
    column = rater or str(raw.columns[0])
    names = without_empty(raw[column]).tolist() if column not in photos else []
    table = pd.DataFrame({photo: as_numbers(without_empty(raw[photo])) for photo in photos})
    found = _lines_named_apart(names)
    for first in range(max(2, len(table) - FOOT), len(table)):
        own, others = table.iloc[first], table.iloc[:first]
        if statistic_of(own, others.T) or (own == others.count()).all():
            found.append(first)
    found = [line for line in found if not names or plain(names[line]) not in MEAN_RATER_NAMES]
    if found:
        where = f", column {column}: found {names[min(found)]!r}, expected a rater" if names else ""
        raise LabelError(
            f"{path}, line {raw.index[min(found)]}{where}; if it is a statistic of the others, "
            "remove the line, and else name all raters in labels.raters"
        )


def _lines_named_apart(names: list[str]) -> list[int]:
    """The last lines that are called like statistics, or unlike all others."""
    lines = range(len(names) - 1, 0, -1)
    foot = [
        *takewhile(
            lambda line: plain(names[line]) in MEAN_RATER_NAMES or is_called_statistic(names[line]),
            lines,
        )
    ]
    above = names[: len(names) - len(foot)]
    if len(above) > 2 and all(above[:-1]):
        kinds = {kind_of(name) for name in above[:-1] if plain(name) not in MEAN_RATER_NAMES}
        if len(kinds) == 1 and (not above[-1] or kind_of(above[-1]) not in kinds):
            foot.append(len(above) - 1)
    return foot


def _rater_columns_to_long(
    raw: pd.DataFrame, image_column: str, raters: list[str], path: Path
) -> tuple[pd.DataFrame, str]:
    """Judgements from one line a photo and one column a rater; see `wide_to_long`."""
    image = without_empty(raw[image_column])
    parts = [_judgements(image, rater, without_empty(raw[rater]), rater) for rater in raters]
    left_out = [column for column in raw.columns if column not in (*raters, image_column)]
    note = (
        f"{path.name}: one column a rater ({len(raters)}: "
        f"{', '.join(raters[:SHOWN])}{', …' if len(raters) > SHOWN else ''})"
    )
    return pd.concat(parts), note + (f", without {', '.join(left_out)}" if left_out else "")


def _judgements(
    image: pd.Series | str, rater: pd.Series | str, rating: pd.Series, column: str
) -> pd.DataFrame:
    """The judgements of one column."""
    return pd.DataFrame(
        {"image": image, "rater": rater, "rating": rating, "rating_type": "", "column": column}
    )


def photo_parts(headers: pd.Index, questions: Mapping[str, str]) -> dict[str, list[str]]:
    """What may be a photo's name in each header or the question below it.

    Survey tools write it as in `How attractive? [a.jpg]`.
    """
    parts = {}
    for header in headers:
        name, _, number = header.rpartition(".")  # pandas calls a second column `name.1`
        parts[header] = [name if number.isdigit() and name in headers else header]
        for text in (header[:_LONG], questions.get(header, "")[:_LONG]):
            parts[header] += [
                *re.findall(r"\[([^][]+)\]", text),
                text.rpartition(" - ")[2],
                *re.findall(r"[^\s\"'()\[\]]+\.\w{3,4}\b", text),
            ]
    for header, (name, *others) in parts.items():
        parts[header] = [text for part in others if (text := part.strip())]
        if name:
            parts[header].insert(0, name)
    return parts


def photo_columns(
    raw: pd.DataFrame, questions: Mapping[str, str], names: NameIndex
) -> dict[str, str]:
    """Columns whose header, or the question below it, names one photo, and the photo."""
    # A photo may be called image.jpg.
    words = {word for known in (*RATINGS.values(), *LABELS.values()) for word in known}
    written = {
        column: parts
        for column, parts in photo_parts(raw.columns, questions).items()
        if plain(column) not in words or "[" in column
    }
    readings = names.photos.read_all(
        [name for parts in written.values() for name in parts], explain=0
    )
    images = {
        column: {image for part in parts if (image := readings[part].image)}
        for column, parts in written.items()
    }
    # A column that names two photos is a comparison.
    photos = {column: several.pop() for column, several in images.items() if len(several) == 1}
    first_cells = pd.Series([cell for column in photos for cell in raw[column][:1]], dtype="str")
    if any(names.photos.read(cell).image for cell in first_cells[as_numbers(first_cells).isna()]):
        return {}  # a table without a header
    return {
        column: image
        for column, image in photos.items()
        if not column.isdigit() or 2 * len(photos) >= raw.shape[1] - 1
    }
