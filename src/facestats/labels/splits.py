"""Train, val and test: by hash of the person, with the shares met among those with labels."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd

from facestats.core.stats.identity import split_units
from facestats.core.stats.scale import to_score
from facestats.core.tables.names import in_order, repeats
from facestats.errors import LabelError, did_you_mean, number_of
from facestats.labels.quotas import choose_share

TRAIN, VAL, TEST, EXCLUDED = "train", "val", "test", "excluded"
OFFICIAL = "split_official"
WORDS = {
    TRAIN: ("train", "training"),
    VAL: ("val", "valid", "validation", "dev"),
    TEST: ("test", "testing"),
}


def split_faces(
    faces: pd.DataFrame,
    persons: pd.Series,
    labelled: pd.Series,
    val: float,
    test: float,
    seed: int,
    official: pd.Series | None = None,
    strata: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Assign faces to train, val and test.

    A group of copies is one unit. Its identity is the `person` that the labels give for one of
    them; else the bytes of its best labelled image, or of its best image if none is labelled. So
    further copies move nobody who is labelled, unless they are labelled, too, and better; they move
    no known person at all. The hash of seed and identity is a number in [0, 1): below `test` it is
    test, below `test + val` val, else train.

    Labelled units next to a bound change sides until each split has its share of their pictures,
    rounded up or down, of those in each stratum. An unlabelled face moves no one; a labelled one
    more moves one or two others on average and six at most, however many there are.

    Parameters
    ----------
    faces : DataFrame
        Accepted faces with the columns `IDENTITY`.
    persons : Series of str
        Person by filename, null if unknown.
    labelled : Series of bool
        Whether a face has any label, by filename.
    val, test : float
        Shares.
    seed : int
        Another seed assigns everybody anew.
    official : Series of str, optional
        Split that a dataset's authors give, by filename, null where there is none; it counts before
        the hash. See `official_splits`.
    strata : DataFrame, optional
        Strata of the labelled faces by filename, a column a level, see `strata_of`.

    Returns
    -------
    DataFrame
        `filename`, `split`. Copies that the labels give to persons in different splits are
        `excluded` from val and test.
    """
    if not in_order(faces["filename"]):
        faces = faces.sort_values("filename")
    faces = faces.reset_index(drop=True)
    codes, place = split_units(faces, persons, labelled, seed)
    by_unit = np.select([place < test, place < test + val], [TEST, VAL], TRAIN).astype(object)
    units = _labelled_units(faces, codes, labelled, strata)
    by_unit[units.index] = _shared_out(place[units.index], units, val, test)
    split = pd.Series(by_unit[codes], index=faces.index)
    if official is not None:
        split = _use_official(split, faces["filename"].map(official), codes)
    group = faces["copy_group"]
    together = repeats(group)
    straddles = split[together].groupby(group[together]).transform("nunique") > 1
    split = split.mask(
        straddles.reindex(split.index, fill_value=False) & split.isin([VAL, TEST]), EXCLUDED
    )
    return pd.DataFrame({"filename": faces["filename"], "split": split})


def _labelled_units(
    faces: pd.DataFrame, codes: np.ndarray, labelled: pd.Series, strata: pd.DataFrame | None
) -> pd.DataFrame:
    """`pictures` and strata of each unit with a labelled face, by the unit's number."""
    known = faces["filename"].isin(labelled.index[labelled.to_numpy(dtype=bool)]).to_numpy()
    rows = faces.assign(unit=codes)[known].sort_values(["copy_rank", "filename"])
    units = rows.groupby("unit")["copy_group"].nunique().to_frame("pictures")
    if strata is not None:
        levels = strata.reindex(rows["filename"]).set_axis(rows["unit"])
        units = units.join(levels.groupby(level=0).first())
    return units


def _shared_out(place: np.ndarray, units: pd.DataFrame, val: float, test: float) -> np.ndarray:
    """The split of each labelled unit: first who is in test, then who of the others is in val."""
    levels = units.columns[1:]
    strata = [
        units.groupby([*levels[: n + 1]], dropna=False).ngroup().to_numpy()
        for n in reversed(range(len(levels)))
    ]
    pictures = units["pictures"].to_numpy(dtype=float)
    in_test = choose_share(place, pictures, strata, test)
    # those whom test could not take stand first in line for val
    in_val = choose_share(np.maximum(place - test, 0), pictures, strata, val, in_test)
    return np.select([in_test, in_val], [TEST, VAL], TRAIN).astype(object)


def strata_of(
    labels: pd.DataFrame, columns: Sequence[str], scale: tuple[float, float] | None
) -> pd.DataFrame:
    """Strata in which `split_faces` keeps the shares.

    Parameters
    ----------
    labels : DataFrame
        `labels.parquet` by filename.
    columns : sequence of str
        Whose values make strata, each within those of the columns before it. Classes as they are;
        ratings by fifths of the raters' scale, and known or not on a level above all others.
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated.

    Returns
    -------
    DataFrame
        By filename, a column a level, the coarsest first.

    Raises
    ------
    LabelError
        There is no such column, or it holds other numbers than ratings.
    """
    levels = {}
    for name in columns:
        if name not in labels:
            known = [each for each in map(str, labels) if not each.endswith("_source")]
            near = did_you_mean(get_close_matches(name, known, n=1))
            raise LabelError(f"split.stratify: the labels have no column {name}.{near}")
        values = labels[name]
        if name == "rating":
            levels = {"rated": values.notna()} | levels
            fifths = to_score(values.to_numpy(), scale) // 20 if scale else values
            values = np.minimum(fifths, 4)
        elif pd.api.types.is_numeric_dtype(values):
            raise LabelError(f"split.stratify: {name} holds numbers; name classes or rating")
        levels[name] = values
    return pd.DataFrame(levels, index=labels.index)


def _use_official(split: pd.Series, official: pd.Series, identity: np.ndarray) -> pd.Series:
    """The official split where there is one; else that of the person's other faces, or `split`.

    Without an official test set, that for validation is the test set. Without one for validation,
    faces of the training set are dealt into it as usual.
    """
    if not (official == TEST).any():
        official = official.replace(VAL, TEST)
    known = official.dropna().groupby(identity[official.notna()])
    alone = known.first()[known.nunique() == 1]
    official = official.fillna(pd.Series(identity, split.index).map(alone).astype("str"))
    if not (official == VAL).any():
        official = official.mask((official == TRAIN) & (split == VAL), VAL)
    return official.fillna(split)


def official_splits(labels: pd.DataFrame) -> pd.Series:
    """The column `split_official` in the words of this module.

    Parameters
    ----------
    labels : DataFrame
        `labels.parquet` by filename.

    Returns
    -------
    Series of str
        By filename; null where a dataset says nothing.

    Raises
    ------
    LabelError
        There is no such column, or a word in it is no split.
    """
    if OFFICIAL not in labels:
        raise LabelError(
            f"split.official is true, and labels.csv has no column {OFFICIAL}; set it to false"
        )
    words = labels[OFFICIAL].str.strip().str.casefold()
    known = words.map({word: name for name, all_ in WORDS.items() for word in all_})
    wrong = words[words.notna() & known.isna()]
    if len(wrong):
        raise LabelError(
            f"labels.csv, column {OFFICIAL}: {labels.loc[wrong.index[0], OFFICIAL]!r} of "
            f"{wrong.index[0]} is no split; expected train, val or test"
        )
    return known


def labelled_faces(labels: pd.DataFrame) -> pd.Series:
    """Whether a face has any label.

    Parameters
    ----------
    labels : DataFrame
        `labels.parquet` by filename.

    Returns
    -------
    Series of bool
        By filename.
    """
    columns = [
        name
        for name in labels
        if not name.endswith("_source") and name not in ("image", "rating_n", "rating_sd", OFFICIAL)
    ]
    return labels[columns].notna().any(axis=1)


def exclusion_warning(
    splits: pd.DataFrame, faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series
) -> str | None:
    """Warn about copies that labels give to persons in different splits; None if there are none.

    The arguments are the result of `split_faces`, and what it takes.
    """
    excluded = splits.loc[splits["split"] == EXCLUDED, "filename"]
    if excluded.empty:
        return None
    group = faces.set_index("filename")["copy_group"]
    same = group.index[group == group[excluded.iloc[0]]]
    names = sorted(set(persons.reindex(same).dropna()))
    return (
        f"{number_of(len(excluded), 'face')} ({labelled.reindex(excluded).sum()} labelled) left "
        "out of val and test: copies of one picture that the labels give to several persons, such "
        f"as {excluded.iloc[0]} ({', '.join(names)}); one person for all of them puts that right"
    )


def straddling_warning(splits: pd.DataFrame, persons: pd.Series) -> str | None:
    """Warn about persons whom an official split puts into several splits; None without any."""
    known = splits.set_index("filename")["split"]
    several = known.groupby(persons.reindex(known.index)).nunique()
    names = several.index[several > 1]
    if names.empty:
        return None
    return (
        f"split.official: {number_of(len(names), 'person')} in several splits, such as {names[0]}; "
        "figures of the test set are then too good"
    )


def split_report(splits: pd.DataFrame, faces: pd.DataFrame) -> str:
    """One line with the faces in each split, and one on copies if there are any."""
    counts = sorted(splits["split"].value_counts().items())
    line = " ".join(f"{name}={n}" for name, n in counts)
    copies = repeats(faces["copy_group"])
    if not copies.any():
        return line
    pictures = number_of(faces.loc[copies, "copy_group"].nunique(), "picture")
    return (
        f"{line}\n  {copies.sum()} faces are copies of {pictures}; each picture stays in one split "
        "as a whole"
    )
