"""Single judgements (`ratings.csv`, `ratings.xlsx`): read in the forms that people and survey tools
give them, checked against their scale, averaged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError, number_of
from facestats.labels.cells import SHOWN, Mistakes, numbers, one_form, without_empty
from facestats.labels.columns import (
    LABELS,
    RATINGS,
    find_columns,
    no_image_column,
    plain,
    say_columns,
)
from facestats.labels.files import read_sheet
from facestats.labels.names import NameIndex
from facestats.labels.scale import usual_scale

REPEAT = "repeat"

# Headers of what was computed from ratings, and of counters: no raters. At a header's start or,
# from three letters on, at its end.
SUMMARIES = re.compile(
    r"(mean|average|avg|median|sd|std|stdev|stddev|stderr|se|sem|ci|var|variance|n|count|sum|total"
    r"|rank|mittelwert|mw|durchschnitt"
    r"|summe|anzahl|stabw|stdabw|standardabweichung|moyenne|media|no|nr|number|id|index|row|line"
    r"|order|trial|lfd|lfdnr|rt|time)"
)
MEANS = (
    "mean",
    "average",
    "avg",
    "median",
    "stdev",
    "total",
    "sum",
    "mittelwert",
    "durchschnitt",
    "summe",
    "moyenne",
    "grandtotal",
    "gesamt",
)
NUMERIC = 0.5  # share of a column's cells that must be numbers for it to be a rater's
COMPUTED = ("mean", "median", "sum", "std", "count", "min", "max")
ANSWER = re.compile(
    r"\.(response|rating|keys)$", re.IGNORECASE
)  # PsychoPy's headers: `rating_slider.response`
# Other things than attractiveness that faces are rated on, in headers; and headers of a column that
# says on which.
TRAITS = re.compile(
    r"trust|domina|friendl|intellig|compet|masculin|feminin|likea?b|sympath|warmth|typical"
    r"|distinctive|memorab|health|happi|aggress|confiden|sociab|smart"
)
TRAIT = (
    "trait",
    "question",
    "questiontext",
    "dimension",
    "attribute",
    "task",
    "scale",
    "construct",
    "adjective",
    "eigenschaft",
    "frage",
)
# share of faces on which a column must be the mean of the others, or the number of its line, to be
# none of a rater's
MATCHING = 0.99
COUNTED = 4  # lines that a column must number to be a counter, whatever it is called
_LONG = 2000  # letters of a header or question in which a photo's name is looked for


@dataclass
class Ratings:
    """Single judgements.

    Attributes
    ----------
    judgements : `filename` (null where the photo is not there or has no face), `rater` (empty where
        unknown), `rating`; None without a file.
    repeats : lines left out because they are a rater's second judgement.
    guessed, notes : what to say of how the file was read.
    """

    judgements: pd.DataFrame | None = None
    repeats: int = 0
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_ratings(path: Path | None, names: NameIndex, mistakes: Mistakes) -> Ratings:
    """Read and check single judgements.

    One line a judgement (`image`, `rater`, `rating`, or as survey tools call them), one line a
    photo with a column a rater, or one line a rater with a column a photo. Lines whose
    `rating_type` is `repeat` (the same rater again) are left out and counted.
    """
    raw = None if path is None else read_sheet(path)
    if path is None or raw is None:
        return Ratings()
    photos = _photo_columns(raw, names)
    found = find_columns(
        [column for column in _one_rater(raw).columns if column not in photos], RATINGS, path
    )
    answers = [column for column in raw.columns if ANSWER.search(column)]
    if "image" in found and "rating" not in found and len(answers) == 1:
        found["rating"] = answers[0]
    notes, guessed = say_columns(found, path), [*raw.attrs["notes"]]
    if "image" in found and "rating" in found:
        cells = pd.DataFrame(
            {name: without_empty(raw[found[name]]) if name in found else "" for name in RATINGS}
        )
        cells["column"] = found["rating"]
    else:
        cells, note = _spread(raw, found, photos, path)
        notes.append(note)
    rated = (
        cells["image"].ne("") & _as_numbers(cells["rating"]).notna()
    )  # a fixation cross is no question
    _refuse_other_traits(
        raw[rated.groupby(level=0).any().reindex(raw.index, fill_value=False)], path
    )
    cells = cells[(cells["image"] != "") | (cells["rating"] != "")]
    nameless = cells.index[cells["image"] == ""].unique()
    if len(
        nameless
    ):  # survey tools log greetings and questions, too, and people write means below a table
        if len(nameless) == cells.index.nunique():
            mistakes.add(path, found["image"], pd.Series("", nameless), "the name of an image")
            mistakes.raise_any()
        guessed.append(
            f"{path.name}: left out {number_of(len(nameless), 'line')} with an answer and no "
            f"image, the first is line {nameless[0]}"
        )
        cells = cells[cells["image"] != ""]
    cells = cells.assign(rater=cells["rater"].map(one_form))
    other = _other_answers(cells)
    if other.any():
        guessed.append(
            f"{path.name}: left out {number_of(int(other.sum()), 'answer')} in words beside a "
            "rating of the same image by the same rater, the first is "
            f"{cells.loc[other, 'rating'].iloc[0]!r} in line {cells.index[other][0]}"
        )
        cells = cells[~other]
    computed = cells["rater"].map(lambda rater: plain(rater) in MEANS)
    if computed.any():
        guessed.append(
            f"{path.name}: left out {number_of(int(computed.sum()), 'rating')} whose rater is "
            f"called {cells.loc[computed, 'rater'].iloc[0]!r}"
        )
        cells = cells[~computed]
    filenames = names.resolve(cells["image"].rename(found.get("image", "image")), path, mistakes)
    absent = cells["image"].isin(
        [name for name, _ in names.absent[path.name]]
    )  # survey tools have lines for greetings and questions, too
    filenames, cells = filenames[~absent], cells[~absent]
    frame = pd.DataFrame(
        {
            "filename": filenames,
            "image": cells["image"],
            "rater": cells["rater"],
            "column": cells["column"],
            "text": cells["rating"],
            "rating": np.nan,
        }
    )
    for column, text in cells.groupby("column", sort=False)["rating"]:
        frame.loc[frame["column"] == column, "rating"] = numbers(
            text.rename(column), path, mistakes
        ).to_numpy()
    repeats = cells["rating_type"] == REPEAT
    frame = frame[~repeats & frame["rating"].notna()]
    named = frame[(frame["rater"] != "") & frame["filename"].notna()]
    differs = named["rating"] != named.groupby(["filename", "rater"])["rating"].transform("first")
    for line, row in named[differs].iloc[:SHOWN].iterrows():
        mistakes.add(
            path,
            row["column"],
            pd.Series([row["text"]], [line]),
            f"one judgement of {row['image']} by {row['rater']}, who has given another value on an "
            "earlier line (mark a second judgement with rating_type=repeat)",
        )
    mistakes.count(path, max(0, int(differs.sum()) - SHOWN))
    again = (
        frame.duplicated(["filename", "rater"]) & (frame["rater"] != "") & frame["filename"].notna()
    )
    return Ratings(frame[~again], int(repeats.sum()), guessed, notes)


def _refuse_other_traits(raw: pd.DataFrame, path: Path) -> None:
    """Refuse answers to several questions in one column.

    Raises
    ------
    LabelError
        A column says that several things were rated.
    """
    for column in raw.columns:
        values = without_empty(raw[column]) if plain(column) in TRAIT else pd.Series(dtype="str")
        several = list(dict.fromkeys(values[values != ""]))
        if len(several) > 1:
            raise LabelError(
                f"{path}: the column {column!r} has {', '.join(map(repr, several[:3]))}, so "
                "several things were rated; leave only the lines on one"
            )


def _other_answers(cells: pd.DataFrame) -> pd.Series:
    """Answers in words, such as a click on `Next`, where the same rater has given a number for the
    same image.
    """
    wordy = cells["rating"].str.fullmatch(r"[^\W\d]([^\W\d]|[\s.!])*")
    key = cells["image"] + "\0" + cells["rater"]
    return wordy & key.isin(key[~wordy & (cells["rating"] != "")]) & (cells["rater"] != "")


def _one_rater(raw: pd.DataFrame) -> pd.DataFrame:
    """Without columns of raters that say what another one says: survey tools write several, some of
    them the same in each line.
    """
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
    raw: pd.DataFrame, found: Mapping[str, str], photos: Mapping[str, str], path: Path
) -> tuple[pd.DataFrame, str]:
    """Judgements that are spread over columns, one line a judgement, and what to say of it.

    Raises
    ------
    LabelError
        The columns are neither raters nor photos.
    """
    if photos and "image" not in found:
        rater = (
            without_empty(raw[found["rater"]])
            if "rater" in found
            else next(
                (
                    cells
                    for c in raw.columns
                    if c not in photos
                    and (cells := without_empty(raw[c])).is_unique
                    and (cells != "").all()
                ),
                pd.Series([f"line {line}" for line in raw.index], raw.index),
            )
        )
        twice = [c for c in photos if [*photos.values()].count(photos[c]) > 1]
        if twice:
            raise LabelError(
                f"{path}: the columns {' and '.join(map(repr, twice[:3]))} are about one photo, "
                f"{photos[twice[0]]}; leave only the ratings that you mean"
            )
        parts = [
            pd.DataFrame(
                {
                    "image": image,
                    "rater": rater,
                    "rating": without_empty(raw[photo]),
                    "rating_type": "",
                    "column": photo,
                }
            )
            for photo, image in photos.items()
        ]
        left_out = [
            c
            for c in raw.columns
            if c not in photos and c != found.get("rater") and (raw[c] != rater).any()
        ]
        return pd.concat(
            parts
        ), f"{path.name}: one line a rater, one column a photo ({len(photos)})" + (
            f", without {', '.join(left_out)}" if left_out else ""
        )
    if "image" not in found:
        raise LabelError(no_image_column(raw, path))
    known = [
        header for words in LABELS.values() for header in raw.columns if plain(header) in words
    ]
    raters = [
        c for c in raw.columns if c not in known and c not in found.values() and not _summarizes(c)
    ]
    raters = [c for c in raters if _mostly_numbers(without_empty(raw[c]))]
    raters = _without_computed(raw, raters)
    if len(raters) < 2 or "rater" in found:
        means = [
            c
            for c in raw.columns
            if "rating" in find_columns([c], LABELS, path) or plain(c) in MEANS
        ]
        raise LabelError(
            f"{path}: there is no column `rating`; the header line has {', '.join(raw.columns)}"
            + (
                f". Means of ratings, such as {means[0]!r}, belong into labels.csv, in a column "
                "`rating`"
                if means
                else ""
            )
        )
    traits = [c for c in raters if TRAITS.search(c.casefold())]
    if traits:
        raise LabelError(
            f"{path}: the column {traits[0]!r} is no rater's and not about attractiveness; leave "
            "only the ratings that you mean, with a column a rater"
        )
    _refuse_other_quantities(raw, raters, path)
    left_out = [c for c in raw.columns if c not in raters and c != found["image"]]
    parts = [
        pd.DataFrame(
            {
                "image": without_empty(raw[found["image"]]),
                "rater": c,
                "rating": without_empty(raw[c]),
                "rating_type": "",
                "column": c,
            }
        )
        for c in raters
    ]
    said = (
        f"{path.name}: one column a rater ({len(raters)}: "
        f"{', '.join(raters[:3])}{', …' if len(raters) > 3 else ''})"
    )
    return pd.concat(parts), said + (f", without {', '.join(left_out)}" if left_out else "")


def photo_parts(raw: pd.DataFrame) -> dict[str, list[str]]:
    """What in each header, or in the question below it, may be a photo's name, as survey tools
    write it: `How attractive? [a.jpg]`.
    """
    questions = raw.attrs.get("questions", {})
    parts = {}
    for c in raw.columns:
        copied = c.rpartition(".")  # pandas' second column of one name
        texts = (c[:_LONG], questions.get(c, "")[:_LONG])
        parts[c] = [
            copied[0] if copied[2].isdigit() and copied[0] in raw else c,
            *(
                part.strip()
                for text in texts
                for part in [
                    *re.findall(r"\[([^]]+)\]", text),
                    text.rpartition(" - ")[2],
                    *re.findall(r"[^\s\"'()\[\]]+\.\w{3,4}\b", text),
                ]
            ),
        ]
    return {c: [part for part in named if part] for c, named in parts.items()}


def _photo_columns(raw: pd.DataFrame, names: NameIndex) -> dict[str, str]:
    """Columns whose header, or the question below it, names one photo, and the photo."""
    words = {
        word for known in (*RATINGS.values(), *LABELS.values()) for word in known
    }  # a photo may be called image.jpg
    written = {
        c: parts for c, parts in photo_parts(raw).items() if plain(c) not in words or "[" in c
    }
    readings = names.photos.read_all(
        [name for parts in written.values() for name in parts], explain=0
    )
    images = {
        c: {image for part in parts if (image := readings[part].image)}
        for c, parts in written.items()
    }
    found = {
        c: several.pop() for c, several in images.items() if len(several) == 1
    }  # one that names two is a comparison
    if any(
        names.photos.read(cell).image for c in found for cell in raw[c][:1] if not cell.isdigit()
    ):
        return {}  # a table without a header
    return {
        c: image
        for c, image in found.items()
        if not c.isdigit() or 2 * len(found) >= raw.shape[1] - 1
    }


def _mostly_numbers(cells: pd.Series) -> bool:
    there = cells[cells != ""]
    return len(there) > 0 and _as_numbers(there).notna().mean() > NUMERIC


def _as_numbers(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells.str.replace(",", "."), errors="coerce")


def _summarizes(header: str) -> bool:
    """Whether a header speaks of a mean, a count or the like: `Std. Dev.`, `N ratings`,
    `rating_mean`.
    """
    words = [word for word in re.split(r"[\W_]+", header.casefold()) if word]
    numbered = len(words) == 2 and words[1].isdigit()  # `No 4` may be a rater
    return not numbered and any(
        SUMMARIES.fullmatch(word)
        for word in (plain(header), *words[:1], *(word for word in words[-1:] if len(word) > 2))
    )


def _without_computed(raw: pd.DataFrame, raters: list[str]) -> list[str]:
    """Without columns that number the lines, or that are the mean, sum or spread of the others."""
    values = {c: _as_numbers(without_empty(raw[c])) for c in raters}
    kept = [
        c for c in raters if len(values[c]) < COUNTED or not (values[c].diff().iloc[1:] == 1).all()
    ]
    for c in reversed(kept):
        others = pd.DataFrame({other: values[other] for other in kept if other != c})
        if (
            others.shape[1] > 1
            and len(others) >= COUNTED
            and values[c].nunique() > 1
            and any(
                np.isclose(values[c], others.agg(how, axis=1), atol=0.0051).mean() >= MATCHING
                for how in COMPUTED
            )
        ):
            kept = [other for other in kept if other != c]
    return kept


def _refuse_other_quantities(raw: pd.DataFrame, raters: list[str], path: Path) -> None:
    """Refuse columns of other numbers than ratings, such as ages or milliseconds.

    Raises
    ------
    LabelError
        All values of a column are beyond twice the scale that the others use, or it alone has
        decimals.
    """
    values = {c: _as_numbers(without_empty(raw[c])).dropna() for c in raters}
    for c in raters:
        others = pd.concat([values[other] for other in raters if other != c])
        low, high = usual_scale(others) or (others.min(), others.max())
        typical = usual_scale(
            pd.Series([values[other].median() for other in raters if other != c])
        ) or (low, high)
        beyond = values[c].min() > typical[1] + (typical[1] - typical[0]) or values[
            c
        ].max() < typical[0] - (typical[1] - typical[0])
        alone = (
            len(raters) > 2
            and len(values[c]) > 1
            and (values[c] % 1 != 0).mean() > NUMERIC
            and (others % 1 == 0).all()
        )
        if beyond or alone:
            raise LabelError(
                f"{path}, column {c}: {values[c].min():g} to {values[c].max():g}, where the other "
                f"columns have {others.min():g} to "
                f"{others.max():g}{' without decimals' if alone and not beyond else ''}; if it is "
                "no rater's, remove it"
            )
