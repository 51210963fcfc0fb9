"""The report is written once: templates become blocks, and blocks a page and a card."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from cards import trained_run, untrained_run
from facestats.report.album import Album
from facestats.report.blocks import Bullets, Figure, Fold, Heading, Paragraph, Table, table
from facestats.report.document import CARD, METRICS, inline, render_markdown, render_page
from facestats.report.prose import TEMPLATES, prose
from facestats.report.text import plural, sentence, written_as_is


def texts(block) -> list[str]:
    """All that a block says, mark for mark."""
    match block:
        case Paragraph(text) | Heading(text):
            return [text]
        case Bullets(lines):
            return lines
        case Table(_, head, rows):
            return [*head, *(cell for row in rows for cell in row)]
        case Fold(summary, blocks):
            return [summary, *(text for inner in blocks for text in texts(inner))]
    return []


def plain(text: str) -> str:
    """A text without marks, as a reader sees it."""
    return html.unescape(re.sub(r"<[^>]*>", "", inline(text)))


@pytest.mark.long
@pytest.mark.parametrize("made", [trained_run, untrained_run])
def test_the_page_and_the_card_say_the_same(made):
    run = made().plain()
    sections = [section(run) for section in CARD]
    written = [
        replace(section, blocks=[block for block in section.blocks if texts(block)])
        for section in sections
    ]
    page = html.unescape(re.sub(r"<[^>]*>", "", render_page("t", written, Album(most=0))))
    card = re.sub(r"\\(.)", r"\1", render_markdown(sections, Path("docs")))
    for section in written:
        assert f"## {section.title}\n" in card
        assert section.title in page
        for text in (text for block in section.blocks for text in texts(block)):
            assert written_as_is(text) in card
            assert plain(text) in page
    assert {section(run).key for section in METRICS} == {section.key for section in sections}


@pytest.mark.parametrize(
    "value", ["- item", "### heading", "a\n\nb", "\x000\x00", "| a | b |", "![a](b)"]
)
def test_a_value_starts_no_block(value):
    blocks = prose("misuses", names=value)
    assert [type(block) for block in blocks] == [Bullets]
    assert len(blocks[0].lines) == 4
    (heading, figure) = prose("pairs", key="continua", pairs=[(value, Figure(None, "a"), "")])
    assert isinstance(heading, Heading)
    assert figure == Figure(None, "a")


def test_blocks_stand_where_the_template_puts_them():
    rows = table("c", ["a"], [[1]])
    assert prose("run", parameters=rows) == [rows]
    assert rows.rows == [["1"]]


def test_what_a_template_names_has_to_be_given():
    with pytest.raises(UndefinedError, match="parameters"):
        prose("run")


def test_counts_and_sentences_are_in_the_right_number():
    assert (plural(1, "is", "are"), plural(0, "is", "are")) == ("is", "are")
    assert sentence("one of 3") == "One of 3."


def test_the_prose_is_free_of_long_lines():
    long = [
        path.name
        for path in TEMPLATES.rglob("*.*")
        if any(len(line) > 100 for line in path.read_text(encoding="utf-8").splitlines())
    ]
    assert long == []
