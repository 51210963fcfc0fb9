"""Single judgements (`ratings.csv`, `ratings.xlsx`), as people and survey tools write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError, number_of
from facestats.labels.cells import MAX_RATING, SHOWN, Mistakes, numbers, one_form, without_empty
from facestats.labels.columns import (
    LABELS,
    RATINGS,
    describe_columns,
    find_columns,
    listed,
    no_image_column,
    plain,
)
from facestats.labels.files import read_sheet
from facestats.labels.names import NameIndex
from facestats.labels.scale import usual_scale
from facestats.labels.traits import only_raters, read_trait, trait_column

REPEAT = "repeat"

# Words in headers of statistics and counters, which are no raters: at a header's start or, from
# three letters on, at its end.
SUMMARIES = re.compile(
    r"(mean|average|avg|median|sd|std|stdev|stddev|stderr|se|sem|ci|var|variance|n|count|sum|total"
    r"|rank|mittelwert|mw|durchschnitt"
    r"|summe|anzahl|stabw|stdabw|standardabweichung|moyenne|media|no|nr|number|id|index|row|line"
    r"|order|trial|lfd|lfdnr|rt|time)"
)
MEANS = tuple(
    """
    mean average avg median stdev total sum mittelwert durchschnitt summe moyenne grandtotal
    gesamt
    """.split()
)
NUMERIC = 0.5  # share of a column's cells that must be numbers for it to be a rater's
COMPUTED = ("mean", "median", "sum", "std", "count", "min", "max")
# PsychoPy's headers: `rating_slider.response`.
ANSWER = re.compile(r"\.(response|rating|keys)$", re.IGNORECASE)
# Headers of ratings of other things than attractiveness; and of a column that names the thing.
TRAITS = re.compile(
    r"trust|domina|friendl|intellig|compet|masculin|feminin|likea?b|sympath|warmth|typical"
    r"|distinctive|memorab|health|happi|aggress|confiden|sociab|smart"
)
TRAIT = tuple(
    """
    trait question questiontext dimension attribute task scale construct adjective eigenschaft
    frage
    """.split()
)
MATCHING = 0.99  # share of faces on which a column equals a statistic of others: no rater's
COUNTED = 4  # lines that a column must number to be a counter, whatever its header
_LONG = 2000  # letters of a header or question that may hold a photo's name


@dataclass
class Ratings:
    """Single judgements.

    Attributes
    ----------
    judgements : DataFrame or None
        `filename` (null if the photo has no face), `image`, `rater` and `trait` (empty if unknown),
        `column`, `text`, `rating`; None without a file.
    repeats : int
        Lines left out because they are a rater's second judgement.
    guessed, notes : list of str
        Warnings and notes on how the file was read.
    further : DataFrame, optional
        Columns that were not read.
    """

    judgements: pd.DataFrame | None = None
    repeats: int = 0
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    further: pd.DataFrame | None = None

    def traits(self) -> list[str]:
        """The rated traits in the order of the file; '' if none is named."""
        return [] if self.judgements is None else [*dict.fromkeys(self.judgements["trait"])]


def read_ratings(
    path: Path | None,
    names: NameIndex,
    mistakes: Mistakes,
    raters: Mapping[str, str | list[str]] | None = None,
) -> Ratings:
    """Read and check single judgements.

    The file has one line a judgement (`image`, `rater`, `rating`, or as survey tools call them),
    one line a photo and one column a rater, or one line a rater and one column a photo. Lines whose
    `rating_type` is `repeat` (a rater's second judgement) are left out and counted. In the first
    form, a column `trait` tells what was rated.

    Parameters
    ----------
    path : Path or None
        The file; None if there is none.
    names : NameIndex
        Finds the faces.
    mistakes : Mistakes
        Gets the cells that can't be used.
    raters : mapping, optional
        Which raters count; see `traits.only_raters`.
    """
    raw = None if path is None else read_sheet(path)
    if path is None or raw is None:
        if raters:
            raise LabelError("labels.raters chooses among raters, and there is no ratings.csv")
        return Ratings()
    file_notes, everything = raw.attrs["notes"], len(raw)
    if raters:
        raw = only_raters(raw, raters, path)
    photos = _photo_columns(raw, names)
    headers = find_columns(
        [column for column in _one_rater(raw).columns if column not in photos], RATINGS, path
    )
    answers = [column for column in raw.columns if ANSWER.search(column)]
    if "image" in headers and "rating" not in headers and len(answers) == 1:
        headers["rating"] = answers[0]
    notes = describe_columns(headers, path)
    if raters:
        notes.append(f"{path.name}: labels.raters takes {len(raw)} of {everything} lines")
    trait = further = None
    if "image" in headers and "rating" in headers:
        trait = trait_column(raw.columns)
        further = raw.drop(columns=[*headers.values(), *([trait] if trait else [])])
        cells = pd.DataFrame(
            {name: without_empty(raw[headers[name]]) if name in headers else "" for name in RATINGS}
        )
        cells["column"] = headers["rating"]
    else:
        cells, note = _spread(raw, headers, photos, path)
        notes.append(note)
    cells["trait"] = "" if trait is None else read_trait(raw[trait], path)
    rated = cells["image"].ne("") & _as_numbers(cells["rating"]).notna()
    judged = raw[rated.groupby(level=0).any().reindex(raw.index, fill_value=False)]
    _refuse_other_traits(judged.drop(columns=[] if trait is None else [trait]), path)
    cells, guessed = _ratings_alone(cells, headers, path, mistakes)
    filenames = names.resolve(cells["image"].rename(headers.get("image", "image")), path, mistakes)
    # Survey tools write lines for greetings and questions, too.
    absent = cells["image"].isin([name for name, _ in names.absent[path.name]])
    filenames, cells = filenames[~absent], cells[~absent]
    checked, guessed = _checked(filenames, cells, path, mistakes), [*file_notes, *guessed]
    return Ratings(*checked, guessed, notes, further)


def _ratings_alone(
    cells: pd.DataFrame, headers: Mapping[str, str], path: Path, mistakes: Mistakes
) -> tuple[pd.DataFrame, list[str]]:
    """The ratings among all answers of a survey, and warnings on what was left out.

    Survey tools log greetings and questions, too, and people write means below a table.
    """
    warnings = []
    cells = cells[(cells["image"] != "") | (cells["rating"] != "")]
    nameless = cells.index[cells["image"] == ""].unique()
    if len(nameless):
        if len(nameless) == cells.index.nunique():
            mistakes.add(path, headers["image"], pd.Series("", nameless), "the name of an image")
            mistakes.raise_any()
        warnings.append(
            f"{path.name}: left out {number_of(len(nameless), 'line')} with an answer and no "
            f"image, the first is line {nameless[0]}"
        )
        cells = cells[cells["image"] != ""]
    cells = cells.assign(rater=cells["rater"].map(one_form))
    other = _other_answers(cells)
    if other.any():
        warnings.append(
            f"{path.name}: left out {number_of(int(other.sum()), 'answer')} in words beside a "
            "rating of the same image by the same rater, the first is "
            f"{cells.loc[other, 'rating'].iloc[0]!r} in line {cells.index[other][0]}"
        )
        cells = cells[~other]
    computed = cells["rater"].map(lambda rater: plain(rater) in MEANS)
    if computed.any():
        warnings.append(
            f"{path.name}: left out {number_of(int(computed.sum()), 'rating')} whose rater is "
            f"called {cells.loc[computed, 'rater'].iloc[0]!r}"
        )
        cells = cells[~computed]
    return cells, warnings


def _checked(
    filenames: pd.Series, cells: pd.DataFrame, path: Path, mistakes: Mistakes
) -> tuple[pd.DataFrame, int]:
    """One judgement of each face by each rater as a number, and how many repeats were left out."""
    frame = pd.DataFrame(
        {
            "filename": filenames,
            "image": cells["image"],
            "rater": cells["rater"],
            "trait": cells["trait"],
            "column": cells["column"],
            "text": cells["rating"],
            "rating": np.nan,
        }
    )
    for column, text in cells.groupby("column", sort=False)["rating"]:
        frame.loc[frame["column"] == column, "rating"] = numbers(
            text.rename(column), path, mistakes, -MAX_RATING, MAX_RATING
        ).to_numpy()
    repeats = cells["rating_type"] == REPEAT
    frame = frame[~repeats & frame["rating"].notna()]
    named = frame[(frame["rater"] != "") & frame["filename"].notna()]
    differs = named["rating"] != named.groupby(["filename", "rater", "trait"])["rating"].transform(
        "first"
    )
    for line, row in named[differs].iloc[:SHOWN].iterrows():
        mistakes.add(
            path,
            row["column"],
            pd.Series([row["text"]], [line]),
            f"one judgement of {row['image']} by {row['rater']}, who gave another on an earlier "
            "line (mark a second judgement with rating_type=repeat)",
        )
    mistakes.count(path, max(0, int(differs.sum()) - SHOWN))
    again = (
        frame.duplicated(["filename", "rater", "trait"])
        & (frame["rater"] != "")
        & frame["filename"].notna()
    )
    return frame[~again], int(repeats.sum())


def _refuse_other_traits(raw: pd.DataFrame, path: Path) -> None:
    """Raise a `LabelError` if a column says that several traits were rated."""
    for column in raw.columns:
        values = without_empty(raw[column]) if plain(column) in TRAIT else pd.Series(dtype="str")
        several = list(dict.fromkeys(values[values != ""]))
        if len(several) > 1:
            raise LabelError(
                f"{path}: the column {column!r} has {', '.join(map(repr, several[:3]))}, so "
                "several things were rated; leave only the lines on one"
            )


def _other_answers(cells: pd.DataFrame) -> pd.Series:
    """Answers in words, such as a click on `Next`, beside a number by the same rater."""
    wordy = cells["rating"].str.fullmatch(r"[^\W\d]([^\W\d]|[\s.!])*")
    key = cells["image"] + "\0" + cells["rater"] + "\0" + cells["trait"]
    return wordy & key.isin(key[~wordy & (cells["rating"] != "")]) & (cells["rater"] != "")


def _one_rater(raw: pd.DataFrame) -> pd.DataFrame:
    """Drop columns of raters that are the same in all lines, or equal another one."""
    alike = [column for column in raw.columns if plain(column) in RATINGS["rater"][1:]]
    if len(alike) < 2 or len(raw) < 2:
        return raw
    codes = {column: pd.factorize(raw[column])[0] for column in alike}
    vary = [column for column in alike if codes[column].any()] or alike[:1]
    kept = [
        column
        for i, column in enumerate(vary)
        if not any((codes[column] == codes[other]).all() for other in vary[:i])
    ]
    return raw.drop(columns=[column for column in alike if column not in kept])


def _spread(
    raw: pd.DataFrame, headers: Mapping[str, str], photos: Mapping[str, str], path: Path
) -> tuple[pd.DataFrame, str]:
    """One line a judgement, from judgements that are spread over columns, and a note on it.

    Raises
    ------
    LabelError
        The columns are neither raters nor photos.
    """
    if photos and "image" not in headers:
        return _spread_by_photo(raw, headers.get("rater"), photos, path)
    if "image" not in headers:
        raise LabelError(no_image_column(raw, path))
    return _spread_by_rater(raw, headers, path)


def _spread_by_photo(
    raw: pd.DataFrame, rater_column: str | None, photos: Mapping[str, str], path: Path
) -> tuple[pd.DataFrame, str]:
    """Judgements from one line a rater and one column a photo; see `_spread`."""
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


def _spread_by_rater(
    raw: pd.DataFrame, headers: Mapping[str, str], path: Path
) -> tuple[pd.DataFrame, str]:
    """Judgements from one line a photo and one column a rater; see `_spread`."""
    known = [
        header for words in LABELS.values() for header in raw.columns if plain(header) in words
    ]
    raters = [
        column
        for column in raw.columns
        if column not in known
        and column not in headers.values()
        and not _summarizes(column)
        and _mostly_numbers(without_empty(raw[column]))
    ]
    raters = _without_computed(raw, raters)
    if len(raters) < 2 or "rater" in headers:
        means = [
            column
            for column in raw.columns
            if "rating" in find_columns([column], LABELS, path) or plain(column) in MEANS
        ]
        hint = (
            f". Means of ratings, such as {means[0]!r}, belong in labels.csv, in a column `rating`"
            if means
            else ""
        )
        raise LabelError(
            f"{path}: there is no column `rating`; the header line has {listed(raw.columns)}{hint}"
        )
    traits = [column for column in raters if TRAITS.search(column.casefold())]
    if traits:
        raise LabelError(
            f"{path}: the column {traits[0]!r} is no rater's and not about attractiveness; leave "
            "only the ratings that you mean, with a column a rater"
        )
    _refuse_other_quantities(raw, raters, path)
    image = without_empty(raw[headers["image"]])
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


def photo_parts(raw: pd.DataFrame) -> dict[str, list[str]]:
    """What may be a photo's name in each header or the question below it.

    Survey tools write it as in `How attractive? [a.jpg]`.
    """
    questions = raw.attrs.get("questions", {})
    parts = {}
    for header in raw.columns:
        name, _, number = header.rpartition(".")  # pandas calls a second column `name.1`
        parts[header] = [name if number.isdigit() and name in raw else header]
        for text in (header[:_LONG], questions.get(header, "")[:_LONG]):
            parts[header] += [
                *re.findall(r"\[([^][]+)\]", text),
                text.rpartition(" - ")[2],
                *re.findall(r"[^\s\"'()\[\]]+\.\w{3,4}\b", text),
            ]
    return {
        header: [texts[0]] * bool(texts[0]) + [text for part in texts[1:] if (text := part.strip())]
        for header, texts in parts.items()
    }


def _photo_columns(raw: pd.DataFrame, names: NameIndex) -> dict[str, str]:
    """Columns whose header, or the question below it, names one photo, and the photo."""
    # A photo may be called image.jpg.
    words = {word for known in (*RATINGS.values(), *LABELS.values()) for word in known}
    written = {
        column: parts
        for column, parts in photo_parts(raw).items()
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
    return len(filled) > 0 and _as_numbers(filled).notna().mean() > NUMERIC


def _as_numbers(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells.str.replace(",", "."), errors="coerce")


def _summarizes(header: str) -> bool:
    """Whether a header names a statistic or a counter: `Std. Dev.`, `N ratings`, `rating_mean`."""
    words = [word for word in re.split(r"[\W_]+", header.casefold()) if word]
    numbered = len(words) == 2 and words[1].isdigit()  # `No 4` may be a rater
    return not numbered and any(
        SUMMARIES.fullmatch(word)
        for word in (plain(header), *words[:1], *(word for word in words[-1:] if len(word) > 2))
    )


def _without_computed(raw: pd.DataFrame, raters: list[str]) -> list[str]:
    """Drop columns that number the lines, or are the mean, sum or spread of the others."""
    values = {rater: _as_numbers(without_empty(raw[rater])) for rater in raters}
    kept = [
        rater
        for rater in raters
        if len(values[rater]) < COUNTED or not (values[rater].diff().iloc[1:] == 1).all()
    ]
    for rater in reversed(kept):
        own = values[rater]
        others = pd.DataFrame({other: values[other] for other in kept if other != rater})
        if (
            others.shape[1] > 1
            and len(others) >= COUNTED
            and own.nunique() > 1
            and any(
                np.isclose(own, others.agg(how, axis=1), atol=0.0051).mean() >= MATCHING
                for how in COMPUTED
            )
        ):
            kept = [other for other in kept if other != rater]
    return kept


def _refuse_other_quantities(raw: pd.DataFrame, raters: list[str], path: Path) -> None:
    """Refuse columns of other numbers than ratings, such as ages or milliseconds.

    Raises
    ------
    LabelError
        All values of a column lie more than the width of the others' scale beyond it, or only this
        column has decimals.
    """
    values = {rater: _as_numbers(without_empty(raw[rater])).dropna() for rater in raters}
    for rater in raters:
        own = values[rater]
        others = pd.concat([values[other] for other in raters if other != rater])
        medians = pd.Series([values[other].median() for other in raters if other != rater])
        low, high = usual_scale(medians) or usual_scale(others) or (others.min(), others.max())
        beyond = own.min() > high + (high - low) or own.max() < low - (high - low)
        alone = (
            len(raters) > 2
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
