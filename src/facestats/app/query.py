"""The filter of a page as the query of its address: the keys of `composites.<name>.filter`.

    gender=female&age_range=50..80&attributes.glasses=with&sort=-combined_score

A range has its two ends around `..`, each a number or a quantile; an end may be missing. Forms
without script send the ends as two fields, `age_range.from` and `age_range.to`. Classes are
repeated. `area` is one of the map, which params.yaml has no condition for: corners x_y after x_y.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from facestats.errors import InputError, suggestion
from facestats.groups.conditions import COLUMNS
from facestats.groups.params import COPIES, LEAVE_OUT, Filter
from facestats.service.faces import listed

WIDEST = {"age_range": ("0", "130"), "attractiveness": ("1", "10"), "score": ("1", "10")}
LONGEST = 4000  # characters of a query
MOST = 200  # fields of one
_END = r"(?:-?\d+(?:\.\d*)?|-?\.\d+|q(?:\d*\.?\d+|\d+\.))"
_RANGE = re.compile(rf"({_END})?\.\.({_END})?")
_CORNER = r"-?\d{1,6}(?:\.\d{1,6})?_-?\d{1,6}(?:\.\d{1,6})?"
_AREA = re.compile(rf"{_CORNER}(?:~{_CORNER}){{2,119}}")
_GROUPS = ("attributes", "columns", "score")
_RANGES = ("age_range", "rating", "attractiveness", "score")
_CLASSES = ("gender", "ethnicity", "cluster")
_NUMBERS = ("n", "seed")
_CHOICES = ("flags", "copies")
_OWN = ("sort", "q", "area")
KEYS = (*_CLASSES, *_RANGES[:3], *_NUMBERS, *_CHOICES, *_OWN)


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
            own = value if name in _GROUPS else {"": value}
            for key, wanted in sorted(own.items()):
                label = f"{name}.{key}" if key else name
                fields += [(label, text) for text in _texts(label, wanted)]
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
    values: dict[str, list[str]] = {}
    for key, value in fields:
        if value.strip():
            values.setdefault(key, []).append(value.strip())
    every = [text for texts in values.values() for text in texts]
    if len(every) > MOST or sum(map(len, every)) > LONGEST:
        raise InputError("the filter is too long")
    _join_ends(values)
    wanted: dict[str, Any] = {"min_results": 1}
    own = {"sort": "filename", "q": "", "area": ""}
    for key, texts in values.items():
        group, _, name = key.partition(".")
        if key in _OWN:
            own[key] = texts[-1]
        elif key in KEYS:
            wanted[key] = _value(key, texts)
        elif group in _GROUPS and name:
            wanted.setdefault(group, {})[name] = _value(key, texts)
        else:
            raise InputError(f"the filter has no condition {key!a}.{suggestion(key, KEYS)}")
    try:
        where = Filter.model_validate(wanted)
    except ValidationError as error:
        raise InputError(f"the filter: {listed(error.errors())}") from None
    if own["area"] and not _AREA.fullmatch(own["area"]):
        raise InputError("the filter: area is no 3 to 120 corners such as 0_0~1.5_0~1.5_-2")
    return Query(where, own["sort"], own["q"], own["area"])


def _join_ends(values: dict[str, list[str]]) -> None:
    """Make one range of the two fields of a form."""
    for key in [*values]:
        name, _, end = key.rpartition(".")
        if end in ("from", "to") and name and name.partition(".")[0] in (*_RANGES, "columns"):
            low = values.pop(f"{name}.from", [""])[-1]
            high = values.pop(f"{name}.to", [""])[-1]
            if low or high:
                values[name] = [f"{low}..{high}"]


def _value(key: str, texts: list[str]) -> Any:
    group = key.partition(".")[0]
    if group in _CHOICES:
        return texts[-1]
    if group in _NUMBERS or group == "cluster":
        numbers = [_whole(key, text) for text in texts]
        return numbers if group == "cluster" else numbers[-1]
    is_range = _RANGE.fullmatch(texts[-1])
    if group in _RANGES and not is_range:
        raise InputError(f"the filter: {key} = {texts[-1]!a}; expected a range such as 20..30")
    if is_range and group in (*_RANGES, "columns"):
        least, most = WIDEST.get(group, ("q0", "q1"))
        return [_end(is_range[1] or least), _end(is_range[2] or most)]
    return texts


def _whole(key: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(f"the filter: {key} = {text!a}; expected a whole number")
    return int(text)


def _end(text: str) -> float | int | str:
    if text.startswith("q"):
        return text
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _texts(label: str, value: Any) -> list[str]:
    """The values of one field as the address has them."""
    if label.startswith((*_RANGES, "columns.")) and isinstance(value, list) and len(value) == 2:
        text = "..".join(open_ends(label, value))
        if _RANGE.fullmatch(text):
            return [text]
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def open_ends(label: str, value: list[Any]) -> list[str]:
    """Both ends of a range as the address and the form have them; '' where one is open."""
    texts = [_end_text(end) for end in value]
    widest = WIDEST.get(label.partition(".")[0], ("q0", "q1"))
    return ["" if text == end else text for text, end in zip(texts, widest, strict=True)]


def _end_text(end: Any) -> str:
    return f"{end:.12f}".rstrip("0").rstrip(".") if isinstance(end, float) else str(end)
