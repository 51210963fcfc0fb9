"""What a section of the report is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from facestats.report.card_figures import Table


@dataclass
class Text:
    """A paragraph; `**strong**` and backticks are read, everything else stands as it is."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass
class Bullets:
    kind: ClassVar[str] = "bullets"
    lines: list[str]


@dataclass
class Heading:
    kind: ClassVar[str] = "heading"
    text: str


@dataclass
class Rows:
    """A table; `caption` says what its rows are."""

    kind: ClassVar[str] = "rows"
    caption: str
    head: list[str]
    rows: list[list[str]]


@dataclass
class Picture:
    """A picture, or what stands in its place.

    Attributes
    ----------
    uri : data URI; None: `alt` is written out.
    alt : what it shows, for those who do not see it.
    caption : stands below it; may be empty.
    size : width and height, px.
    wide : on a narrow screen it is scrolled, not shrunk.
    """

    kind: ClassVar[str] = "picture"
    uri: str | None
    alt: str
    caption: str = ""
    size: tuple[int, int] = (0, 0)
    wide: bool = False


@dataclass
class Gallery:
    """Pictures side by side; `of` says how wide each may be: `thumbnails`, `faces` or `plots`."""

    kind: ClassVar[str] = "gallery"
    pictures: list[Picture]
    of: str = "thumbnails"


@dataclass
class Details:
    """Blocks that are unfolded on demand."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: list


Block = Text | Bullets | Heading | Rows | Picture | Gallery | Details


@dataclass
class Section:
    """A part of the report with its own heading; `key` is the anchor."""

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def from_card(paragraphs: Iterable[str], caption: str = "") -> list[Block]:
    """Blocks of what the model card says: tables stay tables, lists lists; `caption` is that of the tables."""
    blocks: list[Block] = []
    for said in paragraphs:
        if isinstance(said, Table):
            blocks.append(Rows(caption, said.head, said.rows))
        elif said.startswith("- "):
            blocks.append(Bullets([line.removeprefix("- ") for line in said.split("\n")]))
        elif not said.startswith("!["):  # the card links to pictures, a page holds them
            blocks.append(Text(said))
    return blocks


def first(items: Sequence, most: int) -> tuple[list, int]:
    """The first `most` items, and how many more there are."""
    return list(items[:most]), max(0, len(items) - most)
