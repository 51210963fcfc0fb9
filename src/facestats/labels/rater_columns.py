"""Which columns of a table of judgements, one line a photo, are those of raters.

Where `labels.raters` names them, they are those. Otherwise each column of numbers is one that is no
known column, statistic or counter, and any doubt is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import as_numbers, without_empty
from facestats.labels.columns import LABELS, find_columns, listed, plain
from facestats.labels.names import PhotoNames, Reading
from facestats.labels.rater_names import (
    EXTREMES,
    MEAN_RATER_NAMES,
    STATISTIC_PARTS,
    is_name,
    kind_of,
    may_be_name,
    parts_of,
    summarizes,
    words_of,
)
from facestats.labels.scale import usual_scale

# Headers of ratings of other things than attractiveness.
OTHER_TRAIT_HEADER = re.compile(
    r"trust|domina|friendl|intellig|compet|masculin|feminin|likea?b|sympath|warmth|typical"
    r"|distinctive|memorab|health|happi|aggress|confiden|sociab|smart"
)
NUMERIC = 0.5  # share of a column's cells that must be numbers for it to be a rater's
STATISTICS = ("mean", "median", "sum", "std", "count", "min", "max")
MATCHING = 0.99  # share of faces on which a column equals a statistic of others: no rater's
APART = 2.5  # a harsh rater may use no more than 1 to 5 of 1 to 10
COUNTED = 4  # lines that a column must number to be a counter, whatever its header
# Lines from which whole numbers that rise with each, or are 1, 2, 3 … in any order, and from which
# those that never come again within twice their count, are hardly ratings.
RISING, DENSE = 8, 12
TELLING = 5  # ratings from which a column's numbers tell of their kind
ALL = "name the raters in labels.raters"
CLOSE_ONE = f"if one is no rater's, remove it, and else {ALL}"
CLOSE = f"if it is no rater's, remove it, and else {ALL}"


def find_raters(
    raw: pd.DataFrame, headers: Mapping[str, str], names: PhotoNames, path: Path
) -> list[str]:
    """The columns of raters.

    Parameters
    ----------
    raw : DataFrame
        The file as text, one line a photo.
    headers : mapping of str to str
        The columns that are known, among them `image`; see `columns.find_columns`.
    names : PhotoNames
        Tells which lines are of photos.
    path : Path
        The file, for messages.

    Raises
    ------
    LabelError
        There are no two such columns, or one of them may be something else.
    """
    raters = possible_raters(raw, headers)
    image = without_empty(raw[headers["image"]])
    place = pd.Series(range(len(raw)), raw.index)[image.map(names.read).map(_is_photo)]
    values = {rater: as_numbers(without_empty(raw[rater]))[place.index] for rater in raters}
    raters = _without_computed(values, place, path)
    if len(raters) < 2 or "rater" in headers:
        raise _no_raters(raw, path)
    traits = [column for column in raters if OTHER_TRAIT_HEADER.search(column.casefold())]
    if traits:
        raise LabelError(
            f"{path}: the column {traits[0]!r} is no rater's and not about attractiveness; leave "
            "only the ratings that you mean, with a column a rater"
        )
    others = raw.columns.difference([*headers.values(), *known_columns(raw)], sort=False)
    _refuse_left_out(raw.loc[place.index, others], raters, values, path)
    _refuse_several_of_a_rater(raters, path)
    _refuse_other_quantities({rater: values[rater].dropna() for rater in raters}, path)
    _refuse_unlike_headers(raters, path)
    return raters


def refuse_mixed(cells: pd.DataFrame, path: Path) -> None:
    """Raise `LabelError` where lines are called like raters, and are none: `anna_rt`, `width`.

    Parameters
    ----------
    cells : DataFrame of str
        `rater` and `rating` of each judgement.
    path : Path
        The file, for messages.
    """
    numbers = as_numbers(cells["rating"])
    values = {
        name: own.dropna()
        for name, own in numbers.groupby(cells["rater"])
        if plain(name) not in ("", *MEAN_RATER_NAMES)
    }
    by_words = {tuple(words_of(name)): name for name in values}
    added: dict[str, list[str]] = {}
    for words, name in by_words.items():
        if len(words) > 1 and words[:-1] in by_words:
            added.setdefault(words[-1], []).append(name)
    for end, names in added.items():
        if len(names) > 1 and not end.isdigit():
            raise _doubtful(names[0], "may be of the same rater as another", path)
    telling = {name: own for name, own in values.items() if len(own) >= TELLING}
    if len(telling) < 2:
        return
    lows = np.array([own.min() for own in telling.values()])
    highs = np.array([own.max() for own in telling.values()])
    parted = [name for name, own in telling.items() if (own % 1 != 0).mean() > NUMERIC]
    if len(parted) == 1 and all((telling[name] % 1 == 0).all() for name in {*telling} - {*parted}):
        raise _doubtful(parted[0], "has decimals, and no other has", path)
    for name, least, most in zip(telling, lows, highs, strict=True):
        if lows.min() < least and most < highs.max():
            continue  # within the others
        others = pd.Series([np.delete(lows, [*telling].index(name)).min(), highs.max()])
        if most == highs.max():
            others[1] = np.delete(highs, [*telling].index(name)).max()
        low, high = _ends(others)
        if least > high + (high - low) or most < low - (high - low):
            raise _doubtful(name, f"has {least:g} to {most:g}, far from the others", path)


def possible_raters(raw: pd.DataFrame, headers: Mapping[str, str]) -> list[str]:
    """The columns of numbers that are no known column, statistic or counter by their header."""
    known = known_columns(raw)
    return [
        column
        for column in raw.columns
        if column not in known
        and column not in headers.values()
        and plain(column)  # `#`
        and not summarizes(column)
        and _mostly_numbers(without_empty(raw[column]))
    ]


def known_columns(raw: pd.DataFrame) -> list[str]:
    """The columns of labels."""
    return [
        header for header in raw.columns if any(plain(header) in LABELS[name] for name in LABELS)
    ]


def refuse_raters_beside(raw: pd.DataFrame, headers: Mapping[str, str], path: Path) -> None:
    """Raise `LabelError` where ratings may be one of several raters' in a line, or a mean."""
    others = {name: as_numbers(without_empty(raw[name])) for name in possible_raters(raw, headers)}
    own = as_numbers(without_empty(raw[headers["rating"]]))
    is_read, is_alone = own.notna(), "rater" not in headers
    if len(others) > 1 and is_alone:
        rounding = 0.51 if (own[is_read] % 1 == 0).all() else None
        table = np.column_stack([*others.values()])[is_read]
        if how := statistic_of(own[is_read].to_numpy(), table, rounding):
            raise LabelError(
                f"{path}: the column {headers['rating']!r} is the {how} of others, such as "
                f"{next(iter(others))!r}; if these are raters', name them in labels.raters, and "
                "else remove them"
            )
    is_one_each = is_alone and without_empty(raw[headers["image"]]).is_unique and is_read.any()
    again = [
        name
        for name, numbers in others.items()
        if _without_number(name) == _without_number(headers["rating"])
        or (is_one_each and _are_between(numbers.to_numpy(), _around(own)))
    ]
    if again:
        raise LabelError(
            f"{path}: the columns {headers['rating']!r} and {again[0]!r} may be of two raters; "
            "write one line a judgement, or name the columns of all raters in labels.raters"
        )


def _without_number(header: str) -> str:
    return plain(header).rstrip("0123456789")


def _no_raters(raw: pd.DataFrame, path: Path) -> LabelError:
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
    return LabelError(
        f"{path}: there is no column `rating`; the header line has {listed(raw.columns)}{hint}"
    )


def _is_photo(reading: Reading) -> bool:
    return reading.image is not None


def _mostly_numbers(cells: pd.Series) -> bool:
    filled = cells[cells != ""]
    return len(filled) > 0 and as_numbers(filled).notna().mean() > NUMERIC


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
    doubtful += [
        rater
        for rater in steady
        if values[rater].count() < RISING
        and any(
            _are_between(values[rater].to_numpy(), values[other].to_numpy()) for other in remaining
        )
    ]
    if all({*values[rater]} == {*values[name]} for name in steady[:1] for rater in remaining):
        doubtful = doubtful or steady  # one of the rankings, by which the lines are sorted
    if doubtful:
        what = "looks like numbers of lines or pages, not like ratings"
        raise _doubtful(doubtful[0], what, path)
    numbers = np.empty((len(place), 0))
    if remaining:
        numbers = np.column_stack([values[rater] for rater in remaining])
    for at in reversed(range(len(remaining))):
        rater, own = remaining[at], numbers[:, at]
        others = np.delete(numbers, at, axis=1)
        how = statistic_of(own, others)
        if how and plain(rater) not in EXTREMES and _may_be_given(own, others):
            raise _doubtful(rater, f"is the {how} of the others in each line", path)
        if not how and plain(rater) in EXTREMES and len(own) >= COUNTED and others.shape[1] > 1:
            raise _doubtful(rater, "is called like a statistic of the others", path)
        if how:
            remaining, numbers = remaining[:at] + remaining[at + 1 :], others
    return remaining


def statistic_of(
    numbers: np.ndarray, others: np.ndarray, rounding: float | None = None
) -> str | None:
    """Which statistic of the others a column is in nearly all lines; None if it is none.

    Parameters
    ----------
    numbers : ndarray of float64 (n,)
        NaN for empty cells.
    others : ndarray of float64 (n, m)
        A column each, of the same lines.
    rounding : float, optional
        How far off it may be; by default by the decimals of the numbers, one or two.
    """
    is_rated = ~np.isnan(others).all(axis=1)  # a photo that nobody rated has no mean
    numbers, others = numbers[is_rated], others[is_rated]
    filled = numbers[~np.isnan(numbers)]
    if others.shape[1] < 2 or len(others) < COUNTED or len(np.unique(filled)) < 2:
        return None
    if rounding is None:
        has_one = np.isclose(10 * filled, np.round(10 * filled)).all() and (filled % 1).any()
        rounding = 0.051 if has_one else 0.0051
    most = len(numbers) - MATCHING * len(numbers)  # lines in which it may be another number
    first = slice(0, 2 * int(most) + 32)  # no other column gets further
    for how in STATISTICS:
        for part in (first, slice(None)):
            there = _statistic(how, others[part])
            same = np.isclose(numbers[part], there, rtol=0, atol=rounding, equal_nan=True)
            if (~same).sum() > most:
                break
        else:
            return how
    return None


def _statistic(how: str, others: np.ndarray) -> np.ndarray:
    """A statistic of each line (n, m), none of which is empty; (n,)."""
    count = (~np.isnan(others)).sum(axis=1)
    if how == "count":
        return count
    if how == "std":
        squares = np.nansum((others - np.nanmean(others, axis=1, keepdims=True)) ** 2, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(squares / (count - 1))
    by_name = {"mean": np.nanmean, "median": np.nanmedian, "sum": np.nansum}
    return (by_name | {"min": np.nanmin, "max": np.nanmax})[how](others, axis=1)


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


def _may_be_given(numbers: np.ndarray, others: np.ndarray) -> bool:
    """Whether numbers are whole, or such as the other raters gave."""
    filled = numbers[~np.isnan(numbers)]
    return bool((filled % 1 == 0).all() or np.isin(filled, others).all())


def _are_between(numbers: np.ndarray, others: np.ndarray) -> bool:
    """Whether whole numbers are between those of others."""
    filled = numbers[~np.isnan(numbers)]
    if np.isnan(others).all():
        return False
    is_between = (filled >= np.nanmin(others)) & (filled <= np.nanmax(others))
    return bool(is_between.all() and (filled % 1 == 0).all())


def _doubtful(column: str, what: str, path: Path) -> LabelError:
    return LabelError(f"{path}: the column {column!r} {what}; {CLOSE}")


def _refuse_left_out(
    raw: pd.DataFrame, raters: list[str], values: Mapping[str, pd.Series], path: Path
) -> None:
    """Raise `LabelError` for a column called like those of the raters, with such numbers.

    A statistic's word may be a rater's name (`SE`, `N. Fischer`), and a rater may answer in words.
    """
    kinds = [kind_of(rater) for rater in raters]
    given = np.column_stack([values[rater] for rater in raters])
    scale = _around(pd.Series(given[~np.isnan(given)]))
    for column in raw.columns.difference(raters, sort=False):
        cells = without_empty(raw[column])
        numbers = as_numbers(cells).to_numpy()
        different = np.unique(numbers[~np.isnan(numbers)])
        if kinds.count(kind_of(column)) < 2 or not _are_between(numbers, scale):
            continue
        if summarizes(column):
            is_computed = np.isclose(np.diff(numbers), 1).all() or statistic_of(numbers, given)
            if may_be_name(column, kinds) and len(different) > 1 and not is_computed:
                raise _doubtful(column, "is called like a statistic, and may be a rater's", path)
        elif len(different) and not _mostly_numbers(cells):
            raise _doubtful(column, "has numbers among other cells", path)


def _refuse_several_of_a_rater(raters: list[str], path: Path) -> None:
    """Raise `LabelError` for columns such as `anna` and `anna_rt`, or `anna_a`, `anna_b`, `ben_a` …

    The columns of one rater can't all be ratings of the same thing.
    """
    words = {rater: parts_of(rater) for rater in raters}
    for rater in raters:
        own = words_of(rater)
        if len(own) > 1 and STATISTIC_PARTS & {*own}:  # Attractiveness_M, SD1
            raise _doubtful(rater, "may be a statistic", path)
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
            f"one thing by two; leave one column a rater, and {ALL}"
        )


def _refuse_unlike_headers(raters: list[str], path: Path) -> None:
    """Raise `LabelError` where a column is called unlike the others: `rater 1, rater 2, smile`."""
    alike: dict[tuple, list[str]] = {}
    for rater in raters:
        alike.setdefault(kind_of(rater), []).append(rater)
    codes = [own[0] for kind, own in alike.items() if kind[0] == "numbered" and len(own) == 1]
    codes = [code for code in codes if code.isalnum()]
    for code in codes if len(codes) > 1 else ():  # JK92, AB71
        del alike[kind_of(code)]
        alike.setdefault(("code", code.isupper(), code.islower()), []).append(code)
    usual, *unlike = sorted(alike.values(), key=len, reverse=True)
    if unlike and not (len(raters) == 2 and any(map(is_name, raters))):
        raise LabelError(
            f"{path}: the column {unlike[0][0]!r} is called unlike {usual[0]!r}; {CLOSE}"
        )


def _refuse_other_quantities(values: Mapping[str, pd.Series], path: Path) -> None:
    """Refuse columns of other numbers than ratings, such as ages or milliseconds.

    Raises
    ------
    LabelError
        All values of a column lie more than the width of the others' scale beyond it, only this
        column, or some and not all, have decimals, or two columns have no scale in common.
    """
    _refuse_beyond(values, path)
    long = {rater: own for rater, own in values.items() if len(own) >= TELLING}
    parted = [rater for rater, own in long.items() if (own % 1 != 0).mean() > NUMERIC]
    whole = [rater for rater, own in long.items() if (own % 1 == 0).all() and own.nunique() > 2]
    if parted and whole:
        raise LabelError(
            f"{path}: the column {parted[0]!r} has decimals, and {whole[0]!r} has none; {CLOSE_ONE}"
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
                f"scale in common; {CLOSE_ONE}"
            )


def _refuse_beyond(values: Mapping[str, pd.Series], path: Path) -> None:
    """Refuse raters all of whose numbers are beyond the scale of the others, or have decimals."""
    facts = pd.DataFrame(
        {
            "low": {rater: own.min() for rater, own in values.items()},
            "high": {rater: own.max() for rater, own in values.items()},
            "median": {rater: own.median() for rater, own in values.items()},
            "is_whole": {rater: (own % 1 == 0).all() for rater, own in values.items()},
        }
    )
    for rater, own in values.items():
        others = facts[facts.index != rater]
        ends = others["low"].min(), others["high"].max()
        low, high = usual_scale(others["median"]) or usual_scale(pd.Series(ends)) or ends
        beyond = own.min() > high + (high - low) or own.max() < low - (high - low)
        alone = (
            len(values) > 2
            and len(own) > 1
            and (own % 1 != 0).mean() > NUMERIC
            and others["is_whole"].all()
        )
        if beyond or alone:
            raise LabelError(
                f"{path}, column {rater}: {own.min():g} to {own.max():g}, where the other columns "
                f"have {ends[0]:g} to {ends[1]:g}"
                f"{' without decimals' if alone and not beyond else ''}; {CLOSE}"
            )


def _width(values: pd.Series) -> float:
    low, high = _ends(values)
    return float(high - low)


def _around(values: pd.Series) -> np.ndarray:
    """Ends of numbers that are not far from a scale: another rater may use more of it."""
    low, high = _ends(values)
    return np.array([2 * low - high, 2 * high - low])


def _ends(values: pd.Series) -> tuple[float, float]:
    """Ends of the scale that holds numbers."""
    return usual_scale(values) or (values.min(), values.max())
