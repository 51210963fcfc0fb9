"""The main trait, which `rating` is of, and which of all ratings are of it.

It is the first of `score.traits`; else the one that dataset.json names for the dataset imported
first; else the first of ratings.csv, whether that line counts or not. It has no name where neither
does, or where it is attractiveness and ratings.csv names no trait.

Ratings that name a trait, in a column `trait` or by a column `rating_<trait>`, are of that one.
Others:

- ratings.csv without traits is of the trait that dataset.json names. Where that is unknown, it is
  of the main one; but of attractiveness where labels.csv states means of the main one by name, and
  a mistake where it states means of one that is called much alike.
- `rating` of labels.csv is the same; it is of attractiveness, too, where ratings.csv is of traits
  without the main one.
- `rating` by hand is of the same trait as that of labels.csv, which it corrects; without one, it is
  of the main trait.
- A rating by the page Rate without a trait is of attractiveness, or of the main one where that has
  no name. A file of such ratings without a column `trait` is of the main one.

The ratings of a face count in this order, the same for the main trait and for each other:

1. a value by hand, that of the trait's own column first;
2. judgements of ratings.csv and by the page Rate, where ratings.csv judges the trait; of several
   datasets, where it judges faces of this one;
3. the mean of labels.csv; `rating` has none in a dataset of which ratings.csv judges faces;
4. judgements by the page Rate alone: how many raters are behind a mean is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from facestats.errors import LabelError, did_you_mean, nearest_names, number_of
from facestats.labels.label_file import FaceLabels
from facestats.labels.mean_ratings import rated_by_labels
from facestats.labels.rated_by_hand import KEY, RatedByHand
from facestats.labels.ratings import Ratings
from facestats.labels.tables import PREFIX
from facestats.labels.traits import MAIN, trait_name
from facestats.params.names import COLUMN_PARTS, NO_TARGETS


def main_trait(file: Ratings, chosen: Sequence[str]) -> str:
    """The first chosen trait, or else the first of ratings.csv; '' where it has no name."""
    return [*chosen, *file.traits(), ""][0]


def imported_trait(labels: FaceLabels, file: Ratings, unnamed: str) -> list[str]:
    """What to take for `score.traits` where it is empty and the imported trait has a name.

    Parameters
    ----------
    labels : FaceLabels
        Of labels.csv.
    file : Ratings
        Of ratings.csv.
    unnamed : str
        What ratings without a trait are of, by dataset.json; '' if unknown.
    """
    rated = any(_states(labels, column) for column in ("rating", PREFIX + unnamed))
    rated |= file.traits() == [""] or unnamed in file.traits()
    is_named = unnamed != MAIN or file.traits() not in ([], [""])
    return [unnamed] if unnamed and rated and is_named else []


def settle_ratings(
    table: pd.DataFrame, labels: FaceLabels, file: Ratings, chosen: Sequence[str], unnamed: str
) -> tuple[Ratings, list[str]]:
    """Make `rating` that of the main trait, by the rule above, and name what ratings.csv is of.

    Parameters
    ----------
    table : DataFrame
        Labels by face, corrections laid over those of the label file; changed in place. It gets
        `rating_<trait>` of another chosen trait that `rating` is of.
    labels : FaceLabels
        Of labels.csv.
    file : Ratings
        Of ratings.csv.
    chosen : sequence of str
        `score.traits`.
    unnamed : str
        What ratings without a trait are of, by dataset.json; '' if unknown.

    Returns
    -------
    file : Ratings
    notes : list of str
        On ratings that do not count.
    """
    main, notes = main_trait(file, chosen), []
    named = PREFIX + (main or unnamed) if main or unnamed else ""
    states_means, is_judged = _states(labels, named), main in file.traits()
    if chosen and file.judgements is not None and file.traits() == [""]:
        trait = unnamed or (MAIN if states_means else main)
        if trait not in chosen:
            rated = number_of(len(file.judgements), "rating")
            notes.append(f"{rated} of ratings.csv do not count: {_of(trait)}")
        file = file.named(trait)
    if chosen and main != MAIN and named not in table and not is_judged:
        _refuse_alike(main, table)
    of_others = bool(chosen and file.traits()) and main not in file.traits()
    trait = unnamed or (MAIN if states_means or of_others else main)
    if main and trait != main and _states(labels, "rating"):
        lost = table["rating"].notna()
        if named in table:  # an import writes those of the first trait twice
            lost &= table["rating"] != table[named]
        if trait in chosen:
            own = PREFIX + trait
            both = table[["rating", "rating_source"]].set_axis([own, f"{own}_source"], axis=1)
            if own in table:
                both = _laid_over(both, own, table, own)
            table[[*both]] = both
            lost[:] = False
        if lost.any():
            rated = number_of(int(lost.sum()), "rating")
            notes.append(f"{rated} of the column rating do not count: {_of(trait)}")
        table["rating"] = float("nan")
        table["rating_source"] = pd.Series(None, table.index, dtype="str")
    if named in table:
        both = _laid_over(table, "rating", table, named)
        table[[*both]] = both
    return file, notes


def _laid_over(table: pd.DataFrame, column: str, above: pd.DataFrame, own: str) -> pd.DataFrame:
    """A column and its source where those of the trait's own column are laid over them.

    Values by hand come first, whichever column they are in.
    """
    taken = (above[f"{own}_source"] == "manual") | (
        above[own].notna() & (table[f"{column}_source"] != "manual")
    )
    return pd.DataFrame(
        {
            f"{column}{end}": table[f"{column}{end}"].mask(taken, above[f"{own}{end}"])
            for end in ("", "_source")
        }
    )


def _refuse_alike(main: str, table: pd.DataFrame) -> None:
    """Raise `LabelError` where the label files have the main trait in another spelling."""
    means = _means(table)
    if main in map(trait_name, means) or trait_name(main) in means or nearest_names(main, means):
        raise _unrated(main, means)


def _of(unnamed: str) -> str:
    return f"without a trait, they are of {unnamed}, which score.traits does not name"


def _states(labels: FaceLabels, column: str) -> bool:
    return bool(column) and column in labels.by_face and bool(labels.by_face[column].notna().any())


def combine(
    file: Ratings, hand: RatedByHand, table: pd.DataFrame, chosen: Sequence[str]
) -> tuple[Ratings, list[str]]:
    """Put both files' judgements together, by the rule above; lines by hand get numbers below 0.

    A face's mean is over the raters of both files; a repeat never counts in it. Where a rater has
    judged a face in both, or twice by hand, the first judgement counts, that of ratings.csv before.

    Parameters
    ----------
    file : Ratings
        Of ratings.csv; see `settle_ratings`.
    hand : RatedByHand
    table : DataFrame
        Labels by face; `rating` is of the main trait.
    chosen : sequence of str
        `score.traits`.

    Returns
    -------
    ratings : Ratings
    notes : list of str
    """
    if hand.judgements is None:
        return file, hand.notes
    own, notes = hand.judgements, [*hand.notes]
    judged, main = file.traits(), main_trait(file, chosen)
    unscored = int((own["trait"] == MAIN).sum()) if chosen and MAIN not in chosen else 0
    if unscored:
        notes.append(
            f"score.traits does not name {MAIN}, of which {number_of(unscored, 'rating')} by hand "
            "are"
        )
    stated = pd.Series(False, own.index)
    for trait in own["trait"].unique():
        column = "rating" if trait == main else PREFIX + trait
        if column in table:
            kept = rated_by_labels(table, file.of(trait), column)
            kept &= (table[f"{column}_source"] != "manual") | (trait not in judged)
            stated |= (own["trait"] == trait) & own["filename"].isin(table.index[kept])
    if stated.any():
        notes.append(
            f"{number_of(int(stated.sum()), 'rating')} by hand of faces whose mean the label file "
            "gives do not count"
        )
        own = own[~stated]
    theirs = file.judgements
    if theirs is None:
        return replace(file, judgements=own if len(own) else None), notes
    there = pd.MultiIndex.from_frame(theirs[KEY])
    own = own[~pd.MultiIndex.from_frame(own[KEY]).isin(there) | (own["rater"] == "")]
    return replace(file, judgements=pd.concat([theirs, own.set_axis(-own.index)])), notes


def rated_traits(
    judged: Sequence[str],
    table: pd.DataFrame,
    chosen: Sequence[str],
    file: Ratings,
    notes: Sequence[str] = (),
) -> list[str]:
    """All traits that are rated, the main one first.

    Parameters
    ----------
    judged : sequence of str
        Traits of all judgements; '' where one has no name.
    table : DataFrame
        Labels by face; `rating` is of the main trait, as the label files have it.
    chosen : sequence of str
        `score.traits`.
    file : Ratings
        Of ratings.csv.
    notes : sequence of str
        Why ratings do not count.

    Raises
    ------
    LabelError
        Nobody rated a chosen trait.
    """
    is_stated = bool(table["rating"].notna().any())
    named = [*filter(None, judged)]
    if not chosen:
        # What the page Rate once asked for is not the main trait if anything else rates that.
        if file.judgements is not None:
            return [*dict.fromkeys([*file.traits()[:1], *judged])]
        nameless = "" in judged or (bool(judged) and is_stated)
        return [*([""] if nameless else []), *named]
    there = {*named, *(name for name in chosen if PREFIX + name in table)}
    there |= {chosen[0]} if is_stated else set()
    if missing := [name for name in chosen if name not in there]:
        raise _unrated(missing[0], [*named, *_means(table)], notes)
    return [chosen[0], *(name for name in named if name != chosen[0])]


def _means(table: pd.DataFrame) -> list[str]:
    """The traits whose means stand in the label files."""
    return [
        column.removeprefix(PREFIX)
        for column in map(str, table)
        if column.startswith(PREFIX)
        and column not in NO_TARGETS
        and not any(part in column for part in COLUMN_PARTS)
    ]


def _unrated(name: str, there: list[str], notes: Sequence[str] = ()) -> LabelError:
    there = sorted(set(there))
    near = did_you_mean(
        [trait_name(name)] if trait_name(name) in there else nearest_names(name, there)
    )
    lost = "".join(f" {note[0].upper()}{note[1:]}." for note in notes)
    way = f" If they are of {name}, call the column {PREFIX}{name}, or write a column trait."
    return LabelError(
        f"score.traits names {name!r}, which nobody rated: it is no trait in ratings.csv and no "
        f"column {PREFIX}{name} in labels.csv. Rated are {', '.join(there) or 'no named traits'}."
        f"{near}{lost}{way if lost else ''}"
    )
