"""What a section of the report is made of; the page and the card are two renderings of these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from facestats.core.crops import Source

THUMBNAIL = "thumbnail"
FACE = "face"
PLOT = "plot"
# Pixels of the long side and bytes of a thumbnail; the sample's largest has 3.8 kB, that of 300
# photographs (OMI) 5.4 kB.
THUMBNAIL_SIZE = (96, 6_000)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `**strong**`, `*emphasis*` and backticks are read, all else stands as it is."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Bullets:
    """A list; its lines are marked as those of a paragraph."""

    kind: ClassVar[str] = "bullets"
    lines: list[str]


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Table:
    """A table of texts; `caption` says what its rows are."""

    kind: ClassVar[str] = "table"
    caption: str
    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Figure:
    """A picture, or what stands in its place.

    Attributes
    ----------
    path : Path or bytes, optional
        The file, or its content; without one, `alt` is written out.
    alt : str
        What it shows, for those who do not see it.
    caption : str
        Stands below it; may be empty.
    of : str
        `thumbnail` or `face` (it shows faces) or `plot` (it shows none).
    size : pair of int, optional
        Pixels of the long side and bytes at most; a plot stays as it is.
    wide : bool
        On a narrow screen it is scrolled, not shrunk.
    """

    kind: ClassVar[str] = "figure"
    path: Source | None
    alt: str
    caption: str = ""
    of: str = THUMBNAIL
    size: tuple[int, int] = THUMBNAIL_SIZE
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Figures side by side; `of` says how wide each may be: `thumbnails`, `faces` or `plots`."""

    kind: ClassVar[str] = "gallery"
    figures: list[Figure]
    of: str = "thumbnails"


@dataclass(frozen=True)
class Fold:
    """Blocks that are unfolded on demand, and on paper."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: list[Block]


Block = Paragraph | Bullets | Heading | Table | Figure | Gallery | Fold


@dataclass(frozen=True)
class Section:
    """A part of the report with its own heading.

    Attributes
    ----------
    key : str
        The anchor.
    title : str
    blocks : list of Block
    folded : bool
        Whether the page shows its heading alone until it is opened.
    """

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    folded: bool = False


def plot(path: Path, alt: str) -> Figure:
    """A figure that shows no face, scrolled on a narrow screen, as its words would be too small."""
    return Figure(path, alt, of=PLOT, wide=True)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table whose cells may be numbers."""
    return Table(caption, list(head), [[str(cell) for cell in row] for row in rows])


def first(items: Sequence, most: int) -> tuple[list, int]:
    """The first `most` items, and how many more there are."""
    return list(items[:most]), max(0, len(items) - most)
