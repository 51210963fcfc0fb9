"""Wide tables of judgements: one line a photo and one column a rater, or the other way round."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import as_numbers, without_empty
from facestats.labels.chosen_raters import ALL, named_raters
from facestats.labels.columns import LABELS, RATINGS, listed, no_image_column, plain
from facestats.labels.name_index import NameIndex
from facestats.labels.names import PhotoNames, has_extension
from facestats.labels.rater_columns import (
    find_raters,
    known_columns,
    possible_raters,
)
from facestats.labels.rater_names import (
    MEAN_RATER_NAMES,
    OTHER_TRAIT_HEADER,
    is_called_statistic,
    kind_of,
    summarizes,
)
from facestats.labels.rater_numbers import statistic_of

# In headers of ratings of other things than attractiveness.
OTHER_QUESTION = re.compile(
    rf"{OTHER_TRAIT_HEADER.pattern}|how old|\bage\b|attention|check|familiar"
)
# In headers of columns that may name who rated.
NAMES = re.compile(
    r"name|mail|code|kürzel|initial|pseudonym|nick|matrikel|prolific|worker|student|\bids?\b|user"
)
ENDS = 8  # lines above or below that may be statistics
HALF = 0.5
COUNTING = ("sum", "count")  # what a rater's yes and no are by no chance
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
        _refuse_both_ways(raw, rater, photos, names, path)
        if not chosen:
            _refuse_statistics(raw, rater, photos, path)
        return _photo_columns_to_long(raw, rater, photos, path)
    if "image" not in headers:
        raise LabelError(no_image_column(raw, path))
    raw = raw[(raw != raw.columns).any(axis=1)]  # of sheets put together, each with its header
    refuse_second_photos(raw, headers["image"], names, path)
    if chosen:
        columns = raw.columns.drop(headers["image"])
        possible = possible_raters(raw, {"image": headers["image"]})
        possible += [column for column in columns if plain(column) in RATINGS["rating"]]
        raters = named_raters(chosen, columns, path, unmatched=columns.difference(possible))
        _refuse_passed_over(raw, chosen, columns.drop([*raters]), path)
        if everybody:  # who is called like those
            kinds = {kind_of(rater) for rater in raters}
            others = [column for column in possible if kind_of(column) in kinds]
            raters = [*dict.fromkeys([*raters, *others])]
    else:
        raters = find_raters(raw, headers, names, path)
    return _rater_columns_to_long(raw, headers["image"], raters, path)


def _refuse_passed_over(
    raw: pd.DataFrame, chosen: Sequence[str], columns: pd.Index, path: Path
) -> None:
    """Raise `LabelError` where a pattern would choose a column that is called like a statistic."""
    patterns = [name for name in chosen if "*" in name]
    numeric = [
        column
        for column in columns.difference(known_columns(raw), sort=False)
        if summarizes(column) and as_numbers(without_empty(raw[column])).notna().any()
    ]
    fits = named_raters(patterns, numeric, path, may_be_nobody=True)
    if fits:
        raise LabelError(
            f"{path}: labels.raters chooses {fits[0]!r}, too, which is called like a statistic; "
            "name the raters in full"
        )


def _refuse_both_ways(
    raw: pd.DataFrame,
    rater: str | None,
    photos: Mapping[str, str],
    names: PhotoNames,
    path: Path,
) -> None:
    """Raise `LabelError` where columns called like photos could be raters or other questions."""
    lines = raw[rater or raw.columns[0]]
    are_photos = [names.read(cell).image is not None for cell in lines]
    bare = [column for column in photos if not has_extension(column) and names.read(column).image]
    may_be_photos = rater is None or (plain(str(lines.name)) != "rater" and any(are_photos))
    if bare and may_be_photos:
        raise LabelError(
            f"{path}: the columns {listed(bare[:3])}, … may be photos or raters; if they are "
            "photos, call the column of the raters rater, and else that of the photos image"
        )
    families = Counter(
        re.sub(r"\d+", "#", column) for column in raw.columns if column != lines.name
    )
    named = [column for column in photos if not re.search(r"\.\w{3,4}\b", column)]
    several = [family for family, n in families.items() if n > 1 and "#" in family]
    if len(several) > 1 and any("[" in column or " - " in column for column in named):
        raise LabelError(
            f"{path}: the columns {listed(named[:2])}, … may be of photos, or of other questions; "
            "call those of photos by the names of their files"
        )
    if lines.name not in photos and sum(map(has_extension, lines[are_photos])) > len(lines) / 2:
        raise LabelError(
            f"{path}: its lines and its columns are of photos, but each judgement is of one photo, "
            "by one rater"
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
    other = [column for column in photos if OTHER_QUESTION.search(column.casefold())]
    if other and len(other) < len(photos):
        raise LabelError(
            f"{path}: the column {other[0]!r} is not about attractiveness; leave only the ratings "
            "that you mean"
        )
    for column in raw.columns if rater_column is None else ():
        names = without_empty(raw[column])
        names = names[names != ""]
        is_telling = column not in photos and NAMES.search(column.casefold())
        if is_telling and names.nunique() > HALF * len(names) and names.duplicated().any():
            raise LabelError(
                f"{path}: the column {column!r} has {names[names.duplicated()].iloc[0]!r} twice; "
                "if it names who rated, call it rater and leave one line each, and else remove it"
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


def _refuse_statistics(
    raw: pd.DataFrame, rater: str | None, photos: Mapping[str, str], path: Path
) -> None:
    """Raise `LabelError` where lines, above or below, may be no raters', but for named means."""
    column = rater or str(raw.columns[0])
    names = without_empty(raw[column]).tolist() if column not in photos else []
    table = np.column_stack([as_numbers(without_empty(raw[photo])) for photo in photos])
    called = {i for i, name in enumerate(names) if is_called_statistic(name)}
    means = {i for i, name in enumerate(names) if plain(name) in MEAN_RATER_NAMES}
    found = _named_apart(names, called, means)
    others = np.array([i for i in range(len(table)) if i not in called | means], dtype=int)
    for i in {*range(len(table))[:ENDS], *range(len(table))[-ENDS:]}:
        rest = (table[others[others != i]], table[:i], table[i + 1 :])
        if any(_is_statistic(table[i], lines) for lines in rest if len(lines) > 1):
            found.add(i)
    found -= means
    if found:
        where = f", column {column}: found {names[min(found)]!r}, expected a rater" if names else ""
        raise LabelError(
            f"{path}, line {raw.index[min(found)]}{where}; if it is a statistic of the others, "
            f"remove the line, and else {ALL}"
        )


def _is_statistic(own: np.ndarray, others: np.ndarray) -> bool:
    """Whether a line is a statistic, or the number, of others."""
    if (own == (~np.isnan(others)).sum(axis=0)).all():
        return True
    how = statistic_of(own, others.T)
    is_yes_or_no = np.isin(np.vstack([own, others]), [0, 1, np.nan]).all() and how not in COUNTING
    return how is not None and not is_yes_or_no


def _named_apart(names: list[str], called: set[int], means: set[int]) -> set[int]:
    """The lines that are called like statistics or, above or below all others, unlike these.

    Between raters, who may be called by initials, a statistic's word is one if it is unlike them.
    """
    kinds = {i: kind_of(name) for i, name in enumerate(names) if i not in means}
    among = [kind for i, kind in kinds.items() if i not in called]
    usual = max(dict.fromkeys(among), key=among.count, default=())
    apart = {i for i, kind in kinds.items() if kind != usual or not names[i]}
    blocks = set()
    for order in (range(len(names)), range(len(names) - 1, -1, -1)):
        block = [*takewhile(lambda i: i in apart | called | means, order)]
        blocks |= {*block}
    scattered = apart - called - blocks
    outside = blocks & called
    if not scattered and 2 * among.count(usual) > len(among):
        outside |= blocks & apart
    return outside | (called & apart if not scattered else set())


def refuse_second_photos(
    raw: pd.DataFrame, image: str, names: PhotoNames, path: Path, numbered: bool = False
) -> None:
    """Raise `LabelError` where a further column names other photos, as in tables side by side.

    With `numbered`, only one that is called like the first, as `image2`, or names files where the
    first has numbers, as of trials.
    """
    first = without_empty(raw[image])
    alike = [name for name in raw.columns if plain(name).rstrip("0123456789") == plain(image)]
    if numbered and as_numbers(first[first != ""]).notna().all():  # of trials, maybe
        wordy = [name for name in raw.columns if as_numbers(raw[name]).isna().any()]
        alike += [name for name in wordy if sum(map(has_extension, raw[name])) > len(raw) * HALF]
    for column in alike if numbered else raw.columns:
        if column == image:
            continue
        cells = without_empty(raw[column])
        cells = cells[(cells != "") & (first != "") & as_numbers(cells).isna()]
        pairs = [(names.read(cell).image, names.read(first[i]).image) for i, cell in cells.items()]
        others = [one for one, other in pairs if one is not None and one != other]
        if len(others) > len(raw) / 2:
            raise LabelError(
                f"{path}: the columns {image!r} and {column!r} name different photos; put tables "
                "below each other, with one column of photos"
            )


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
