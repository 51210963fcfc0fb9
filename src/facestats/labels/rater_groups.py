"""Groups of raters, such as women and men: whether they agree, and how far their means differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from facestats.core.stats.intervals import (
    NOT_MEASURED,
    RESAMPLES,
    SEED,
    person_groups,
    resampled_weights,
    value_with_interval,
)
from facestats.core.stats.regression import is_constant
from facestats.errors import number_of
from facestats.labels.cells import SHOWN, without_empty
from facestats.labels.columns import plain
from facestats.labels.reliability import MAX_FACES, MIN_FACES, measure_reliability

MOST_GROUPS = 12  # more values are no groups
MOST_PAIRS = 300  # of groups, by all columns; each takes some 10 ms
MOST_RATERS = 20_000  # of more, who are drawn anew would take gigabytes
KEPT = 2**26  # bytes of resampled weights, which pairs of as many faces share
NO_GROUPS = ("ratingtype", "trialtype", "trait", "dataset", "image", "filename")
COLUMNS = ["filename", "trait", "column", "group", "rating", "n"]


def group_columns(
    who: pd.DataFrame | None, judgements: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[str]]:
    """The columns that divide raters into groups.

    A column does if it has two to `MOST_GROUPS` values, one for each named rater, and is no
    property of the faces: some face has judgements of two groups.

    Parameters
    ----------
    who : DataFrame or None
        Further columns of ratings.csv as text, by line.
    judgements : DataFrame or None
        `filename` and `rater`, by line.

    Returns
    -------
    groups : DataFrame
        Groups by line, one column each; of very many columns those with the fewest groups, which
        make `MOST_PAIRS` pairs at most.
    warnings : list of str
        A warning that names the others, if there are any.
    """
    if who is None or judgements is None or who.index.has_duplicates:
        return pd.DataFrame(), []
    lines, dividing = who.reindex(judgements.index), {}
    named = judgements["rater"].where(judgements["rater"] != "")
    for column in map(str, lines):
        values = without_empty(lines[column].str.strip(), own=True).str.casefold()
        values = values.mask(values == "")
        if (
            plain(column) not in NO_GROUPS
            and 2 <= values.nunique() <= MOST_GROUPS
            and values.groupby(named).nunique().max() <= 1
            and values.groupby(judgements["filename"]).nunique().max() > 1
        ):
            dividing[column] = values
    groups = pd.DataFrame(dividing, index=judgements.index)
    pairs = (groups.nunique() * (groups.nunique() - 1) // 2).sort_values(kind="stable")
    few = groups.columns.isin(pairs.index[pairs.cumsum() <= MOST_PAIRS])
    left_out = [*map(repr, groups.columns[~few])]
    warnings = []
    if left_out:
        warnings = [
            f"ratings.csv: {number_of(len(dividing), 'column')} divide raters into groups, which "
            "makes "
            f"{int(pairs.sum())} pairs of groups to compare, and {MOST_PAIRS} are compared at "
            f"most; left out {number_of(len(left_out), 'column')}: {', '.join(left_out[:SHOWN])}"
            f"{', …' if len(left_out) > SHOWN else ''}. Remove columns that nobody needs"
        ]
    return groups.loc[:, few], warnings


def group_means(
    judgements: pd.DataFrame | None, traits: Mapping[str, pd.DataFrame], groups: pd.DataFrame
) -> pd.DataFrame:
    """Mean judgement of each face by each group: the rows of `rater_groups.parquet`.

    Parameters
    ----------
    judgements : DataFrame or None
        Of the main trait, whose name is empty in the table.
    traits : mapping of str to DataFrame
        The same by named trait.
    groups : DataFrame
        As `group_columns` gives them, by line.
    """
    frames = {} if judgements is None else {"": judgements, **traits}
    parts = [_means_of(frame, groups, trait) for trait, frame in frames.items()]
    whole = pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS)
    return whole.astype({"rating": "float64", "n": "int32"})


def _means_of(judgements: pd.DataFrame, groups: pd.DataFrame, trait: str) -> pd.DataFrame:
    parts = [
        judgements.groupby(["filename", groups[column].reindex(judgements.index)])["rating"]
        .agg(["mean", "count"])
        .rename_axis(["filename", "group"])
        .reset_index()
        .rename(columns={"mean": "rating", "count": "n"})
        .assign(trait=trait, column=column)
        for column in map(str, groups)
    ]
    return pd.concat(parts)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def measure_groups(
    judgements: pd.DataFrame, groups: pd.DataFrame, person: pd.Series | None = None
) -> dict[str, Any]:
    """Compare the groups of raters by each column.

    Parameters
    ----------
    judgements : DataFrame
        `filename`, `rater`, `rating`, by line.
    groups : DataFrame
        As `group_columns` gives them, by line.
    person : Series of str, optional
        Person by filename.

    Returns
    -------
    dict
        By column: `groups` (by value: `n_raters`, `n_judgements`, `n_faces`, `mean`,
        `reliability`, the split-half reliability of its faces' means) and `pairs`: two `groups`,
        `why` nothing is measured or None, `n_faces` that both rated, `difference` of the means of
        these faces, first minus second (`random` says what its interval draws anew), `r` of the
        faces' means and `r_corrected`, r divided by the root of both reliabilities; the intervals
        of the latter two draw faces, and take the reliabilities as they are.
    """
    report: dict[str, Any] = {}
    names = pd.Index(sorted({*judgements["filename"]}))
    size = 2 * RESAMPLES * len(names)
    weights_of = lru_cache(max(1, KEPT // max(1, size)))(_weights)
    for column in map(str, groups):
        values = groups[column].reindex(judgements.index)
        by_group = {
            str(name): judgements[(values == name).to_numpy(bool, na_value=False)]
            for name in sorted(values.dropna().unique())
        }
        facts = {name: _facts(of_group, person) for name, of_group in by_group.items()}
        in_numbers = [_Group.of(name, of_group, names) for name, of_group in by_group.items()]
        report[column] = {
            "groups": facts,
            "pairs": [
                _compare(pair, names, facts, person, weights_of)
                for pair in combinations(in_numbers, 2)
            ],
        }
    return report


def add_groups(
    report: dict[str, Any],
    judgements: pd.DataFrame | None,
    traits: Mapping[str, pd.DataFrame],
    groups: pd.DataFrame,
    person: pd.Series | None,
) -> dict[str, Any]:
    """Put `rater_groups` into what `reliability.measure_agreement` gives, if there are groups."""
    if judgements is None or not len(groups.columns):
        return report
    by_trait = {
        trait: facts | {"rater_groups": measure_groups(traits[trait], groups, person)}
        for trait, facts in report.get("traits", {}).items()
    }
    report = report | {"rater_groups": measure_groups(judgements, groups, person)}
    return report | ({"traits": by_trait} if by_trait else {})


def _facts(judgements: pd.DataFrame, person: pd.Series | None) -> dict[str, Any]:
    named = judgements["rater"][judgements["rater"] != ""]
    return {
        "n_raters": int(named.nunique()),
        "n_judgements": len(judgements),
        "n_faces": int(judgements["filename"].nunique()),
        "mean": float(judgements["rating"].mean()),
        "reliability": measure_reliability(judgements, person)["split_half"],
    }


@dataclass(frozen=True)
class _Group:
    """The judgements of one group, sorted by face, rating and rater.

    Attributes
    ----------
    name : str
    face, rater : ndarray of int (n,)
        Place of the face's name, and the rater's number.
    rating : ndarray (n,)
    named : bool
        Whether each judgement has a rater, of whom resamples can be drawn.
    """

    name: str
    face: np.ndarray
    rater: np.ndarray
    rating: np.ndarray
    named: bool

    @classmethod
    def of(cls, name: str, judgements: pd.DataFrame, names: pd.Index) -> _Group:
        judgements = judgements.sort_values(["filename", "rating", "rater"])
        rater = judgements["rater"]
        return cls(
            name,
            names.get_indexer(pd.Index(judgements["filename"])),
            pd.factorize(rater)[0],
            judgements["rating"].to_numpy(float),
            bool((rater != "").all()) and rater.nunique() <= MOST_RATERS,
        )


def _compare(
    pair: tuple[_Group, _Group],
    names: pd.Index,
    by_group: dict[str, dict],
    person: pd.Series | None,
    weights_of: Callable[[bytes], tuple[np.ndarray, Mapping[str, Any]]],
) -> dict[str, Any]:
    """Two groups of raters on the faces that both rated."""
    faces = np.intersect1d(pair[0].face, pair[1].face)
    report: dict[str, Any] = {
        "groups": [group.name for group in pair],
        "why": None,
        "n_faces": len(faces),
        "difference": dict(NOT_MEASURED),
        "random": None,
        "r": dict(NOT_MEASURED),
        "r_corrected": dict(NOT_MEASURED),
    }
    if len(faces) < MIN_FACES:
        why = f"both rated {number_of(len(faces), 'face')}, {MIN_FACES} are needed"
        return report | {"why": why}
    rng = np.random.default_rng(SEED)
    if many := len(faces) > MAX_FACES:
        faces = np.sort(rng.choice(faces, MAX_FACES, replace=False))
    who = np.arange(len(faces)) if person is None else person_groups(person.reindex(names[faces]))
    if many:
        drawn = _resampled(who, rng)
    else:
        drawn, rng.bit_generator.state = weights_of(who.astype(np.int64).tobytes())
    weights = np.vstack([np.ones(len(faces)), drawn])
    named = all(group.named for group in pair)
    means = [_means(group, faces, rng if named else None) for group in pair]
    difference = _mean(weights, means[0] - means[1])
    report["difference"] = value_with_interval(difference)
    report["random"] = "faces and raters" if named else "faces"
    x, y = means[0][0], means[1][0]
    if is_constant(x) or is_constant(y):
        return report
    r = _pearson(weights, x, y)
    report["r"] = value_with_interval(r)
    reliabilities = [by_group[group.name]["reliability"]["value"] for group in pair]
    if all(value is not None and value > 0 for value in reliabilities):
        report["r_corrected"] = value_with_interval(r / np.sqrt(np.prod(reliabilities)))
    return report


def _weights(who: bytes) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Weights of faces of these persons (int64), and the state that the generator is in then."""
    rng = np.random.default_rng(SEED)
    return _resampled(np.frombuffer(who, dtype=np.int64), rng), rng.bit_generator.state


def _resampled(who: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights as small numbers: of `MAX_FACES` faces at most."""
    return resampled_weights(who, RESAMPLES, rng).astype(np.uint16)


def _means(group: _Group, faces: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Mean judgement of each face (resamples + 1, faces), the first by all raters, once each.

    The others are by raters drawn anew, NaN where none is left; without `rng` by all raters.
    """
    rated = np.isin(group.face, faces)
    face = np.searchsorted(faces, group.face[rated])
    # By their judgements, so that a rater's name moves no bit.
    rater = (
        pd.factorize(group.rater[rated])[0] if rng is not None else np.zeros(len(face), dtype=int)
    )
    n = int(rater.max()) + 1
    cells = (rater, face)
    total = csr_array((group.rating[rated], cells), shape=(n, len(faces)))
    count = csr_array((np.ones(len(face)), cells), shape=(n, len(faces)))
    drawn = np.ones((1 + RESAMPLES, n))
    if rng is not None:
        drawn[1:] = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        return (drawn @ total) / (drawn @ count)


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted mean of each row, NaN left out."""
    known = np.isfinite(values)
    return (weights * np.where(known, values, 0)).sum(axis=1) / (weights * known).sum(axis=1)


def _pearson(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weighted correlation for each row of weights."""
    n = weights.sum(axis=1)
    x, y = x - x.mean(), y - y.mean()
    mx, my = weights @ x / n, weights @ y / n
    vx, vy = weights @ x**2 / n - mx**2, weights @ y**2 / n - my**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ (x * y) / n - mx * my) / np.sqrt(vx * vy)
