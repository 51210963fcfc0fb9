"""Single judgements (`ratings.csv`, `ratings.xlsx`), as people and survey tools write them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError, number_of
from facestats.labels.cells import (
    MAX_RATING,
    SHOWN,
    Mistakes,
    as_numbers,
    numbers,
    one_form,
    without_empty,
)
from facestats.labels.chosen_raters import Chosen, Taken, chosen_lines, names_of, who_may_be_here
from facestats.labels.columns import RATINGS, describe_columns, find_columns, plain
from facestats.labels.files import read_sheet
from facestats.labels.name_index import NameIndex
from facestats.labels.rater_columns import known_columns
from facestats.labels.rater_lines import (
    REPEAT,
    kinds_not_read,
    refuse_doubtful,
    refuse_raters_beside,
    refuse_repeated,
    refuse_several_traits,
)
from facestats.labels.rater_names import MEAN_RATER_NAMES, is_called_statistic
from facestats.labels.traits import read_trait, trait_column
from facestats.labels.wide_ratings import photo_columns, refuse_second_photos, wide_to_long

# PsychoPy's headers: `rating_slider.response`.
ANSWER = re.compile(r"\.(response|rating|keys)$", re.IGNORECASE)


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
    unread : DataFrame, optional
        Columns that were not read.
    order : list of str
        The traits in the order of the file, also of lines that do not count.
    by_anybody : DataFrame, optional
        `judgements` of all raters, where conditions choose among them.
    taken : Taken, optional
        Which columns were taken for raters'.
    """

    judgements: pd.DataFrame | None = None
    repeats: int = 0
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unread: pd.DataFrame | None = None
    order: list[str] = field(default_factory=list)
    by_anybody: pd.DataFrame | None = None
    taken: Taken | None = None

    def traits(self) -> list[str]:
        """The rated traits in the order of the file; '' if none is named."""
        if self.judgements is None:
            return []
        found = dict.fromkeys(self.judgements["trait"])
        return [*dict.fromkeys([*(name for name in self.order if name in found), *found])]

    def of(self, trait: str) -> pd.DataFrame | None:
        """What anybody judged of one trait; None without a file."""
        judged = self.judgements if self.by_anybody is None else self.by_anybody
        return None if judged is None else judged[judged["trait"] == trait]

    def to_confirm(self, by_hand: pd.DataFrame | None) -> list[str]:
        """The warning on columns that were taken for raters'; `by_hand` are judgements by others.

        None where `labels.raters` names the columns.
        """
        raters = [] if by_hand is None else [name for name in by_hand["rater"].unique() if name]
        return [self.taken.warning(raters)] if self.taken else []

    def named(self, trait: str) -> Ratings:
        """The same, all of one trait."""
        every = None if self.by_anybody is None else self.by_anybody.assign(trait=trait)
        own = None if self.judgements is None else self.judgements.assign(trait=trait)
        return replace(self, judgements=own, by_anybody=every)


def read_ratings(
    path: Path | None,
    names: NameIndex,
    mistakes: Mistakes,
    raters: Chosen | None = None,
    everybody: bool = False,
    elsewhere: Collection[str] = (),
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
    raters : mapping or list of str, optional
        Which raters count; see `chosen_raters.chosen_lines`. Names are also the columns of raters.
    everybody : bool
        Read the lines of all raters, whoever counts.
    elsewhere : collection of str
        Raters of another file, whom `raters` may name.

    Raises
    ------
    LabelError
        The file can't be read, has neither columns of judgements nor of raters nor of photos, or
        rates several things; `raters` leaves nobody, or there is no file to choose raters from.
    """
    sheet = None if path is None else read_sheet(path)
    if path is None or sheet is None:
        if raters:
            raise LabelError("labels.raters chooses among raters, and there is no ratings.csv")
        return Ratings()
    raw, everything = sheet.table, len(sheet.table)
    if isinstance(raters, Mapping) and not everybody:
        raw = chosen_lines(raw, None, raters, path)
    photos = photo_columns(raw, sheet.questions, names)
    headers = _find_headers(raw, photos, path)
    raters = who_may_be_here(raters, elsewhere, raw, headers.get("rater"), path)
    lacks = {"rating", "rater"} if names_of(raters) else {"rating"}
    are_columns = "image" in headers and not lacks <= {*headers}
    if names_of(raters) and everybody and photos and "rater" in headers:
        raw = raw[~raw[headers["rater"]].map(is_called_statistic)]
    elif names_of(raters) and not everybody and not are_columns:
        raw = chosen_lines(raw, headers.get("rater"), names_of(raters), path)
    notes = describe_columns(headers, path)
    if raters and len(raw) < everything:
        notes.append(f"{path.name}: labels.raters takes {len(raw)} of {everything} lines")
    trait, unread = trait_column(raw.columns), None
    of_traits, taken = [trait] if trait else [], None
    if not are_columns and "rater" not in headers:
        refuse_repeated(raw, [*headers.values(), *photos], path)
    if "image" in headers and not are_columns:
        cells = _cells_of_lines(raw, headers, names, path)
        unread = raw.drop(columns=[*headers.values(), *of_traits])
    else:
        table, of_traits, chosen = raw.drop(columns=of_traits), [], names_of(raters)
        cells, note = wide_to_long(table, headers, photos, names.photos, path, chosen, everybody)
        notes.append(note)
        if are_columns and not chosen:
            found = [*cells["column"].unique()]
            known = [*found, *headers.values(), *known_columns(raw)]
            others = [*table.columns.difference(known, sort=False)]
            taken = Taken(found, others, path)
    traits = pd.Series(dtype="str") if trait is None else read_trait(sheet.table[trait], path)
    cells["trait"] = "" if trait is None else traits.reindex(cells.index)
    said = None if everybody or (are_columns and names_of(raters)) else names_of(raters)
    unclear = _check_what_is_unclear(raw, cells, headers, of_traits, said, path)
    cells, guessed = _ratings_alone(cells, headers, path, mistakes)
    filenames = names.resolve(cells["image"].rename(headers.get("image", "image")), path, mistakes)
    # Survey tools write lines for greetings and questions, too.
    absent = cells["image"].isin([name for name, _ in names.absent[path.name]])
    filenames, cells = filenames[~absent], cells[~absent]
    judgements, repeats = _one_judgement_each(filenames, cells, path, mistakes)
    apart = NameIndex(names.faces.reset_index()), Mistakes()
    every = None
    if raters and not everybody:
        every = read_ratings(path, *apart, raters, True, elsewhere).judgements
    return Ratings(
        judgements=judgements,
        repeats=repeats,
        guessed=[*sheet.notes, *unclear, *guessed],
        notes=notes,
        unread=unread,
        taken=taken,
        order=[*dict.fromkeys(traits)],
        by_anybody=every,
    )


def _check_what_is_unclear(
    raw: pd.DataFrame,
    cells: pd.DataFrame,
    headers: Mapping[str, str],
    of_traits: list[str],
    said: Sequence[str] | None,
    path: Path,
) -> list[str]:
    """Warnings on what several things may have been rated; `said` are names of `labels.raters`.

    With `*` among these, or None, they are all.

    Raises
    ------
    LabelError
        They were or, unless some are named, it is not clear by whom.
    """
    rated = cells["image"].ne("") & as_numbers(cells["rating"]).notna()
    judged = raw[rated.groupby(level=0).any().reindex(raw.index, fill_value=False)]
    if said is not None and "*" not in said:
        refuse_doubtful(judged, cells, headers, bool(said), path)
    judged = judged.drop(columns=of_traits)
    refuse_several_traits(judged, path)
    are_lines = {"image", "rating"} <= {*headers} and said is not None and "*" not in said
    return kinds_not_read(judged, headers, path) if are_lines else []


def _find_headers(raw: pd.DataFrame, photos: Collection[str], path: Path) -> dict[str, str]:
    """The header of each known column; columns of `photos` are none."""
    candidates = _drop_redundant_rater_columns(raw).columns
    headers = find_columns([column for column in candidates if column not in photos], RATINGS, path)
    answers = [column for column in raw.columns if ANSWER.search(column)]
    if "image" in headers and "rating" not in headers and len(answers) == 1:
        headers["rating"] = answers[0]
    return headers


def _cells_of_lines(
    raw: pd.DataFrame, headers: Mapping[str, str], names: NameIndex, path: Path
) -> pd.DataFrame:
    """The cells of a file with one line a judgement, by column."""
    refuse_raters_beside(raw, headers, path)
    refuse_second_photos(raw, headers["image"], names.photos, path, numbered=True)
    columns = {name: without_empty(raw[headers[name]]) for name in RATINGS if name in headers}
    cells = pd.DataFrame({name: columns.get(name, "") for name in RATINGS}, index=raw.index)
    return cells.assign(column=headers["rating"])


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
    computed = cells["rater"].map(lambda rater: plain(rater) in MEAN_RATER_NAMES)
    if computed.any():
        warnings.append(
            f"{path.name}: left out {number_of(int(computed.sum()), 'rating')} whose rater is "
            f"called {cells.loc[computed, 'rater'].iloc[0]!r}"
        )
        cells = cells[~computed]
    return cells, warnings


def _one_judgement_each(
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
    has_rater_and_face = (frame["rater"] != "") & frame["filename"].notna()
    named = frame[has_rater_and_face]
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
    again = frame.duplicated(["filename", "rater", "trait"]) & has_rater_and_face
    return frame[~again], int(repeats.sum())


def _other_answers(cells: pd.DataFrame) -> pd.Series:
    """Answers in words, such as a click on `Next`, beside a number by the same rater."""
    wordy = cells["rating"].str.fullmatch(r"[^\W\d]([^\W\d]|[\s.!])*")
    key = cells["image"] + "\0" + cells["rater"] + "\0" + cells["trait"]
    return wordy & key.isin(key[~wordy & (cells["rating"] != "")]) & (cells["rater"] != "")


def _drop_redundant_rater_columns(raw: pd.DataFrame) -> pd.DataFrame:
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
