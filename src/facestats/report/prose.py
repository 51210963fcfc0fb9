"""The prose of the report: one template a section, read into blocks.

A template is written like Markdown: paragraphs and lists with empty lines between them, `###`
before a heading. A value that is a block, such as a table, stands on a line of its own. Values are
texts of strangers: none of them can start a block or mark a word.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from facestats.errors import number_of
from facestats.report.blocks import Block, Bullets, Heading, Paragraph
from facestats.report.text import (
    as_plain,
    capital,
    counted,
    listed,
    measured,
    number,
    plural,
    sentence,
)

TEMPLATES = Path(__file__).parent / "templates"
_PLACE = re.compile("\x00(\\d+)\x00")  # where a block stands; `as_plain` lets no value hold this


def prose(template: str, /, **values: Any) -> list[Block]:
    """Write a section.

    Parameters
    ----------
    template : str
        Its name in `templates/prose`.
    **values
        What the template names. None, False and an empty list stand for what is not there.

    Returns
    -------
    list of Block
    """
    blocks: list[Block] = []

    def finalize(value: Any) -> Any:
        if isinstance(value, Block):
            blocks.append(value)
            return f"\x00{len(blocks) - 1}\x00"
        return as_plain(value, own=True) if isinstance(value, str) else value

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "prose"),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "capital": capital,
        "counted": counted,
        "flow": lambda text: " ".join(text.split()),
        "listed": listed,
        "measured": measured,
        "number": number,
        "number_of": number_of,
        "plural": plural,
        "sentence": sentence,
    }
    text = environment.get_template(f"{template}.jinja").render(values)
    parts = [part.strip() for part in re.split(r"\n\s*\n", text)]
    return [_block(part, blocks) for part in parts if part]


def _block(part: str, blocks: list[Block]) -> Block:
    if place := _PLACE.fullmatch(part):
        return blocks[int(place[1])]
    if part.startswith("- "):
        lines = re.split(r"\n(?=- )", part)
        return Bullets([" ".join(line.removeprefix("- ").split()) for line in lines])
    text = " ".join(line.strip() for line in part.split("\n"))
    return Heading(text.removeprefix("### ")) if text.startswith("### ") else Paragraph(text)
