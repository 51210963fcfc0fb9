"""The faces of one run in memory: filtered, sorted and paged through within milliseconds.

Filters mean what they mean in `composites.<name>.filter`: `groups.filters.select_faces` answers
them, on the few columns that each needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from facestats.app.query import Query
from facestats.app.recent import Recent
from facestats.errors import InputError, suggestion
from facestats.groups.conditions import check_conditions, steps
from facestats.groups.filters import Selection, select_faces
from facestats.labels.csv_text import visible
from facestats.labels.names import PhotoNames
from facestats.serving.answers import SENSITIVE_COLUMNS

KEPT = 64  # answers of filters
_ALWAYS = ("filename", "doubts", "copy_group", "copy_rank", "score_withheld")
CLASSES = 60  # a column with more different texts is no choice of classes
SEARCH, AREA = "search", "area"  # their names among the conditions that are counted
PLACE = ("pc1", "pc2")  # of a face on the map


@dataclass(frozen=True)
class Selected:
    """The faces that a query finds.

    Attributes
    ----------
    rows : ndarray of int32
        Row numbers in the table, in the order of the query.
    matched : dict of str to int
        Faces left after each condition, as in `Selection`.
    flagged : dict of str to int
        Faces left out for each doubt.
    copies : int
        Faces left out as copies.
    ranges : dict of str to [float, float]
        Quantiles in numbers.
    hints : list of str
    """

    rows: np.ndarray
    matched: dict[str, int]
    flagged: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    ranges: dict[str, list[float]] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Facet:
    """What a column offers to a filter.

    Attributes
    ----------
    name : str
        Of the column.
    kind : str
        `class`, `number`, `yes_no` or `text`.
    classes : list of (str, int)
        Classes and their faces, the most frequent first.
    low, high : float or None
        Of numbers.
    """

    name: str
    kind: str
    classes: list[tuple[str, int]] = field(default_factory=list)
    low: float | None = None
    high: float | None = None

    @property
    def has_values(self) -> bool:
        """Whether any face has a value."""
        return self.kind in ("yes_no", "text") or bool(self.classes) or self.low is not None


class FacesTable:
    """`attributes_final.parquet` of one run.

    Parameters
    ----------
    table : DataFrame
        The final table.
    ethnicity : bool
        Whether ethnicity and skin colour may be shown; else the table is without them.
    """

    def __init__(self, table: pd.DataFrame, ethnicity: bool = False):
        shown = [
            name
            for name in table.columns
            if ethnicity or not str(name).startswith(SENSITIVE_COLUMNS)
        ]
        self.frame = table[shown].reset_index(drop=True)
        if not self.frame["filename"].is_monotonic_increasing:
            self.frame = self.frame.sort_values("filename", ignore_index=True)
        self._names = pd.Index(self.frame["filename"].to_numpy(dtype=object))
        self._orders: dict[str, np.ndarray] = {}
        self._values: dict[str, np.ndarray] = {}
        self._facets: dict[str, Facet] = {}
        self._selected: Recent[Selected] = Recent(KEPT)
        self._filtered: Recent[tuple[np.ndarray, Selection]] = Recent(KEPT)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self.frame.columns]

    def row(self, filename: str) -> int | None:
        """The row number of a face; None where there is no such face."""
        at = self._names.get_indexer(pd.Index([filename]))[0]
        return None if at < 0 else int(at)

    def rows_of(self, names: Iterable[str]) -> np.ndarray:
        """Row numbers of faces in their order; -1 where there is no such face."""
        return self._names.get_indexer(pd.Index([*names], dtype=object))

    def name(self, row: int) -> str:
        return self._names[row]

    def names(self, rows: np.ndarray) -> list[str]:
        return self._names[rows].tolist()

    def select(self, query: Query) -> Selected:
        """The faces that a query finds; the last answers are kept.

        Raises
        ------
        InputError
            A condition that the table can't answer, or no such column to sort by.
        """
        return self._selected.get(query.text, lambda: self._select(query))

    def _select(self, query: Query) -> Selected:
        order = self.order(query.sort)
        alone = replace(query, sort="filename", words="", area="")
        # Another order, or other words, of the same filter: it is not asked again.
        mask, found = self._filtered.get(alone.text, lambda: self._filter(alone))
        matched = dict(found.matched)
        if query.words:
            mask = mask & self._named(query.words)
            matched[SEARCH] = int(mask.sum())
        if query.area:
            mask = mask & self._within(query.corners)
            matched[AREA] = int(mask.sum())
        return Selected(
            order[mask[order]],
            matched,
            found.flagged,
            found.copies,
            found.ranges,
            found.hints,
        )

    def _filter(self, query: Query) -> tuple[np.ndarray, Selection]:
        """Whether each face fulfils the conditions, and how many fulfil each; without its rows."""
        conditions = query.conditions
        wanted = {column for _, column, _ in steps(conditions, self.frame)}
        if missing := wanted - {*self.frame.columns}:
            check_conditions(self.frame, conditions, [])
            raise InputError(f"the table has no column {min(missing)}")
        columns = [name for name in self.frame.columns if name in wanted or name in _ALWAYS]
        where = query.where
        found = select_faces(
            self.frame[columns],
            conditions,
            where.n,
            where.seed,
            min_results=0,
            flags=where.flags,
            copies=where.copies,
        )
        mask = np.zeros(len(self.frame), bool)
        mask[found.rows.index.to_numpy()] = True
        return mask, replace(found, rows=found.rows.iloc[:0])

    def _named(self, words: str) -> np.ndarray:
        """Whether the file name of a face or of its photo holds all words."""
        mask = np.ones(len(self.frame), bool)
        for word in words.split():
            hits = pc.match_substring(self._lower, word.lower())
            mask &= hits.to_numpy(zero_copy_only=False)
        return mask

    @cached_property
    def images(self) -> dict[str, str]:
        """The photo of each face."""
        return dict(zip(self.frame["filename"], self.frame["image"], strict=True))

    @cached_property
    def faces_by_image(self) -> dict[str, str]:
        """The face of each photo."""
        return {image: name for name, image in self.images.items()}

    @cached_property
    def as_read(self) -> tuple[dict[str, int], np.ndarray]:
        """The first row of each photo's name as files are read, and of each row that first one."""
        known: dict[str, int] = {}
        names = map(visible, self.images.values())
        return known, np.array([known.setdefault(name, row) for row, name in enumerate(names)], int)

    @cached_property
    def photos(self) -> PhotoNames:
        """Finds photos by the names that label files give them."""
        return PhotoNames(self.faces_by_image)

    @cached_property
    def places(self) -> np.ndarray | None:
        """Places on the map, float32 (n, 2), NaN where a face has none; None without a map."""
        if not set(PLACE) <= set(self.columns):
            return None
        places = self.frame[[*PLACE]].to_numpy(dtype=np.float32, na_value=np.nan)
        return places if np.isfinite(places).all(axis=1).any() else None

    def _within(self, corners: list[tuple[float, float]]) -> np.ndarray:
        """Whether each face lies in an area of the map."""
        if self.places is None:
            raise InputError("area: this run has no map")
        return inside(self.places, corners)

    @cached_property
    def _lower(self) -> pa.Array:
        """Names of faces and of their photos in small letters."""
        names = pa.array(self.frame["filename"], type=pa.string())
        if "image" in self.frame.columns:
            images = pc.fill_null(pa.array(self.frame["image"], type=pa.string()), "")
            names = pc.binary_join_element_wise(names, images, "\n")
        return pc.utf8_lower(names)

    def order(self, sort: str) -> np.ndarray:
        """Row numbers in the order of a column; equal ones by name, empty ones last.

        Raises
        ------
        InputError
            There is no such column.
        """
        if sort in self._orders:
            return self._orders[sort]
        column = sort.removeprefix("-")
        if column not in self.frame.columns:
            near = suggestion(column, self.columns)
            raise InputError(f"sort: there is no column {column!a}.{near}")
        values = self.frame[column]
        if not pd.api.types.is_numeric_dtype(values):
            codes, _ = pd.factorize(values, sort=True)
            numbers = np.where(codes < 0, np.nan, codes)
        else:
            numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        order = np.argsort(-numbers if sort.startswith("-") else numbers, kind="stable")
        self._orders[sort] = order.astype(np.int32)
        return self._orders[sort]

    def values(self, rows: np.ndarray, columns: list[str]) -> list[dict[str, Any]]:
        """Cells of some rows as JSON has them; columns that are not there are left out."""
        there = [name for name in columns if name in self.frame.columns]
        parts = self.frame[there].take(rows)
        cells = {name: [plain(value) for value in parts[name].tolist()] for name in there}
        return [{name: cells[name][i] for name in there} for i in range(len(parts))]

    def facet(self, name: str) -> Facet:
        """What a column offers to a filter."""
        if name not in self._facets:
            self._facets[name] = _facet(name, self.frame[name])
        return self._facets[name]

    @cached_property
    def attributes(self) -> list[str]:
        """Attributes beside gender, ethnicity and age."""
        main = {"gender", "ethnicity", "age"}
        ends = [name.removesuffix("_final") for name in self.columns if name.endswith("_final")]
        return [name for name in ends if name not in main]

    @cached_property
    def scores(self) -> list[str]:
        """Columns of scores and ratings that faces may be sorted by, the main ones first."""
        first = ["combined_score", "attractiveness_score", "geometric_score", "rating"]
        further = [
            name
            for name in self.columns
            if name.endswith(("_combined", "_score", "_geometric")) or name.startswith("rating_")
            if name not in ("rating_n", "symmetry_score") and name not in first
        ]
        return [
            name
            for name in (*first, *further)
            if name in self.frame.columns and self.frame[name].notna().any()
        ]

    def place(self, name: str, value: float) -> float | None:
        """Share of the faces with a smaller value in a column, equal ones by half."""
        known = self._sorted(name)
        if not len(known):
            return None
        low, high = (np.searchsorted(known, value, side) for side in ("left", "right"))
        return float(low + high) / 2 / len(known)

    def quantiles(self, name: str, shares: tuple[float, ...]) -> list[float]:
        """Quantiles of a column; empty where no face has a value."""
        known = self._sorted(name)
        if not len(known):
            return []
        places = np.asarray(shares) * (len(known) - 1)
        low = places.astype(int)
        high = np.minimum(low + 1, len(known) - 1)
        return (known[low] + (places - low) * (known[high] - known[low])).tolist()

    def _sorted(self, name: str) -> np.ndarray:
        """The values of a column in order, without empty ones."""
        if name not in self._values:
            values = self.frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
            self._values[name] = np.sort(values[np.isfinite(values)])
        return self._values[name]


def inside(places: np.ndarray, corners: list[tuple[float, float]]) -> np.ndarray:
    """Whether points lie in a polygon, by the even-odd rule.

    Parameters
    ----------
    places : ndarray of float (n, 2)
    corners : list of (float, float)

    Returns
    -------
    ndarray of bool (n,)
    """
    polygon = np.asarray(corners, np.float64)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    near = np.flatnonzero(((places >= low) & (places <= high)).all(axis=1))
    x, y = places[near].astype(np.float64).T
    odd = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    mask = np.zeros(len(places), bool)
    mask[near[odd]] = True
    return mask


def plain(value: Any) -> Any:
    """A cell as JSON has it."""
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _facet(name: str, column: pd.Series) -> Facet:
    known = column.dropna()
    if pd.api.types.is_bool_dtype(known) and len(known):
        return Facet(name, "yes_no")
    if pd.api.types.is_numeric_dtype(column):
        low, high = (float(known.min()), float(known.max())) if len(known) else (None, None)
        return Facet(name, "number", low=low, high=high)
    counts = known.value_counts()
    if len(counts) > CLASSES:
        return Facet(name, "text")
    pairs = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return Facet(name, "class", [(str(value), int(n)) for value, n in pairs])
