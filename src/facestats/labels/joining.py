"""The user's label files: checked and joined, one row a face.

`labels.csv` and `ratings.csv`, or Excel workbooks of these names, lie in one folder; both are
optional. Corrections by hand lie in a file of their own and win. Every cell is read as text first,
so that an error can name file, line, column and value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import InputError, number_of
from facestats.labels.cells import Mistakes, check_classes, spelt_alike
from facestats.labels.chosen_raters import Chosen
from facestats.labels.corrections import merged
from facestats.labels.dataset import DatasetFacts, read_dataset, scale_asked
from facestats.labels.files import STEMS, find_label_file, unread_files
from facestats.labels.label_file import (
    CLASSES,
    COLUMNS,
    FaceLabels,
    read_labels,
    young_otherwise,
)
from facestats.labels.levels import level_judgements, level_ratings
from facestats.labels.main_trait import (
    combine,
    imported_trait,
    main_trait,
    rated_traits,
    settle_ratings,
)
from facestats.labels.mean_ratings import (
    drop_means_of_judged,
    means_without_judgements,
    rated_by_labels,
    use_judgements,
    use_trait,
)
from facestats.labels.name_index import NameIndex
from facestats.labels.rated_by_hand import (
    RatedByHand,
    all_judgements,
    check_scale,
    raters_by_hand,
    read_rated_by_hand,
)
from facestats.labels.rater_groups import group_columns
from facestats.labels.raters import rater_warnings, without_raters
from facestats.labels.ratings import Ratings, read_ratings
from facestats.labels.scale import find_scale
from facestats.labels.tables import PREFIX
from facestats.labels.trait_means import TraitMeans, write_main_twice

COLUMNS_OF_RATINGS = ["filename", "rater", "rating"]


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
        The trait that `rating` is of, if it has a name.
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

    @property
    def persons(self) -> pd.Series:
        """Who the labels say that a face is, by `filename`."""
        return self.table.set_index("filename")["person"]

    def metrics(self, agreement: dict[str, Any]) -> dict[str, Any]:
        """`metrics/labels.json`, with the raters' agreement."""
        datasets = {"datasets": self.dataset} if self.dataset else {}
        return self.summary | agreement | datasets

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
    raters: Chosen | None = None,
    level: bool = True,
    chosen: Sequence[str] = (),
    manual_ratings: Path | None = None,
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
    raters : mapping or list of str, optional
        Values that columns of ratings.csv must have, or names; see `chosen_raters.chosen_lines`.
    level : bool
        Bring the ratings of several datasets to one mean; see `levels.level_ratings`.
    chosen : sequence of str
        `score.traits`; `rating` is that of the first. By default, of the first in the file.
    manual_ratings : Path, optional
        Judgements by the page Rate; see `rated_by_hand`. May be missing.

    Raises
    ------
    InputError
        The folder does not exist.
    LabelError
        Unusable values, each with file, line, column and value; a file that can't be read, or none
        of whose names is a photo; a rater to drop who is in no file; a chosen trait that nobody
        rated.
    """
    _check_folder(folder)
    names, mistakes = NameIndex(faces), Mistakes()
    paths = {stem: find_label_file(folder, stem) for stem in STEMS}
    labels = read_labels(paths["labels"], names, mistakes)
    dataset = read_dataset(folder)
    from_file = _read_ratings(paths["ratings"], names, mistakes, raters, dataset, manual_ratings)
    # Corrections stay in place when the collection changes: their names need not match.
    corrections = read_labels(manual, names, mistakes, must_match=False)
    chosen, unnamed = _traits_asked(chosen, labels, from_file, dataset)
    main = main_trait(from_file, chosen)
    by_hand = read_rated_by_hand(manual_ratings, names, mistakes, main, raters)
    said = all_judgements(from_file, by_hand)
    means = TraitMeans(labels, corrections, said, [*chosen, unnamed], mistakes)
    doubts = _doubtful_labels([labels, corrections], said, mistakes)
    mistakes.raise_any()

    table, extras = merged(faces, labels, corrections)
    of_ratings = _settled(table, extras, labels, from_file, by_hand, chosen, unnamed)
    from_file, ratings, traits, on_traits = of_ratings
    judgements = _in_order(ratings.judgements)
    from_labels = rated_by_labels(table, from_file.of([*traits, ""][0]))
    rating_scale = scale_asked(rating_scale, dataset)
    for_scale, of_traits = _in_order(from_file.judgements), means.counted(table, judgements)
    if alone := for_scale is None:
        for_scale, paths["ratings"] = judgements, paths["ratings"] or by_hand.path
    found_in = traits, paths, mistakes, from_labels, of_traits, alone
    scale = find_scale(rating_scale, _without_named(for_scale, drop_raters), table, *found_in)
    check_scale(by_hand, None if alone else scale, mistakes)
    means.check_scale(of_traits, scale, rating_scale, mistakes)
    mistakes.raise_any()
    counted = _ratings_by_trait(judgements, traits, ratings.traits(), drop_raters)
    use_judgements(table, counted.main, from_labels)
    notes_on_means = [] if counted.main is None else means_without_judgements(table, from_labels)
    extras += [use_trait(table, trait, frame) for trait, frame in counted.by_trait.items()]
    shifts = _level_all(table, counted, traits, chosen, scale) if level else {}
    write_main_twice(table, traits)
    summary = _summary(table, scale, names, dict.fromkeys(extras)) | {"raters": counted.raters}
    summary["rating"] |= _rating_details(shifts, counted.main, from_file, by_hand)
    groups, group_warnings = group_columns(from_file.unread, from_file.judgements)
    files = (labels, corrections, from_file)
    notes = [*(note for file in files for note in file.notes), *names.notes(), *on_traits]
    return JoinedLabels(
        table=table.reset_index(),
        scale=scale,
        judgements=counted.main,
        summary=summary,
        warnings=[
            *(text for file in (*files, by_hand) for text in file.guessed),
            *from_file.to_confirm(by_hand.judgements),
            *unread_files(folder, manual),
            *names.warnings(),
            *doubts,
            *counted.warnings(group_warnings),
        ],
        notes=[*notes, *notes_on_means, *_notes_on_levels(shifts)],
        traits=counted.by_trait,
        dataset=dataset.datasets if dataset else None,
        trait=[*traits, ""][0] or None,
        groups=groups,
    )


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        problem = (
            "is a file, expected a folder; move the file into a folder and name that in data.labels"
            if folder.exists()
            else "does not exist; make it (it may be empty) or set data.labels"
        )
        raise InputError(f"the label folder {folder} {problem}")


def _read_ratings(
    path: Path | None,
    names: NameIndex,
    mistakes: Mistakes,
    raters: Chosen | None,
    dataset: DatasetFacts | None,
    by_hand: Path | None,
) -> Ratings:
    """Ratings of ratings.csv; the trait that the dataset was imported for is the first."""
    file = read_ratings(path, names, mistakes, raters, elsewhere=raters_by_hand(by_hand))
    return replace(file, order=[dataset.first_trait, *file.order]) if dataset else file


def _traits_asked(
    chosen: Sequence[str], labels: FaceLabels, file: Ratings, dataset: DatasetFacts | None
) -> tuple[Sequence[str], str]:
    """The traits to score, and what ratings without a trait are of ('' if unknown)."""
    if dataset is None:
        return chosen, ""
    names_traits = file.traits() not in ([], [""])
    asked = dataset.first_trait if names_traits else dataset.trait
    return chosen or imported_trait(labels, file, asked), dataset.trait


def _settled(
    table: pd.DataFrame,
    extras: list[str],
    labels: FaceLabels,
    file: Ratings,
    hand: RatedByHand,
    chosen: Sequence[str],
    unnamed: str,
) -> tuple[Ratings, Ratings, list[str], list[str]]:
    """Ratings of ratings.csv and of both files, by the rule of `main_trait`; all traits; notes."""
    if hand.judgements is not None and not file.traits():
        file = replace(file, judgements=None)  # a sheet without a line
    file, notes = settle_ratings(table, labels, file, chosen, unnamed)
    extras += [PREFIX + name for name in chosen if PREFIX + name in table]
    ratings, notes_by_hand = combine(file, hand, table, chosen)
    traits = rated_traits(ratings.traits(), table, chosen, file, notes)
    drop_means_of_judged(table, {trait: file.of(trait) for trait in traits[1:]})
    if not chosen and len(traits) > 1:
        notes.append(f"score.traits is empty: `rating` is of {traits[0] or 'no named trait'}")
    return file, ratings, traits, [*notes, *notes_by_hand]


def _in_order(judgements: pd.DataFrame | None) -> pd.DataFrame | None:
    """The judgements of accepted faces, sorted.

    The order of lines must not move the last bits of sums; by rating first, so that equal
    judgements have equal means.
    """
    if judgements is None:
        return None
    return judgements.dropna(subset="filename").sort_values(["filename", "rating", "rater"])


def _without_named(
    judgements: pd.DataFrame | None, drop_raters: str | list[str] | None
) -> pd.DataFrame | None:
    """The judgements, but those of raters who are dropped by name."""
    if judgements is None or not isinstance(drop_raters, list):
        return judgements
    return judgements[~judgements["rater"].isin(drop_raters)]


@dataclass
class _CountedRatings:
    """The judgements of the raters who count, and reports on all raters (`without_raters`).

    Attributes
    ----------
    main : DataFrame or None
        Judgements of the first trait; None if nobody judged it.
    raters : dict
        Report on the raters of the first trait.
    by_trait : dict of str to DataFrame
        Judgements by named trait, the first one included.
    raters_by_trait : dict of str to dict
        Reports on the raters of the other traits.
    """

    main: pd.DataFrame | None
    raters: dict
    by_trait: dict[str, pd.DataFrame]
    raters_by_trait: dict[str, dict]

    def warnings(self, of_groups: list[str]) -> list[str]:
        by_trait = [
            f"{trait}: {text}"
            for trait, report in self.raters_by_trait.items()
            for text in rater_warnings(report)
        ]
        return [*rater_warnings(self.raters), *of_groups, *by_trait]


def _ratings_by_trait(
    judgements: pd.DataFrame | None,
    traits: Sequence[str],
    judged: Sequence[str],
    drop_raters: str | list[str] | None,
) -> _CountedRatings:
    """Divide the judgements by trait, and leave raters out of each.

    Parameters
    ----------
    judgements : DataFrame or None
        Of all traits.
    traits : sequence of str
        All traits, the main one first.
    judged : sequence of str
        The traits of ratings.csv.
    drop_raters : str, list of str or None
        See `join_labels`.
    """
    by_trait: dict[str, pd.DataFrame] = {}
    reports: dict[str, dict] = {}
    for trait in traits[1:]:
        assert judgements is not None
        of_trait = judgements.loc[judgements["trait"] == trait, COLUMNS_OF_RATINGS]
        counted, reports[trait] = without_raters(
            of_trait, _among(drop_raters, of_trait, judgements)
        )
        if counted is not None:
            by_trait[trait] = counted
    if traits and traits[0] not in judged:  # its means alone are known
        drop_raters = None if isinstance(drop_raters, list) else drop_raters
        judgements = None
    elif judgements is not None and traits:
        of_trait = judgements[judgements["trait"] == traits[0]]
        drop_raters, judgements = _among(drop_raters, of_trait, judgements), of_trait
    main, report = without_raters(
        None if judgements is None else judgements[COLUMNS_OF_RATINGS], drop_raters
    )
    if traits and traits[0] != "" and main is not None:
        by_trait = {traits[0]: main, **by_trait}
    return _CountedRatings(main, report, by_trait, reports)


def _level_all(
    table: pd.DataFrame,
    counted: _CountedRatings,
    traits: Sequence[str],
    chosen: Sequence[str],
    scale: tuple[float, float] | None,
) -> dict[str, dict[str, float]]:
    """Level the means of all traits and the judgements behind them; see `level_ratings`."""
    named = dict.fromkeys([*traits[1:], *chosen[1:]])  # of a chosen one, means alone may be known
    others = [name for name in named if PREFIX + name in table]
    shifts = level_ratings(table, ["rating", *(PREFIX + name for name in others)], scale)
    for trait, judgements in counted.by_trait.items():
        column = "rating" if trait == traits[0] else PREFIX + trait
        counted.by_trait[trait] = level_judgements(judgements, table, shifts.get(column, {}))
    if counted.main is not None:
        counted.main = level_judgements(counted.main, table, shifts.get("rating", {}))
    return shifts


def _notes_on_levels(shifts: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"labels.level: {column} of {name} {points:+.1f}, to the mean of the largest dataset"
        for column, by_dataset in shifts.items()
        for name, points in by_dataset.items()
    ]


def _among(
    drop_raters: str | list[str] | None, of_trait: pd.DataFrame, judgements: pd.DataFrame
) -> str | list[str] | None:
    """Raters to drop, without those who rated other traits only."""
    if not isinstance(drop_raters, list):
        return drop_raters
    elsewhere = {*judgements["rater"]} - {*of_trait["rater"]}
    return [name for name in drop_raters if name not in elsewhere]


def _doubtful_labels(
    files: list[FaceLabels], judgements: pd.DataFrame | None, mistakes: Mistakes
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
        *young_otherwise(*files),
        *spelt_alike("person", persons),
        *spelt_alike("rater", [] if judgements is None else judgements["rater"]),
    ]


def _coded_ages(files: list[FaceLabels]) -> list[str]:
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


def _rating_details(
    shifts: dict[str, dict[str, float]],
    judgements: pd.DataFrame | None,
    file: Ratings,
    hand: RatedByHand,
) -> dict[str, Any]:
    """How the mean ratings came about, for the summary; only what applies."""
    details: dict[str, Any] = {"levelled": shifts} if shifts else {}
    if judgements is not None:
        nameless = int((judgements["rater"] == "").sum())
        if 0 < nameless < len(judgements):
            details["unnamed"] = nameless
    repeats = file.repeats + hand.repeats
    return details | {"repeats_left_out": repeats} | hand.agreement


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
