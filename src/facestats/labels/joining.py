"""The user's label files: checked and joined, one row a face.

`labels.csv` and `ratings.csv`, or Excel workbooks of these names, lie in one folder; both are
optional. Corrections by hand lie in a file of their own and win. Every cell is read as text first,
so that an error can name file, line, column and value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import InputError, LabelError, number_of
from facestats.labels.cells import (
    MAX_AGE,
    MAX_RATING,
    Mistakes,
    check_classes,
    numbers,
    one_form,
    refuse_contradictions,
    spelt_alike,
    without_empty,
)
from facestats.labels.columns import (
    LABELS,
    OWN_NAMES,
    describe_columns,
    find_columns,
    key_column,
    plain,
)
from facestats.labels.dataset import read_dataset
from facestats.labels.files import STEMS, find_label_file, read_sheet, unread_files
from facestats.labels.levels import level_judgements, level_ratings
from facestats.labels.names import NameIndex, refuse_other_photos
from facestats.labels.rater_groups import group_columns
from facestats.labels.raters import rater_warnings, without_raters
from facestats.labels.ratings import read_ratings
from facestats.labels.scale import find_scale, keeps_rating, means_alone, use_judgements
from facestats.labels.traits import PREFIX, choose_traits, use_trait

COLUMNS = ("gender", "ethnicity", "age", "rating", "person")
CLASSES = ("gender", "ethnicity")
OTHER_UNIT = re.compile(r"month|monat|mois|mes|week|woche|\bdays?\b|\btage\b|group|decade")
COLUMNS_OF_RATINGS = ["filename", "rater", "rating"]
RESERVED = ("ratingn", "ratingsd")


@dataclass
class JoinedLabels:
    """Labels of all faces.

    Attributes
    ----------
    table : DataFrame
        In the schema `labels.tables.LABELS`, one row an accepted face; further label columns follow
        as text.
    scale : (float, float) or None
        Ends of the raters' scale; None if nobody rated.
    judgements : DataFrame or None
        Single ratings of accepted faces, behind the means: `filename`, `rater`, `rating`; None
        without ratings.csv. If several traits were rated, those of the first.
    traits : dict of str to DataFrame
        The same by trait, if ratings.csv names traits.
    dataset : list of dict or None
        Name, licence and citation of each dataset, if an import has written them.
    trait : str or None
        The trait that `rating` is of, if `score.traits` names it.
    groups : DataFrame
        Groups of raters by line; see `rater_groups.group_columns`.
    summary : dict
        Counts for `metrics/labels.json`.
    warnings : list of str
        What the user should know, but need not change.
    notes : list of str
        How headers and names were understood that differ from the documented ones.
    """

    table: pd.DataFrame
    scale: tuple[float, float] | None
    judgements: pd.DataFrame | None
    summary: dict
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    traits: dict[str, pd.DataFrame] = field(default_factory=dict)
    dataset: list[dict[str, Any]] | None = None
    trait: str | None = None
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)

    def metadata(self) -> dict[str, str]:
        """Metadata of `labels.parquet`: the ends of the ratings' scale, and the rated trait."""
        named = {"trait": self.trait} if self.trait else {}
        ends = zip(("rating_low", "rating_high"), map(str, self.scale or ()), strict=False)
        return named | dict(ends)

    def report(self) -> str:
        """One line of counts, then lines on how files were read and which raters are left out."""
        counts = [f"{name}={n}" for name, n in self.summary["labelled"].items()]
        left_out = self.summary["raters"]["dropped"]
        return "\n  ".join(
            [
                " ".join([f"faces={len(self.table)}", *counts]),
                *self.notes,
                *(f"rater {name} is left out: {why}" for name, why in left_out.items()),
            ]
        )


def join_labels(
    faces: pd.DataFrame,
    folder: Path,
    manual: Path,
    rating_scale: str | list[float],
    drop_raters: str | list[str] | None = None,
    raters: Mapping[str, str | list[str]] | None = None,
    level: bool = True,
    chosen: Sequence[str] = (),
) -> JoinedLabels:
    """Check and join all label files.

    Parameters
    ----------
    faces : DataFrame
        `faces.parquet` with `image`, `filename` (null if rejected).
    folder : Path
        Holds `labels.csv` and `ratings.csv`, or workbooks of these names, or neither.
    manual : Path
        Corrections by hand, with the columns of `labels.csv`; may be missing.
    rating_scale : str or list of float
        `auto` or [low, high].
    drop_raters : str, list of str or None
        Raters left out of the means: None (nobody), `auto` (the suspicious ones) or names; see
        `raters.without_raters`.
    raters : mapping, optional
        Values that columns of ratings.csv must have; see `traits.only_raters`.
    level : bool
        Bring the ratings of several datasets to one mean; see `levels.level_ratings`.
    chosen : sequence of str
        `score.traits`; `rating` is that of the first. By default, of the first in the file.

    Raises
    ------
    InputError
        The folder does not exist.
    LabelError
        Unusable values, each with file, line, column and value; a file that can't be read, or none
        of whose names is a photo; a rater to drop who is in no file; a chosen trait that nobody
        rated.
    """
    if not folder.is_dir():
        problem = (
            "is a file, expected a folder; move the file into a folder and name that in data.labels"
            if folder.exists()
            else "does not exist; make it (it may be empty) or set data.labels"
        )
        raise InputError(f"the label folder {folder} {problem}")
    names, mistakes = NameIndex(faces), Mistakes()
    files = {stem: find_label_file(folder, stem) for stem in STEMS}
    labels = _read_labels(files["labels"], names, mistakes)
    # Corrections stay in place when the collection changes: their names need not match.
    corrections = _read_labels(manual, names, mistakes, must_match=False)
    ratings = read_ratings(files["ratings"], names, mistakes, raters)
    dataset = read_dataset(folder)
    doubts = _doubtful_labels([labels, corrections], ratings.judgements, mistakes)
    mistakes.raise_any()

    table, extras = _merged(faces, labels, corrections)
    # The order of lines must not move the last bits of sums; by rating first, so that equal
    # judgements have equal means.
    judgements = (
        None
        if ratings.judgements is None
        else ratings.judgements.dropna(subset="filename").sort_values(
            ["filename", "rating", "rater"]
        )
    )
    if rating_scale == "auto" and dataset and dataset.scale:
        rating_scale = [*dataset.scale]
    listed = drop_raters if isinstance(drop_raters, list) else []
    traits = choose_traits([] if judgements is None else ratings.traits(), table, chosen)
    stays = keeps_rating(
        table, None if judgements is None else judgements[judgements["trait"].isin(traits[:1])]
    )
    scale = find_scale(
        rating_scale,
        None if judgements is None else judgements[~judgements["rater"].isin(listed)],
        table,
        files,
        mistakes,
        stays,
    )
    mistakes.raise_any()
    further = {}
    for trait in traits[1:]:
        assert judgements is not None
        own = judgements.loc[judgements["trait"] == trait, COLUMNS_OF_RATINGS]
        further[trait] = without_raters(own, _among(drop_raters, own, judgements))
    if traits and traits[0] not in ratings.traits():  # its means alone are known
        drop_raters = None if isinstance(drop_raters, list) else drop_raters
        judgements = None
    elif judgements is not None and len(traits) > 1:
        own = judgements[judgements["trait"] == traits[0]]
        drop_raters, judgements = _among(drop_raters, own, judgements), own
    kept, report = without_raters(
        None if judgements is None else judgements[COLUMNS_OF_RATINGS], drop_raters
    )
    use_judgements(table, kept, stays)
    alone = [] if kept is None else means_alone(table, stays)
    by_trait = {trait: frame for trait, (frame, _) in further.items() if frame is not None}
    if traits and traits[0] != "" and kept is not None:
        by_trait = {traits[0]: kept, **by_trait}
    for trait, frame in by_trait.items():
        extras += use_trait(table, trait, frame)
    rated = ["rating", *dict.fromkeys(PREFIX + trait for trait in [*by_trait, *chosen[1:]])]
    shifts = level_ratings(table, rated, scale) if level else {}
    if kept is not None:
        kept = level_judgements(kept, table, shifts.get("rating", {}))
    by_trait = {
        trait: level_judgements(frame, table, shifts.get(PREFIX + trait, {}))
        for trait, frame in by_trait.items()
    }
    summary = _summary(table, scale, names, dict.fromkeys(extras)) | {"raters": report}
    if shifts:
        summary["rating"]["levelled"] = shifts
    if kept is not None and 0 < (nameless := int((kept["rater"] == "").sum())) < len(kept):
        summary["rating"]["unnamed"] = nameless
    summary["rating"]["repeats_left_out"] = ratings.repeats
    groups = group_columns(ratings.further, ratings.judgements)
    return JoinedLabels(
        table.reset_index(),
        scale,
        kept,
        summary,
        [
            *(text for file in (labels, corrections, ratings) for text in file.guessed),
            *unread_files(folder, manual),
            *names.warnings(),
            *doubts,
            *rater_warnings(report),
            *groups.attrs.get("warnings", ()),
            *(
                f"{trait}: {text}"
                for trait, (_, other) in further.items()
                for text in rater_warnings(other)
            ),
        ],
        [
            *(note for file in (labels, corrections, ratings) for note in file.notes),
            *names.notes(),
            *alone,
            *(
                f"labels.level: {column} of {name} {points:+.1f}, to the mean of the largest "
                "dataset"
                for column, by_dataset in shifts.items()
                for name, points in by_dataset.items()
            ),
        ],
        by_trait,
        dataset.facts if dataset else None,
        chosen[0] if chosen else None,
        groups,
    )


def _among(
    drop_raters: str | list[str] | None, own: pd.DataFrame, everybody: pd.DataFrame
) -> str | list[str] | None:
    """Raters to drop, without those who rated other traits only."""
    if not isinstance(drop_raters, list):
        return drop_raters
    elsewhere = {*everybody["rater"]} - {*own["rater"]}
    return [name for name in drop_raters if name not in elsewhere]


def _doubtful_labels(
    files: list[_LabelFile], judgements: pd.DataFrame | None, mistakes: Mistakes
) -> list[str]:
    """Warnings on labels that are probably misspelt, or codes for no answer."""
    classes, persons = [], []
    for file in files:
        if file.path:
            classes += [(file.path, name, file.cells[name]) for name in file.classes]
        if "person" in file.cells:
            persons += [*file.cells["person"].dropna()]
    return [
        *check_classes(classes, CLASSES, mistakes),
        *_coded_ages(files),
        *spelt_alike("person", persons),
        *spelt_alike("rater", [] if judgements is None else judgements["rater"]),
    ]


def _merged(
    faces: pd.DataFrame, labels: _LabelFile, corrections: _LabelFile
) -> tuple[pd.DataFrame, list[str]]:
    """Labels of all accepted faces with their sources, and the names of the further columns."""
    table = pd.DataFrame(index=pd.Index(faces["filename"].dropna().sort_values(), name="filename"))
    table["image"] = faces.dropna(subset="filename").set_index("filename")["image"]
    by_hand = _under_one_name(corrections, labels.by_face).reindex(table.index)
    by_file = labels.by_face.reindex(table.index)
    extras = [
        name for name in dict.fromkeys([*by_file.columns, *by_hand.columns]) if name not in COLUMNS
    ]
    columns: dict[str, pd.Series] = {}
    nothing: Any = None
    for name in [*COLUMNS, *extras]:
        manual_labels, file_labels = _column(by_hand, name), _column(by_file, name)
        columns[name] = manual_labels.where(manual_labels.notna(), file_labels)
        if name != "person":
            source = np.where(
                manual_labels.notna(), "manual", np.where(file_labels.notna(), "label", nothing)
            )
            columns[f"{name}_source"] = pd.Series(source, index=table.index, dtype="str")
    return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1), extras


def _coded_ages(files: list[_LabelFile]) -> list[str]:
    """Ask about ages that are probably a code for no answer: several of 99 or 0, and none near."""
    questions = []
    for file in files:
        ages = file.cells["age"].dropna() if "age" in file.cells else pd.Series(dtype="float64")
        for code, near in ((99, 5), (0, 2)):
            coded = np.isclose(ages, code)
            if file.path and coded.sum() > 1 and not ((ages - code).abs()[~coded] <= near).any():
                questions.append(
                    f"{file.path.name}: the age is {code} in "
                    f"{number_of(int(coded.sum()), 'line')}, first in line {ages.index[coded][0]}; "
                    "if that is a code for no answer, leave such cells empty"
                )
    return questions


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return (
        frame[name]
        if name in frame
        else pd.Series(np.nan, frame.index, dtype="float64" if name in ("age", "rating") else "str")
    )


@dataclass
class _LabelFile:
    """A label file that was read.

    Attributes
    ----------
    path : Path or None
        None if there is no such file.
    by_face : DataFrame
        Labels by face; columns without any label are dropped.
    cells : DataFrame
        The same by line.
    classes : list of str
        Columns that hold classes.
    guessed, notes : list of str
        Warnings and notes on how the file was read.
    """

    path: Path | None = None
    by_face: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(index=pd.Index([], name="filename"))
    )
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    classes: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _read_labels(
    path: Path | None, names: NameIndex, mistakes: Mistakes, must_match: bool = True
) -> _LabelFile:
    raw = None if path is None else read_sheet(path)
    if path is None or raw is None:
        return _LabelFile()
    notes, raw.attrs = raw.attrs["notes"], {}  # pandas copies them with every operation
    headers = find_columns(raw.columns, LABELS, path)
    image = headers.get("image") or key_column(raw, path)  # raises
    columns_by_header = _columns_by_header(raw, headers, path)
    cells = pd.DataFrame(
        {
            header: without_empty(raw[header], own=header not in headers.values())
            for header in columns_by_header
        }
    )
    second = None
    for header in raw.columns.difference(cells.columns):  # the face's name beside the photo's path
        second = without_empty(raw[header])
        cells[image] = cells[image].where(cells[image] != "", second)
    cells = cells[(cells != "").any(axis=1)]
    nameless = cells[image] == ""
    if nameless.any():
        mistakes.add(path, image, cells.loc[nameless, image], "the name of an image")
        cells = cells[~nameless]
    shown = cells[image]
    columns: dict[str | None, Any] = {"filename": names.resolve(shown, path, mistakes, must_match)}
    if second is not None:
        refuse_other_photos(shown, second, names.photos, path, mistakes)
    classes = []
    for header, column in columns_by_header.items():
        text = cells[header]
        if column == "age":
            columns[column] = numbers(text, path, mistakes, 0, MAX_AGE)
        elif column == "rating":
            columns[column] = numbers(text, path, mistakes, -MAX_RATING, MAX_RATING)
        elif column != "image":
            words = text.map(one_form) if column == "person" else text
            columns[column] = words.mask(text == "")
            classes += [column] if column != "person" else []
    frame = pd.DataFrame(columns, index=cells.index)
    frame = frame[frame["filename"].notna()]
    refuse_contradictions(frame, "filename", shown, path, mistakes)
    by_face = frame.groupby("filename", sort=True).first().dropna(axis="columns", how="all")
    return _LabelFile(path, by_face, frame, classes, notes, describe_columns(headers, path))


def _columns_by_header(raw: pd.DataFrame, headers: dict[str, str], path: Path) -> dict[str, str]:
    """The column that each header stands for; further ones stand for themselves.

    Raises
    ------
    LabelError
        The ages are not in years, or a column is one that the pipeline writes.
    """
    if OTHER_UNIT.search(headers.get("age", "").casefold()):
        raise LabelError(
            f"{path}: the column {headers['age']!r} is not in years; give age in years, or the "
            "column another name"
        )
    known = {header: name for name, header in headers.items()}
    columns: dict[str, str] = {
        header: str(known.get(header, header))
        for header in raw.columns
        if header == headers["image"] or plain(header) not in OWN_NAMES
    }
    for header in columns:
        if plain(header) in RESERVED or header.lower().endswith("_source"):
            raise LabelError(
                f"{path}: the pipeline itself writes a column {header}; give yours another name"
            )
    return columns


def _under_one_name(corrections: _LabelFile, labels: pd.DataFrame) -> pd.DataFrame:
    """The corrections, with further columns named as in the label file (`Glasses`, `glasses`).

    Raises
    ------
    LabelError
        A column could be several of the other file.
    """
    further = [name for name in labels.columns if name not in COLUMNS]
    renamed: dict[str, str] = {}
    for name in corrections.by_face.columns:
        if name in COLUMNS or name in further:
            continue  # a standard column keeps its name, whatever else is spelt like it
        alike = [other for other in further if plain(other) == plain(name)]
        own = [other for other in corrections.by_face.columns if plain(other) == plain(name)]
        own = [other for other in own if other not in COLUMNS]
        if alike and len(alike) + len(own) > 2:
            listed = ", ".join(map(repr, dict.fromkeys([*own, *alike])))
            raise LabelError(
                f"{corrections.path}: the column {name!r} could be several: {listed}; "
                "write its name as in the label file"
            )
        if alike:
            renamed[name] = alike[0]
    return corrections.by_face.rename(columns=renamed)


def _summary(
    table: pd.DataFrame, scale: tuple[float, float] | None, names: NameIndex, extras: Iterable[str]
) -> dict:
    rated = table["rating"].dropna()
    classes = {
        c: {k: int(n) for k, n in sorted(table[c].value_counts().items())}
        for c in ("gender", "ethnicity")
    }
    return {
        "faces": len(table),
        "labelled": {c: int(table[c].notna().sum()) for c in [*COLUMNS, *extras]},
        "by_hand": int(
            sum((table[c] == "manual").sum() for c in table.columns if c.endswith("_source"))
        ),
        "classes": classes,
        "rating": {
            "scale": list(scale) if scale else None,
            "mean": float(rated.mean()) if len(rated) else None,
            "sd": float(rated.std()) if len(rated) > 1 else None,
            "judgements": int(table["rating_n"].sum()),
        },
        "images_not_there": sum(len(v) for v in names.absent.values()),
        "images_rejected": sum(len(v) for v in names.rejected.values()),
    }
