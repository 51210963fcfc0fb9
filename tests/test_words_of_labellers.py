"""What labellers, raters and folders are called stays text in the model card and in the report: no
tag, link, picture, column or heading.
"""

import html
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from cards import trained_run
from facestats.report.album import Album
from facestats.report.blocks import Section, from_card
from facestats.report.card_figures import as_plain, written_as_is, written_as_markdown
from facestats.report.card_groups import scores_by_group
from facestats.report.html_page import inline, render
from facestats.report.model_card import model_card, models, photos_and_labels, plain_run
from facestats.report.section_faces import _faces

WORDS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](https://x.org/y.png)",
    "a|b",
    "a`b",
    "**bold**",
    "a*b*c",
    "_a_",
    "&lt;b&gt;",
    "https://evil.example/x",
    "www.evil.example",
    "a\\b",
    "x<!--",
    "$x$",
    "~~x~~",
    "@all",
    "\u202egpj",
    "a\n# heading\n- item",
    "e\x1b[31m",
]


def renamed(content, word):
    """The contents of a run in which every `female` is called otherwise."""
    if isinstance(content, dict):
        return {renamed(key, word): renamed(value, word) for key, value in content.items()}
    if isinstance(content, list):
        return [renamed(value, word) for value in content]
    return content.replace("female", word) if isinstance(content, str) else content


@pytest.fixture(scope="module")
def run():
    trained = trained_run()
    raters = {"n": 2, "dropped": {"female": "answers at random"}, "suspicious": {"female": {}}}
    return replace(trained, labels=trained.labels | {"raters": raters})


def tags(page: str) -> list[str]:
    return re.findall(r"<(/?[a-z0-9]+)", page)


@pytest.mark.parametrize("word", WORDS)
def test_the_model_card_shows_a_word_as_it_is(run, word):
    hostile = replace(
        run,
        **{name: renamed(content, word) for name, content in vars(run).items()}
        | {"images": "data/<b>[x](y)"},
    )
    markdown = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    before, page = (
        markdown.render(model_card(one, "p.png"))
        for one in (replace(run, images="data/b"), hostile)
    )
    assert tags(page) == tags(before)
    shown = word.replace("\n", "\\n").replace("\x1b", "\\u001b").replace("\u202e", "\\u202e")
    texts = html.unescape(re.sub(r"<[^>]*>", "", page))
    assert texts.count(shown) >= re.sub(r"<[^>]*>", "", before).count("female")
    assert "data/<b>[x](y)" in texts


@pytest.mark.parametrize("word", WORDS)
def test_the_report_shows_a_word_as_it_is(run, word):
    pages = []
    for name in ("female", word):
        plain = plain_run(
            replace(run, **{part: renamed(content, name) for part, content in vars(run).items()})
        )
        pages.append(
            render(
                "t",
                [
                    Section(
                        "k",
                        "t",
                        from_card(
                            [
                                *models(plain),
                                *photos_and_labels(plain),
                                *scores_by_group(plain.fairness, ""),
                            ],
                            "c",
                        ),
                    )
                ],
            )
        )
    body = [page.split("<body")[1] for page in pages]
    assert tags(body[1]) == tags(body[0])
    shown = word.replace("\n", "\\n").replace("\x1b", "\\u001b").replace("\u202e", "\\u202e")
    assert html.unescape(body[1]).count(shown) >= 2


def test_words_without_markup_and_keys_stay_what_they_are():
    content = {
        "combined_60_40": ["O'Brien", "Größe 7 (x)", 3, None],
        "why": "no `x` of *y*",
        "female × young": 1.5,
    }
    assert as_plain(content) == content
    assert written_as_is(as_plain("<a_> `b`")) == "<a_> `b`"
    assert as_plain(as_plain("<a>")) == as_plain("<a>")


@pytest.mark.parametrize("word", ["`<b>``", "``<b>`", "`<b>` ``", "<b>`", "`\U000f0060<b>`"])
def test_backticks_in_a_word_open_no_code_that_is_not_closed(word):
    page = written_as_markdown(
        as_plain({"why": f"of `gender` there is only {word}, see `labels`"})["why"]
    )
    shown = MarkdownIt("commonmark", {"html": True}).render(page)
    assert "<b>" not in shown
    assert "<code>gender</code>" in shown


def test_names_of_photos_are_shown_whole():
    material = SimpleNamespace(crops=Path())
    name = "**a** [x](javascript:y) `b`<i>.jpg"
    (row,) = _faces([name], material, Album(False, 0)).rows
    assert html.unescape(str(inline(row[1]))) == name
    assert str(inline("a\u202e<b>\x1b.jpg")) == r"a\u202e&lt;b&gt;\u001b.jpg"
