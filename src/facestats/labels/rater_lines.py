"""Single judgements, one a line, that may be no rater's, or of something else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import as_numbers, without_empty
from facestats.labels.chosen_raters import ALL, CLOSE, doubtful
from facestats.labels.columns import LABELS, is_marked, plain
from facestats.labels.names import has_extension
from facestats.labels.rater_columns import HIGHEST, NUMERIC, TELLING, known_columns, possible_raters
from facestats.labels.rater_names import (
    ATTRACTIVE,
    COUNT,
    MEAN_RATER_NAMES,
    OTHER_TRAIT,
    PERSONAL,
    RATER_WORDS,
    is_called_statistic,
    kind_of,
    may_be_name,
    summarizes,
    words_of,
)
from facestats.labels.rater_numbers import are_between, around, ends_of, statistic_of
from facestats.labels.scale import NO_ANSWER
from facestats.machine.output import one_line

# Headers of a column that names what was rated.
TRAIT_COLUMN_NAMES = tuple(
    """
    trait question questiontext dimension attribute task scale construct adjective eigenschaft
    frage
    """.split()
)
MELTED = ("variable", "key", "name")  # what pandas and R call the columns of a table made long
LONGEST = 40  # letters of a value in a warning
DIFFERENT = 0.95  # share of different values in a column that tells lines apart
SECOND = 0.05  # share of lines that may be a rater's second of a photo
RARE = 1e-3  # chance below which ratings are hardly single ones
TRIAL_TYPE = "trialtype"  # the header of jsPsych's plugins, as `plain` writes it
REPEAT = "repeat"  # the type of a rater's second judgement
# Raters among whom one who is called like a person may be the mean of others, and how many others.
MOST_RATERS, ENOUGH = 100, 3
MEAN_ROUNDED, NEARLY_ALL = 0.051, 0.98  # how far off a mean may be, and in what share of lines
# Ratings from which a scale is known, the share beyond 10 that makes it wide, and the share of
# raters or photos on another one.
SEVERAL, WIDE, FEW = 3, 0.3, 0.2
MOST_TRAITS = 12  # different values of such a column


def refuse_doubtful(
    judged: pd.DataFrame,
    cells: pd.DataFrame,
    headers: Mapping[str, str],
    are_named: bool,
    path: Path,
) -> None:
    """Raise `LabelError` where it is not clear what was rated or, unless they `are_named`, by whom.

    Parameters
    ----------
    judged : DataFrame of str
        The lines with ratings, as they are written.
    cells : DataFrame of str
        Each judgement; see `read_ratings`.
    headers : mapping of str to str
        The columns that are known.
    are_named : bool
        Whether `labels.raters` names those of `cells`.
    path : Path
        The file, for messages.
    """
    if not are_named:
        _refuse_others_than_raters(judged, cells, headers, path)
    _refuse_scales(cells, path)
    _refuse_traits_by_value(judged, headers, path)


def _refuse_others_than_raters(
    judged: pd.DataFrame, cells: pd.DataFrame, headers: Mapping[str, str], path: Path
) -> None:
    """Raise `LabelError` where it is not clear who rated."""
    melted = [column for column in judged.columns if plain(column) in MELTED]
    if {"image", "rating"} <= {*headers} and "rater" not in headers and melted:
        raise LabelError(
            f"{path}: the column {melted[0]!r} may be that of the raters; call it rater, or remove "
            "it"
        )
    if {"image", "rating"} <= {*headers}:
        _refuse_statistics(cells, path)
        if cells["rater"].eq("").all():
            _refuse_types_of_trials(cells, headers, path)
            _refuse_counts(judged, cells, headers, path)
            _refuse_raters_by_another_name(judged, headers, path)
    if "image" not in headers or "rater" in headers:
        _refuse_mixed(cells, path)


def refuse_repeated(raw: pd.DataFrame, known: Collection[str], path: Path) -> None:
    """Raise `LabelError` where lines of a file stand in it twice, and nobody's name tells.

    That is so where a column that is not `known`, such as a time, differs in all other lines.
    """
    half = len(raw) // 2
    if half >= TELLING and (raw[:half].to_numpy() == raw[-half:].to_numpy()).all():
        raise LabelError(
            f"{path}: its lines stand in it twice, from line {raw.index[-half]} on; remove the "
            "second ones, or write who rated in a column `rater`"
        )
    once, again = raw.drop_duplicates(), raw[raw.duplicated()]
    for column in raw.columns.difference([*known]) if len(again) else ():
        values = without_empty(once[column])
        values = values[values != ""]
        is_own = len(values) >= TELLING and values.nunique() > DIFFERENT * len(values)
        lines = again.index[again[column].isin(values)] if is_own else []
        if len(lines):
            raise LabelError(
                f"{path}, line {lines[0]}: stands in it twice, {column} included; remove the lines "
                "that do, or write who rated in a column `rater`"
            )


def _refuse_types_of_trials(cells: pd.DataFrame, headers: Mapping[str, str], path: Path) -> None:
    """Raise `LabelError` where photos were shown in trials of several types, as jsPsych logs."""
    is_rated = as_numbers(cells["rating"]).notna() & cells["image"].ne("")
    types = cells.loc[is_rated & ~cells["rating_type"].isin(["", REPEAT]), "rating_type"].unique()
    if len(types) > 1 and plain(headers["rating_type"]) == TRIAL_TYPE:
        raise LabelError(
            f"{path}: the column {headers['rating_type']!r} has {types[0]!r} and {types[1]!r}, so "
            "several things may have been asked; leave only the lines on one"
        )


def _refuse_counts(
    judged: pd.DataFrame, cells: pd.DataFrame, headers: Mapping[str, str], path: Path
) -> None:
    """Raise `LabelError` where a line may be of several raters: how many gave it, or their mean."""
    pair = [headers["image"], headers["rating"]]
    of_images, is_once = judged[pair[0]].value_counts(), not judged.duplicated(pair).any()
    for column in judged.columns.difference([*headers.values(), *known_columns(judged)]):
        numbers = as_numbers(without_empty(judged[column]))
        counts = is_once and (numbers % 1 == 0).all() and not summarizes(column)
        varies = judged.groupby(pair[0])[column].nunique().max() > 1
        is_called = COUNT.search(column.casefold())
        if varies and (numbers >= 0).all() and (is_called or counts):
            raise LabelError(
                f"{path}: the column {column!r} may tell how many raters a line is of; write one "
                "line a judgement, or means in labels.csv, in a column `rating`; if it does not, "
                "remove it"
            )
    if is_once and _chance_of_no_repeat(of_images, judged[pair[1]]) < RARE:
        raise LabelError(
            f"{path}: no image has a rating twice, as where each line tells how many gave it; "
            "write one line a judgement and, in a column `rater`, who judged"
        )
    parted = (as_numbers(cells["rating"]).dropna() % 1 != 0).mean() > NUMERIC
    groups = [
        column
        for column in judged.columns.difference(pair)
        if parted
        and of_images.min() > 1
        and judged[column].nunique() < of_images.max() + 2
        and not judged.duplicated([pair[0], column]).any()
    ]
    if groups:
        raise LabelError(
            f"{path}: the ratings may be means of groups of raters, by the column {groups[0]!r}; "
            "call it rater if each is one, and else write one line a judgement, or means in "
            "labels.csv, in a column `rating`"
        )


def _chance_of_no_repeat(of_images: pd.Series, ratings: pd.Series) -> float:
    """How likely no image has a rating twice, at most, if each line is of one rater.

    By the number of lines of each image, and of different ratings: if all are as frequent.
    """
    different = ratings.nunique()
    if of_images.max() > different:
        return 0.0
    taken = [count / different for lines in of_images for count in range(1, lines)]
    return float(np.exp(np.log1p(-np.array(taken)).sum()))


def _refuse_raters_by_another_name(
    judged: pd.DataFrame, headers: Mapping[str, str], path: Path
) -> None:
    """Raise `LabelError` for a column that no header tells to be the raters', and that may be."""
    image = headers["image"]
    if judged[image].value_counts().max() < 2:
        return
    known = [*headers.values(), *known_columns(judged)]
    persons = [column for column in known if plain(column) in LABELS["person"]]
    for column in judged.columns.difference({*known} - {*persons}):
        lines = without_empty(judged[column]).value_counts()
        are_several = 1 < len(lines) <= len(judged) / 2 and lines.sum() == len(judged)
        once = are_several and judged.duplicated([image, column]).mean() < SECOND
        counts = summarizes(column) and as_numbers(pd.Series(lines.index)).notna().all()
        if once and lines.median() > 1 and not counts:
            raise LabelError(
                f"{path}: the column {column!r} may be that of the raters; call it rater, or "
                "remove it"
            )


def _refuse_scales(cells: pd.DataFrame, path: Path) -> None:
    """Raise `LabelError` where some raters, or photos, have quite another scale than others.

    One with a few ratings from 0 to 100 has some above 10, so that hardly a fifth has none.
    """
    numbers = as_numbers(cells["rating"])
    is_answer = numbers.notna() & ~numbers.isin(NO_ANSWER) & cells["image"].ne("")
    answers = cells.assign(rating=numbers)[is_answer]
    for by in ("rater", "image"):
        for _, own in answers[(answers["rater"] != "") | (by == "image")].groupby("trait"):
            if by == "image" and _are_ranks(own):
                continue
            facts = own.groupby(by)["rating"].agg(["count", "min", "max"])
            facts["above"] = (own["rating"] > HIGHEST).groupby(own[by]).mean()
            facts = facts[facts["count"] >= SEVERAL]
            is_wide = facts["above"] > WIDE
            of_raters = by == "rater" and (answers["rating"] >= 0).all()
            is_unit = (facts["max"] <= 1) & (facts["min"] == 0) & of_raters
            is_narrow = facts["max"].between(1, HIGHEST, inclusive="right")
            scales = [facts.index[kind] for kind in (is_unit, is_narrow, is_wide)]
            scales = [names for names in scales if len(names)]
            if len(scales) > 1 and len(scales[0]) >= FEW * len(facts):
                what = "ratings of" if by == "rater" else "images"
                raise LabelError(
                    f"{path}: the {what} {scales[0][0]!r} and {scales[-1][0]!r} are on different "
                    f"scales; bring them to one, and {ALL}"
                )


def _are_ranks(answers: pd.DataFrame) -> bool:
    """Whether each rater gave each whole number up to that of the images once."""
    numbers = answers["rating"]
    are_places = (numbers % 1 == 0).all() and numbers.max() <= answers["image"].nunique()
    return bool(are_places and not answers.duplicated(["rater", "rating"]).any())


def _refuse_mixed(cells: pd.DataFrame, path: Path) -> None:
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
        if name and plain(name) not in MEAN_RATER_NAMES
    }
    by_words = {tuple(words_of(name)): name for name in values}
    added: dict[str, list[str]] = {}
    for words, name in by_words.items():
        if len(words) > 1 and words[:-1] in by_words:
            added.setdefault(words[-1], []).append(name)
    for end, names in added.items():
        if len(names) > 1 and not end.isdigit():
            raise doubtful(names[0], "may be of the same rater as another", path)
    telling = {name: own for name, own in values.items() if len(own) >= TELLING}
    if len(telling) < 2:
        return
    lows = np.array([own.min() for own in telling.values()])
    highs = np.array([own.max() for own in telling.values()])
    parted = [name for name, own in telling.items() if (own % 1 != 0).mean() > NUMERIC]
    if len(parted) == 1 and all((telling[name] % 1 == 0).all() for name in {*telling} - {*parted}):
        raise doubtful(parted[0], "has decimals, and no other has", path)
    for name, least, most in zip(telling, lows, highs, strict=True):
        if lows.min() < least and most < highs.max():
            continue  # within the others
        others = pd.Series([np.delete(lows, [*telling].index(name)).min(), highs.max()])
        if most == highs.max():
            others[1] = np.delete(highs, [*telling].index(name)).max()
        low, high = ends_of(others)
        if least > high + (high - low) or most < low - (high - low):
            raise doubtful(name, f"has {least:g} to {most:g}, far from the others", path)


def _refuse_statistics(cells: pd.DataFrame, path: Path) -> None:
    """Raise `LabelError` where a rater may be a statistic of the others, or is called like one."""
    names = [name for name in cells["rater"].unique() if plain(name) not in MEAN_RATER_NAMES]
    called = [name for name in names if not name or is_called_statistic(name)]
    if len(names) > MOST_RATERS:
        _refuse_means(cells, called, path)
        return
    by_rater = cells.assign(rating=as_numbers(cells["rating"])).pivot_table(
        index=["image", "trait"], columns="rater", values="rating", aggfunc="first"
    )
    raters = by_rater.columns.difference(called)
    kinds = [kind_of(rater) for rater in raters]
    for name in by_rater.columns.intersection(names):
        others = by_rater[raters.difference([name])]
        how = statistic_of(by_rater[name].to_numpy(), others.to_numpy())
        if name not in called and (how != "mean" or others.notna().sum(axis=1).min() < ENOUGH):
            continue
        if how or (name and not may_be_name(name, kinds)):
            what = f"is the {how} of the others" if how else "is called like a statistic"
            raise LabelError(f"{path}: the rater {name!r} {what}; {CLOSE}")


def _refuse_means(cells: pd.DataFrame, called: list[str], path: Path) -> None:
    """Raise `LabelError` where one who may be no rater is the mean of very many others."""
    numbers = cells.assign(rating=as_numbers(cells["rating"]))
    others = numbers[~numbers["rater"].isin(called)].groupby(["image", "trait"])["rating"].mean()
    for name in called:
        own = numbers[numbers["rater"] == name].set_index(["image", "trait"])["rating"]
        off = (own - others.reindex(own.index)).abs()
        if len(own) >= TELLING and (off < MEAN_ROUNDED).mean() > NEARLY_ALL:
            raise LabelError(f"{path}: the rater {name!r} is the mean of the others; {CLOSE}")
        if name and not may_be_name(name, [kind_of(rater) for rater in numbers["rater"].unique()]):
            raise LabelError(f"{path}: the rater {name!r} is called like a statistic; {CLOSE}")


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
    if len(others) > 1 and not is_read.any():
        raise LabelError(
            f"{path}: the column {headers['rating']!r} has no rating, and others, such as "
            f"{next(iter(others))!r}, may be raters'; remove it, or name them in labels.raters"
        )
    is_one_each = is_alone and without_empty(raw[headers["image"]]).is_unique and is_read.any()
    again = [
        name
        for name, numbers in others.items()
        if _without_number(name) == _without_number(headers["rating"])
        or (is_one_each and are_between(numbers.to_numpy(), around(own)))
    ]
    if again:
        raise LabelError(
            f"{path}: the columns {headers['rating']!r} and {again[0]!r} may be of two raters; "
            "write one line a judgement, or name the columns of all raters in labels.raters"
        )


def _without_number(header: str) -> str:
    return plain(header).rstrip("0123456789")


def refuse_several_traits(raw: pd.DataFrame, path: Path) -> None:
    """Raise a `LabelError` if a column says that several traits were rated."""
    for column in raw.columns:
        if plain(column) not in TRAIT_COLUMN_NAMES or is_marked(column):
            continue
        values = without_empty(raw[column])
        several = list(dict.fromkeys(values[values != ""]))
        if len(several) > 1:
            raise LabelError(
                f"{path}: the column {column!r} has {', '.join(map(repr, several[:3]))}, so "
                "several things were rated; leave only the lines on one"
            )


def _refuse_traits_by_value(judged: pd.DataFrame, headers: Mapping[str, str], path: Path) -> None:
    """Raise `LabelError` for a column, however called, that names attractiveness and other traits.

    Where each rater judges one trait, nothing else tells them apart.
    """
    of_images = judged[headers["image"]] if "image" in headers else judged.index
    for column in judged.columns.difference([*headers.values()], sort=False):
        if is_marked(column) or plain(column) in TRAIT_COLUMN_NAMES:
            continue
        cells = without_empty(judged[column])
        counts = cells[cells != ""].value_counts()
        if len(counts) > MOST_TRAITS or any(map(has_extension, counts.index)):
            continue
        is_of_photos = "image" in headers and cells.groupby(of_images).nunique().max() < 2
        if is_of_photos or ("rating" in headers and _is_label(cells, judged[headers["rating"]])):
            continue
        own = [value for value in counts.index if ATTRACTIVE.search(value)]
        other = [value for value in counts.index if OTHER_TRAIT.search(value) and value not in own]
        if (counts > 1).all():  # no remarks
            rest = [value for value in counts.index if value not in own + other]
            own, other = (own or rest, other) if other else (own, rest)
        if own and other:
            raise LabelError(
                f"{path}: the column {column!r} has {own[0]!r} and {other[0]!r}, so several things "
                "were rated; call it trait, or leave only the lines on one (labels.raters: "
                '["*"] takes all)'
            )


def _is_label(cells: pd.Series, ratings: pd.Series) -> bool:
    """Whether a column says in words what the rating beside it says."""
    are_many = len(cells) > 3 * ratings.nunique()  # lines of each rating
    return bool(are_many and cells.groupby(ratings).nunique().max() < 2)


def kinds_not_read(judged: pd.DataFrame, headers: Mapping[str, str], path: Path) -> list[str]:
    """Warnings on columns that are not read and may tell what was rated.

    They have a few values, several for one photo, and are called neither like a quality of the
    raters nor like a counter.
    """
    warnings = []
    for column in judged.columns.difference([*headers.values(), *known_columns(judged)]):
        words = {*words_of(column)}
        if summarizes(column) or words & (PERSONAL | RATER_WORDS) or "rater" in column.casefold():
            continue
        counts = without_empty(judged[column]).value_counts()
        counts = counts[counts.index != ""]
        of_photos = judged.groupby(headers["image"])[column].nunique()
        if 1 < len(counts) <= MOST_TRAITS and (counts > 1).all() and of_photos.max() > 1:
            first, second = (value[:LONGEST] for value in counts.index[:2])
            warnings.append(
                one_line(
                    f"{path.name}: the column {column!r} ({first}, {second}"
                    f"{', …' if len(counts) > 2 else ''}) is not read; if it tells what was rated, "
                    "call it trait"
                )
            )
    return warnings
