"""The filter of a page as the query of its address: the keys of `composites.<name>.filter`.

    gender=female&age_range=50..80&attributes.glasses=with&sort=-combined_score

`serving.filters` reads the conditions. `sort`, `q` (words) and `area` are the page's own; `area` is
one of the map: corners x_y after x_y.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from facestats.errors import InputError
from facestats.groups.conditions import COLUMNS
from facestats.groups.params import COPIES, LEAVE_OUT, Filter
from facestats.serving.filters import GROUPS, check_length, parse_fields, texts_of

_CORNER = r"-?\d{1,6}(?:\.\d{1,6})?_-?\d{1,6}(?:\.\d{1,6})?"
_AREA = re.compile(rf"{_CORNER}(?:~{_CORNER}){{2,119}}")
_OWN = {"sort": "filename", "q": "", "area": ""}


@dataclass(frozen=True)
class Query:
    """Which faces a page shows, and in which order.

    Attributes
    ----------
    where : Filter
        Conditions, flags, copies, `n` and `seed`.
    sort : str
        A column; after a `-` from high to low.
    words : str
        Part of the names of files.
    area : str
        Corners of an area of the map.
    """

    where: Filter = field(default_factory=Filter)
    sort: str = "filename"
    words: str = ""
    area: str = ""

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Corners of the area."""
        pairs = [corner.split("_") for corner in self.area.split("~") if corner]
        return [(float(x), float(y)) for x, y in pairs]

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions that are set, as `select_faces` takes them."""
        every = self.where.model_dump(include=set(COLUMNS), exclude_none=True)
        return {name: value for name, value in every.items() if value != {}}

    @property
    def text(self) -> str:
        """The query in its one canonical form, without a `?`."""
        fields: list[tuple[str, str]] = []
        for name, value in self.conditions.items():
            own = value if name in GROUPS else {"": value}
            for key, wanted in sorted(own.items()):
                label = f"{name}.{key}" if key else name
                fields += [(label, text) for text in texts_of(label, wanted)]
        where = self.where
        if where.flags != LEAVE_OUT:
            fields.append(("flags", where.flags))
        if where.copies != COPIES[0]:
            fields.append(("copies", where.copies))
        if where.n is not None:
            fields += [("n", str(where.n)), ("seed", str(where.seed))]
        if self.words:
            fields.append(("q", self.words))
        if self.area:
            fields.append(("area", self.area))
        if self.sort != "filename":
            fields.append(("sort", self.sort))
        return urlencode(fields, quote_via=quote, safe="-.~")


def parse_query(fields: Iterable[tuple[str, str]]) -> Query:
    """Read the fields of an address or a form; empty ones are passed over.

    Raises
    ------
    InputError
        An unknown key, or a value that its condition does not take.
    """
    given = [(key, value.strip()) for key, value in fields if value.strip()]
    check_length(value for _, value in given)
    own = _OWN | {key: value for key, value in given if key in _OWN}
    where = parse_fields([(key, value) for key, value in given if key not in _OWN], _OWN)
    if own["area"] and not _AREA.fullmatch(own["area"]):
        raise InputError("the filter: area is no 3 to 120 corners such as 0_0~1.5_0~1.5_-2")
    return Query(where, own["sort"], own["q"], own["area"])
