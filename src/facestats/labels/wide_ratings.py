"""Wide tables of judgements: one line a photo and one column a rater, or the other way round."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import without_empty
from facestats.labels.columns import (
    LABELS,
    RATINGS,
    find_columns,
    listed,
    no_image_column,
    plain,
)
from facestats.labels.name_index import NameIndex
from facestats.labels.names import PhotoNames, Reading, has_extension
from facestats.labels.scale import FEW, usual_scale

# Words in headers of statistics and counters, which are no raters: at a header's start or, from
# three letters on, at its end.
SUMMARY_WORD = re.compile(
    r"(mean|average|avg|median|sd|std|stdev|stddev|stderr|se|sem|ci|var|variance|n|count|sum|total"
    r"|rank|mittelwert|mw|durchschnitt"
    r"|summe|anzahl|stabw|stdabw|standardabweichung|moyenne|media|no|nr|number|id|index|row|line"
    r"|order|trial|lfd|lfdnr|rt|time|pos|position|latency|duration|seconds"
    r"|familiar|familiarity)"
)
# Names of raters who are means of others.
MEAN_RATER_NAMES = tuple(
    """
    mean average avg median stdev total sum mittelwert durchschnitt summe moyenne grandtotal
    gesamt
    """.split()
)
# Names of other statistics, which may stand below a table.
STATISTIC_NAMES = frozenset(
    """
    m md n sd se sem std stdev stdabw stabw standardabweichung ci iqr var variance varianz count
    anzahl max maximum min minimum range spread overall ø
    """.split()
)
# Headers of ratings of other things than attractiveness.
OTHER_TRAIT_HEADER = re.compile(
    r"trust|domina|friendl|intellig|compet|masculin|feminin|likea?b|sympath|warmth|typical"
    r"|distinctive|memorab|health|happi|aggress|confiden|sociab|smart"
)
NUMERIC = 0.5  # share of a column's cells that must be numbers for it to be a rater's
PERSONAL = frozenset(word for name in ("age", "gender", "ethnicity") for word in LABELS[name])
STATISTICS = ("mean", "median", "sum", "std", "count", "min", "max")
MATCHING = 0.99  # share of faces on which a column equals a statistic of others: no rater's
EXTREMES = ("max", "maximum", "highest", "min", "minimum", "lowest")
APART = 2.5  # a harsh rater may use no more than 1 to 5 of 1 to 10
COUNTED = 4  # lines that a column must number to be a counter, whatever its header
# Lines from which whole numbers that rise with each, or are 1, 2, 3 … in any order, and from which
# those that never come again within twice their count, are hardly ratings.
RISING, DENSE = 8, 12
_LONG = 2000  # letters of a header or question that may hold a photo's name


def wide_to_long(
    raw: pd.DataFrame,
    headers: Mapping[str, str],
    photos: Mapping[str, str],
    names: PhotoNames,
    path: Path,
) -> tuple[pd.DataFrame, str]:
    """One line a judgement, from judgements in many columns, and a note on it.

    Raises
    ------
    LabelError
        The columns are neither raters nor photos.
    """
    if photos and "image" not in headers:
        rater = headers.get("rater")
        _refuse_both_ways(None if rater is None else raw[rater], photos, names, path)
        return _photo_columns_to_long(raw, rater, photos, path)
    if "image" not in headers:
        raise LabelError(no_image_column(raw, path))
    return _rater_columns_to_long(raw, headers, names, path)


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
        _refuse_foot(rater, path)
    else:  # the first column that is different in all lines
        others = (without_empty(raw[column]) for column in raw.columns if column not in photos)
        rater = next(
            (cells for cells in others if cells.is_unique and (cells != "").all()),
            pd.Series([f"line {line}" for line in raw.index], raw.index),
        )
        if raw.columns[0] not in photos:
            _refuse_foot(without_empty(raw.iloc[:, 0]), path)
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


def _refuse_foot(cells: pd.Series, path: Path) -> None:
    """Raise `LabelError` where the last lines are statistics of those above, but for means."""
    rest, last = cells.iloc[:-1], str(cells.iloc[-1])
    if last == "" and len(rest) > 1 and (rest != "").all() and rest.is_unique:
        found = [last]
    else:
        foot = takewhile(
            lambda word: word in STATISTIC_NAMES or word in MEAN_RATER_NAMES,
            map(plain, reversed(cells.tolist())),
        )
        found = [word for word in foot if word in STATISTIC_NAMES]
    if found:
        line = cells.index[cells.map(plain) == found[-1]][-1]
        raise LabelError(
            f"{path}, line {line}, column {cells.name}: found {cells[line]!r}, expected a rater; "
            "remove the line if it is a statistic of the others, or give the rater another name"
        )


def _rater_columns_to_long(
    raw: pd.DataFrame, headers: Mapping[str, str], names: PhotoNames, path: Path
) -> tuple[pd.DataFrame, str]:
    """Judgements from one line a photo and one column a rater; see `wide_to_long`."""
    known = [
        header for words in LABELS.values() for header in raw.columns if plain(header) in words
    ]
    raw = raw[(raw != raw.columns).any(axis=1)]  # of sheets put together, each with its header
    raters = [
        column
        for column in raw.columns
        if column not in known
        and column not in headers.values()
        and plain(column)  # `#`
        and not _summarizes(column)
        and _mostly_numbers(without_empty(raw[column]))
    ]
    image = without_empty(raw[headers["image"]])
    place = pd.Series(range(len(raw)), raw.index)[image.map(names.read).map(_is_photo)]
    values = {rater: as_numbers(without_empty(raw[rater]))[place.index] for rater in raters}
    raters = _without_computed(values, place, path)
    if len(raters) < 2 or "rater" in headers:
        means = [
            column
            for column in raw.columns
            if "rating" in find_columns([column], LABELS, path) or plain(column) in MEAN_RATER_NAMES
        ]
        hint = (
            f". Means of ratings, such as {means[0]!r}, belong in labels.csv, in a column `rating`"
            if means
            else ""
        )
        raise LabelError(
            f"{path}: there is no column `rating`; the header line has {listed(raw.columns)}{hint}"
        )
    traits = [column for column in raters if OTHER_TRAIT_HEADER.search(column.casefold())]
    if traits:
        raise LabelError(
            f"{path}: the column {traits[0]!r} is no rater's and not about attractiveness; leave "
            "only the ratings that you mean, with a column a rater"
        )
    _refuse_several_of_a_rater(raters, path)
    _refuse_other_quantities({rater: values[rater].dropna() for rater in raters}, path)
    parts = [_judgements(image, rater, without_empty(raw[rater]), rater) for rater in raters]
    left_out = [
        column for column in raw.columns if column not in raters and column != headers["image"]
    ]
    note = (
        f"{path.name}: one column a rater ({len(raters)}: "
        f"{', '.join(raters[:3])}{', …' if len(raters) > 3 else ''})"
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
    first_cells = [cell for column in photos for cell in raw[column][:1] if not cell.isdigit()]
    if any(names.photos.read(cell).image for cell in first_cells):
        return {}  # a table without a header
    return {
        column: image
        for column, image in photos.items()
        if not column.isdigit() or 2 * len(photos) >= raw.shape[1] - 1
    }


def _mostly_numbers(cells: pd.Series) -> bool:
    filled = cells[cells != ""]
    return len(filled) > 0 and as_numbers(filled).notna().mean() > NUMERIC


def as_numbers(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells.str.replace(",", "."), errors="coerce")


def _summarizes(header: str) -> bool:
    """Whether a header names a statistic, a counter or a quality of somebody, as `age of rater`."""
    words = [word for word in re.split(r"[\W_]+", header.casefold()) if word]
    numbered = len(words) == 2 and words[1].isdigit()  # `No 4` may be a rater
    return not numbered and any(
        word in PERSONAL or SUMMARY_WORD.fullmatch(word)
        for word in (plain(header), *words[:1], *(word for word in words[-1:] if len(word) > 2))
    )


def _is_photo(reading: Reading) -> bool:
    return reading.image is not None


def _without_computed(values: Mapping[str, pd.Series], place: pd.Series, path: Path) -> list[str]:
    """Drop columns that number the lines, or are the mean, sum or spread of the others.

    Parameters
    ----------
    values : mapping of str to Series of float
        The columns' numbers in lines of photos; not in those of means below.
    place : Series of int
        The places of these lines among all.
    path : Path
        The file, for messages.

    Raises
    ------
    LabelError
        A column looks like one of these, and could as well be a rater's.
    """
    steady = [
        rater
        for rater, own in values.items()
        if own.count() >= COUNTED and (own - place).dropna().nunique() == 1
    ]
    remaining = [rater for rater in values if rater not in steady]
    counters = [rater for rater in remaining if _numbers_lines(values[rater].dropna())]
    doubtful = counters if len(counters) < len(remaining) else []  # else all rank the photos
    if all({*values[rater]} == {*values[name]} for name in steady[:1] for rater in remaining):
        doubtful = doubtful or steady  # one of the rankings, by which the lines are sorted
    if doubtful:
        what = "looks like numbers of lines or pages, not like ratings"
        raise _doubtful(doubtful[0], what, path)
    for rater in reversed(remaining):
        own = values[rater]
        others = pd.DataFrame({other: values[other] for other in remaining if other != rater})
        if others.shape[1] < 2 or len(others) < COUNTED or own.nunique() < 2:
            continue
        how = next(
            (
                how
                for how in STATISTICS
                if np.isclose(own, others.agg(how, axis=1), atol=0.0051).mean() >= MATCHING
            ),
            None,
        )
        if how and plain(rater) not in EXTREMES and _may_be_ratings(own, others.stack()):
            raise _doubtful(rater, f"is the {how} of the others in each line", path)
        if how:
            remaining = [other for other in remaining if other != rater]
    return remaining


def _numbers_lines(numbers: pd.Series) -> bool:
    """Whether whole numbers rise, or fall, line by line, or never come again though dense."""
    n, steps = len(numbers), numbers.diff().iloc[1:]
    if n < RISING or not (numbers % 1 == 0).all() or numbers.nunique() < COUNTED:
        return False
    if not numbers.is_unique:  # pages of as many lines each
        return n >= DENSE and steps.isin([0, 1]).all() and numbers.value_counts().nunique() == 1
    one_way = bool((steps > 0).all() or (steps < 0).all())
    width = numbers.max() - numbers.min()
    return one_way or bool(width < 2 * n and n >= DENSE) or bool(width == n - 1)


def _may_be_ratings(numbers: pd.Series, others: pd.Series) -> bool:
    """Whether numbers are such as the other raters gave, or whole ones between these."""
    filled = numbers.dropna()
    is_whole = bool((filled % 1 == 0).all())
    between = bool(filled.between(others.min(), others.max()).all())
    return between and (is_whole or bool(filled.isin(others).all()))


def _doubtful(column: str, what: str, path: Path) -> LabelError:
    return LabelError(
        f"{path}: the column {column!r} {what}; if it is no rater's, remove it; if it is, sort the "
        "lines by photo, or write one line a judgement, with the columns image, rater and rating"
    )


def _refuse_several_of_a_rater(raters: list[str], path: Path) -> None:
    """Raise `LabelError` for columns such as `anna` and `anna_rt`, or `anna_a`, `anna_b`, `ben_a` …

    The columns of one rater can't all be ratings of the same thing.
    """
    words = {
        rater: re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", rater).casefold())
        for rater in raters
    }
    ends: dict[tuple[str, ...], dict[str, str]] = {}
    for rater, own in words.items():
        ends.setdefault(tuple(own[:-1]), {})[own[-1]] = rater
    pairs = [
        (one, other)
        for one, own in words.items()
        for other, longer in words.items()
        if len(own) < len(longer) and own in (longer[: len(own)], longer[-len(own) :])
    ]
    pairs += [
        (first[shared[0]], first[shared[1]])
        for start, first in ends.items()
        for again, second in ends.items()
        if start and start < again and len(shared := [end for end in first if end in second]) > 1
    ]
    if pairs:
        raise LabelError(
            f"{path}: the columns {pairs[0][0]!r} and {pairs[0][1]!r} may be of one rater, or of "
            "one thing by two; leave one column a rater, called by one word, or write one line a "
            "judgement"
        )


def _refuse_other_quantities(values: Mapping[str, pd.Series], path: Path) -> None:
    """Refuse columns of other numbers than ratings, such as ages or milliseconds.

    Raises
    ------
    LabelError
        All values of a column lie more than the width of the others' scale beyond it, only this
        column, or some and not all, have decimals, or two columns have no scale in common.
    """
    for rater, own in values.items():
        others = pd.concat([values[other] for other in values if other != rater])
        medians = pd.Series([values[other].median() for other in values if other != rater])
        low, high = usual_scale(medians) or usual_scale(others) or (others.min(), others.max())
        beyond = own.min() > high + (high - low) or own.max() < low - (high - low)
        alone = (
            len(values) > 2
            and len(own) > 1
            and (own % 1 != 0).mean() > NUMERIC
            and (others % 1 == 0).all()
        )
        if beyond or alone:
            raise LabelError(
                f"{path}, column {rater}: {own.min():g} to {own.max():g}, where the other columns "
                f"have {others.min():g} to "
                f"{others.max():g}{' without decimals' if alone and not beyond else ''}; if it is "
                "no rater's, remove it"
            )
    long = {rater: own for rater, own in values.items() if len(own) >= FEW}
    parted = [rater for rater, own in long.items() if (own % 1 != 0).mean() > NUMERIC]
    whole = [rater for rater, own in long.items() if (own % 1 == 0).all() and own.nunique() > 2]
    if parted and whole:
        raise LabelError(
            f"{path}: the column {parted[0]!r} has decimals, and {whole[0]!r} has none; if one is "
            "no rater's, remove it"
        )
    widths = {
        rater: [_width(own.quantile([0.1, 0.9])), _width(own)]  # a slip makes no scale
        for rater, own in long.items()
        if own.nunique() > 1
    }
    if widths:
        wide = max(widths, key=lambda rater: widths[rater][0])
        narrow = min(widths, key=lambda rater: widths[rater][1])
        if widths[wide][0] > APART * widths[narrow][1]:
            raise LabelError(
                f"{path}: the columns {wide!r} ({values[wide].min():g} to {values[wide].max():g}) "
                f"and {narrow!r} ({values[narrow].min():g} to {values[narrow].max():g}) have no "
                "scale in common; if one is no rater's, remove it"
            )


def _width(values: pd.Series) -> float:
    low, high = usual_scale(values) or (values.min(), values.max())
    return float(high - low)
