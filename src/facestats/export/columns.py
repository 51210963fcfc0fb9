"""The columns of the exported table, and what a reader has to know about each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.core.layout import FINAL_TABLE
from facestats.core.tables import BOOLEAN, INTEGER
from facestats.export.figures import Figures
from facestats.geometry.anatomy import Measurement
from facestats.geometry.measurements import MEASUREMENTS
from facestats.groups.tables import FINAL

LONGEST = 32  # characters of a variable's name in Stata
MOST_CLASSES = 100  # values of a text column that becomes numbers with labels
LONGEST_CLASS = 120  # bytes of a label in SPSS
NAMES = ("image", "filename", "copy_group", "person")  # never classes, however few there are
UNKNOWN_CODE = -1
# Words that SPSS or Stata keep for themselves, and beginnings that Stata does.
RESERVED = frozenset(
    "all and by eq ge gt le lt ne not or to with aggregate array boolean break byte case catch "
    "class colvector complex const continue default delegate delete do double else eltypedef end "
    "enum explicit export external float for friend function global goto if in inline int local "
    "long mata matrix namespace null numeric orgtypedef pointer polymorphic pragma private "
    "protected public quad real return rowvector scalar short signed static strl string struct "
    "super switch template this throw transmorphic try typedef typename union unsigned using "
    "vector version virtual void volatile while".split()
)
_UNITS = (
    (r"0–100", "points, 0 to 100"),
    (r"\bdegrees\b", "degrees"),
    (r"\byears\b", "years"),
    (r"\bpixels\b", "pixels"),
    (r"\b1–10\b", "decile, 1 to 10"),
    (r"0–1\b", "share, 0 to 1"),
    (r"raters' scale", "raters' scale"),
)


@dataclass(frozen=True)
class Described:
    """A column of the exported table.

    Attributes
    ----------
    name, short : str
        In all formats, and in SPSS and Stata.
    kind : str
        `text`, `class`, `number`, `whole number` or `yes or no`.
    text, unit, source : str
        What it holds, in which unit, and the stage that writes it.
    missing : int
        Number of rows without a value.
    codes : dict of str to int
        Number of each class in SPSS and Stata.
    held_out : str
        Held-out figures of the model behind it; empty where there are none.
    """

    name: str
    short: str
    kind: str
    text: str
    unit: str
    source: str
    missing: int
    codes: dict[str, int]
    held_out: str


def read_faces(root: Path) -> pd.DataFrame:
    """`attributes_final.parquet`, `image` first, with types that keep whole numbers as such."""
    frame = tables.read_all(root / FINAL_TABLE, FINAL)
    names = ["image", *(str(name) for name in frame if name != "image")]
    frame = frame[names].sort_values("image", ignore_index=True)
    return frame.assign(**{name: _typed(frame[name], name) for name in names})


def _typed(column: pd.Series, name: str) -> pd.Series:
    kind = FINAL.columns.get(name)
    known = column.dropna()
    if kind == INTEGER or name.endswith("_decile"):
        return column.astype(pd.Int64Dtype())
    truths = column.dtype == object and len(known) and all(type(value) is bool for value in known)
    if kind == BOOLEAN or truths:
        return column.astype(pd.BooleanDtype())
    return column


def truths_as_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with TRUE and FALSE, which R takes for logical values; `True` is text to it."""
    truths = frame.select_dtypes(["bool", "boolean"])
    words = {True: "TRUE", False: "FALSE"}
    return frame.assign(**{str(name): truths[name].astype(object).map(words) for name in truths})


def describe(frame: pd.DataFrame, figures: Figures) -> list[Described]:
    """Describe each column of the table."""
    short = short_names(map(str, frame))
    return [_described(frame[name], str(name), short[str(name)], figures) for name in frame]


def _described(column: pd.Series, name: str, short: str, figures: Figures) -> Described:
    text = text_of(name)
    codes = _codes(column, name)
    return Described(
        name=name,
        short=short,
        kind=_kind(column, codes),
        text=text,
        unit=_unit(name, text),
        source=_stage(name),
        missing=int(column.isna().sum()),
        codes=codes,
        held_out=str(figures.of(name)),
    )


def text_of(name: str) -> str:
    """What a column holds, in plain words."""
    measured = _measurement(name)
    if measured is not None:
        text = measured.definition
    elif name in FINAL.fields:
        text = FINAL.fields[name].text
    else:
        matching = [key for key in FINAL.further if _matches(key, name)]
        text = FINAL.further[max(matching, key=len)] if matching else "column of the label files"
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)  # links of a page
    return " ".join(text.replace("`", "").split())


def _measurement(name: str) -> Measurement | None:
    return next((measurement for measurement in MEASUREMENTS if measurement.name == name), None)


def _matches(pattern: str, name: str) -> bool:
    """Whether a name is one of those that a pattern such as `<trait>_raw` stands for."""
    parts = re.split(r"<\w+>", pattern)
    return parts != ["", ""] and bool(re.fullmatch(".+".join(map(re.escape, parts)), name))


def _unit(name: str, text: str) -> str:
    measured = _measurement(name)
    if measured is not None:
        return measured.unit
    if name.startswith("rating") and name != "rating_n":
        return "raters' scale"
    return next((unit for pattern, unit in _UNITS if re.search(pattern, text)), "")


def _stage(name: str) -> str:
    """The stage that writes a column first."""
    schemas = _schemas()
    holding = [schema for schema in schemas if name in (*schema.fields, *schema.further)]
    if not holding and _measurement(name):
        return "geometry"
    holding += [schema for schema in schemas if any(_matches(key, name) for key in schema.further)]
    return holding[0].stage if holding else "labels"


def _schemas() -> tuple[tables.Schema, ...]:
    from facestats.attributes.tables import CLEAN
    from facestats.clusters.tables import WITH_CLUSTERS
    from facestats.faces.tables import FACES
    from facestats.geometry.tables import GEOMETRY
    from facestats.labels.tables import LABELS, SPLITS
    from facestats.scores.tables import SCORES
    from facestats.traits.tables import TRAIT_SCORES

    return FACES, SPLITS, CLEAN, GEOMETRY, TRAIT_SCORES, SCORES, WITH_CLUSTERS, LABELS, FINAL


def _codes(column: pd.Series, name: str) -> dict[str, int]:
    """Numbers of a text column's classes; none where it holds names or free text."""
    if column.dtype.kind in "biuf" or name in NAMES:
        return {}
    classes = sorted(column.dropna().astype(str).unique())
    if len(classes) > MOST_CLASSES or any(len(word.encode()) > LONGEST_CLASS for word in classes):
        return {}
    unknown = tables.UNKNOWN in classes and not name.endswith("_source")
    known = [word for word in classes if not (unknown and word == tables.UNKNOWN)]
    codes = {word: number for number, word in enumerate(known, 1)}
    return codes | ({tables.UNKNOWN: UNKNOWN_CODE} if unknown else {})


def _kind(column: pd.Series, codes: dict[str, int]) -> str:
    if codes:
        return "class"
    kinds = {"b": "yes or no", "i": "whole number", "u": "whole number", "f": "number"}
    return kinds.get(column.dtype.kind, "text")


def short_names(names: Iterable[str]) -> dict[str, str]:
    """A name for SPSS and Stata by column.

    ASCII letters, digits and underscores, at most 32, beginning with a letter, none twice in
    whatever case.
    """
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names, key=lambda name: (_ascii(name) != name, name)):
        wanted = _ascii(name)
        if wanted.casefold() in RESERVED or re.fullmatch(r"str\d+", wanted, re.IGNORECASE):
            wanted = f"{wanted}_"
        chosen, number = wanted[:LONGEST], 2
        while chosen.casefold() in taken:
            ending = f"_{number}"
            chosen, number = wanted[: LONGEST - len(ending)] + ending, number + 1
        taken.add(chosen.casefold())
        given[name] = chosen
    return given


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")
    return plain if re.match(r"[A-Za-z]", plain) else f"v_{plain}".rstrip("_")
