"""Which columns of a table of judgements, one line a photo, are those of raters.

Where `labels.raters` names them, they are those. Otherwise each column of numbers is one that is no
known column, statistic or counter, and any doubt is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import as_numbers, without_empty
from facestats.labels.chosen_raters import ALL, CLOSE, CLOSE_ONE, doubtful
from facestats.labels.columns import LABELS, find_columns, listed, plain
from facestats.labels.names import PhotoNames, Reading
from facestats.labels.rater_headers import refuse_other_traits, refuse_pairs, refuse_unlike
from facestats.labels.rater_names import (
    ATTRACTIVE,
    EXTREMES,
    GROUPS,
    MEAN_RATER_NAMES,
    OTHER_TRAIT,
    RATER_WORDS,
    kind_of,
    may_be_name,
    parted_number,
    summarizes,
)
from facestats.labels.rater_numbers import (
    COUNTED,
    are_between,
    around,
    statistic_of,
    width,
)
from facestats.labels.scale import usual_scale

NUMERIC = 0.5  # share of a column's cells that must be numbers for it to be a rater's
APART = 2.5  # a harsh rater may use no more than 1 to 5 of 1 to 10
# Lines from which whole numbers that rise with each, or are 1, 2, 3 … in any order, and from which
# those that never come again within twice their count, are hardly ratings.
RISING, DENSE = 8, 12
# Answers of a scale that may be tallied.
MOST_ANSWERS, FEWEST_ANSWERS = 11, 4
TINY = 1e-6
FEW_GROUPS = 3  # columns of words that may be means of groups
HIGHEST = 10  # of the usual scales of answers
TELLING = 5  # ratings from which a column's numbers tell of their kind


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
    refuse_other_traits(raters, path)
    others = raw.columns.difference([*headers.values(), *known_columns(raw)], sort=False)
    _refuse_left_out(raw.loc[place.index, others], raters, values, path)
    refuse_pairs(raters, path)
    _refuse_tallies({rater: values[rater] for rater in raters}, path)
    _refuse_other_quantities({rater: values[rater].dropna() for rater in raters}, path)
    refuse_unlike(raters, path)
    _refuse_group_means({rater: values[rater].dropna() for rater in raters}, path)
    _refuse_second_header(raw.drop(index=place.index)[raters], path)
    return raters


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
    counting = counters if len(counters) < len(remaining) else []  # else all rank the photos
    counting += [
        rater
        for rater in steady
        if values[rater].count() < RISING
        and any(
            are_between(values[rater].to_numpy(), values[other].to_numpy()) for other in remaining
        )
    ]
    if all({*values[rater]} == {*values[name]} for name in steady[:1] for rater in remaining):
        counting = counting or steady  # one of the rankings, by which the lines are sorted
    if counting:
        what = "looks like numbers of lines or pages, not like ratings"
        raise doubtful(counting[0], what, path)
    numbers = np.empty((len(place), 0))
    if remaining:
        numbers = np.column_stack([values[rater] for rater in remaining])
    for at in reversed(range(len(remaining))):
        rater, own = remaining[at], numbers[:, at]
        others = np.delete(numbers, at, axis=1)
        how = statistic_of(own, others)
        if how and plain(rater) not in EXTREMES and _may_be_given(own, others):
            raise doubtful(rater, f"is the {how} of the others in each line", path)
        if not how and plain(rater) in EXTREMES and len(own) >= COUNTED and others.shape[1] > 1:
            raise doubtful(rater, "is called like a statistic of the others", path)
        if how:
            remaining, numbers = remaining[:at] + remaining[at + 1 :], others
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


def _may_be_given(numbers: np.ndarray, others: np.ndarray) -> bool:
    """Whether numbers are whole, or such as the other raters gave."""
    filled = numbers[~np.isnan(numbers)]
    return bool((filled % 1 == 0).all() or np.isin(filled, others).all())


def _refuse_left_out(
    raw: pd.DataFrame, raters: list[str], values: Mapping[str, pd.Series], path: Path
) -> None:
    """Raise `LabelError` for a column called like those of the raters, with such numbers.

    A statistic's word may be a rater's name (`SE`, `N. Fischer`), and a rater may answer in words.
    """
    kinds = [kind_of(rater) for rater in raters]
    given = np.column_stack([values[rater] for rater in raters])
    scale = around(pd.Series(given[~np.isnan(given)]))
    for column in raw.columns.difference(raters, sort=False):
        cells = without_empty(raw[column])
        numbers = as_numbers(cells).to_numpy()
        different = np.unique(numbers[~np.isnan(numbers)])
        if kinds.count(kind_of(column)) < 2 or not are_between(numbers, scale):
            continue
        if summarizes(column):
            is_computed = np.isclose(np.diff(numbers), 1).all() or statistic_of(numbers, given)
            if may_be_name(column, kinds) and len(different) > 1 and not is_computed:
                raise doubtful(column, "is called like a statistic, and may be a rater's", path)
        elif len(different) and not _mostly_numbers(cells):
            raise doubtful(column, "has numbers among other cells", path)


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
        rater: [width(own.quantile([0.1, 0.9])), width(own)]  # a slip makes no scale
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


def _refuse_tallies(values: Mapping[str, pd.Series], path: Path) -> None:
    """Refuse columns that may tell how many raters, or which share of them, gave each answer.

    Raises
    ------
    LabelError
        The numbers of each line have the same sum, or columns are numbered as the answers of a
        scale, `1` to `5`, and have numbers that no such scale has.
    """
    table = np.column_stack([*values.values()])
    table = table[~np.isnan(table).all(axis=1)]
    sums, first = np.nansum(table, axis=1), next(iter(values))
    are_shares = len(values) <= MOST_ANSWERS and np.isclose(sums, [[1], [100]], 0.03).all(1).any()
    if len(sums) >= COUNTED and (are_shares or np.ptp(sums) <= TINY):
        raise doubtful(first, "and the others have the same sum in each line, as shares do", path)
    starts, numbers = zip(*(parted_number(rater) for rater in values), strict=True)
    answers = {*range(min(numbers), max(numbers) + 1)} if None not in numbers else set()
    is_scale = FEWEST_ANSWERS <= len(answers) <= MOST_ANSWERS and {*numbers} == answers
    is_answer = is_scale and len({*starts}) == 1 and min(answers) in (0, 1)
    is_tallied = (table == 0).any() or (table > HIGHEST).any()
    if is_answer and starts[0] not in RATER_WORDS and is_tallied:
        raise doubtful(first, "may tell how many raters gave an answer", path)


def _refuse_group_means(values: Mapping[str, pd.Series], path: Path) -> None:
    """Refuse columns of words, or of years, with means or counts of groups: `men`, `women`.

    Raises
    ------
    LabelError
        One is called like a group or an answer, has decimals, or is one of two with numbers that
        no scale of answers has.
    """
    for rater, own in values.items():
        start, number = parted_number(rater)
        if rater.casefold() in GROUPS or {*map(str.casefold, values)} in ({*"mf"}, {*"mw"}):
            raise doubtful(rater, "may be of a group, or of an answer", path)
        if start in RATER_WORDS or kind_of(rater)[0] not in ("words", "numbered"):
            continue
        if len(values) <= FEW_GROUPS and (own % 1 != 0).mean() > NUMERIC:
            raise doubtful(rater, "has decimals, as means have", path)
        if len(values) == 2 and number is None and own.max() > HIGHEST:
            raise doubtful(rater, "has numbers as counts have", path)


def _refuse_second_header(lines: pd.DataFrame, path: Path) -> None:
    """Refuse a line of no photo that tells what each rater judged."""
    for line, cells in lines.iterrows():
        own = [cell for cell in cells if ATTRACTIVE.search(cell)]
        other = [cell for cell in cells if OTHER_TRAIT.search(cell)]
        if own and other:
            raise LabelError(
                f"{path}, line {line}: {own[0]!r} and {other[0]!r} may tell what each rater "
                f"judged; leave only the ratings that you mean, and {ALL}"
            )
