"""Groups of faces by their labels: by one attribute, or by two at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from facestats.core.tables import is_known

PAIR_SEPARATOR = " × "  # between the names of two attributes or of two groups
STANDARD_ATTRIBUTES = ("gender", "ethnicity", "age")
# Lower ends and names of the age groups of FairFace (Kärkkäinen and Joo 2021, WACV).
LOWER_ENDS = (0, 3, 10, 20, 30, 40, 50, 60, 70)
BUCKETS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")


def age_bucket(age: pd.Series | np.ndarray) -> np.ndarray:
    """FairFace's group of each age in years, as text.

    Ages below 0 count as 0, NaN gives 'unknown'.
    """
    age = np.asarray(age, dtype=float)
    return np.where(np.isnan(age), "unknown", np.asarray(BUCKETS)[bucket_number(age)])


def bucket_number(age: pd.Series | np.ndarray) -> np.ndarray:
    """The place in `BUCKETS` of each age in years: int8; ages below 0 and NaN count as 0."""
    years = np.floor(np.maximum(np.nan_to_num(np.asarray(age, dtype=float)), 0))
    return (np.searchsorted(LOWER_ENDS, years, side="right") - 1).astype(np.int8)


@dataclass(frozen=True)
class Grouping:
    """Faces grouped by one attribute or by two.

    Attributes
    ----------
    attribute : str
        Its name; of two, both with ` × ` between them.
    groups : list of str
        Names of the groups that occur, in order.
    place : ndarray of int (n,)
        Number of each face's group; -1 without a label.
    """

    attribute: str
    groups: list[str]
    place: np.ndarray

    def members(self) -> np.ndarray:
        """Whether a face belongs to a group: bool (n, groups)."""
        return self.place[:, None] == np.arange(len(self.groups))


def human_groupings(labels: pd.DataFrame, kinds: Mapping[str, str]) -> list[Grouping]:
    """Group faces by each attribute that people labelled, and by each pair of them.

    Parameters
    ----------
    labels : DataFrame
        Human labels, one row a face, null if unknown; never predictions.
    kinds : mapping of str to str
        `classification` or `regression`, by target. Gender, ethnicity and age always count. Age is
        grouped by FairFace's buckets; other numbers have no groups and are left out.
    """
    attributes = [
        *STANDARD_ATTRIBUTES,
        *sorted(
            name
            for name, kind in kinds.items()
            if kind == "classification" and name not in STANDARD_ATTRIBUTES
        ),
    ]
    single = [
        _by_one(name, labels[name])
        for name in attributes
        if name in labels.columns and is_known(labels[name]).any()
    ]
    return single + [_by_two(a, b) for a, b in combinations(single, 2)]


def _by_one(name: str, column: pd.Series) -> Grouping:
    labelled = is_known(column).to_numpy()
    values = age_bucket(column) if name == "age" else column.astype("str").to_numpy(dtype=object)
    groups = (
        [bucket for bucket in BUCKETS if (values[labelled] == bucket).any()]
        if name == "age"
        else sorted(set(values[labelled]))
    )
    return Grouping(name, groups, np.where(labelled, pd.Index(groups).get_indexer(values), -1))


def _by_two(a: Grouping, b: Grouping) -> Grouping:
    place = np.where((a.place < 0) | (b.place < 0), -1, a.place * len(b.groups) + b.place)
    names = [f"{first}{PAIR_SEPARATOR}{second}" for first in a.groups for second in b.groups]
    occurring = np.unique(place[place >= 0])
    return Grouping(
        f"{a.attribute}{PAIR_SEPARATOR}{b.attribute}",
        [names[i] for i in occurring],
        np.where(place < 0, -1, np.searchsorted(occurring, place)),
    )
