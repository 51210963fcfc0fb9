"""Words of labellers and raters stay text in the report and the model card: no tags or links."""

import html
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from cards import trained_run
from facestats.report.album import Album
from facestats.report.document import CARD, inline, model_card, render_page
from facestats.report.section_faces import _faces
from facestats.report.text import as_plain, written_as_is, written_as_markdown

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


@pytest.mark.long
@pytest.mark.first_cases(4)
@pytest.mark.parametrize("word", WORDS)
def test_the_model_card_shows_a_word_as_it_is(run, word):
    hostile = replace(
        run,
        **{name: renamed(content, word) for name, content in vars(run).items()}
        | {"images": "data/<b>[x](y)"},
    )
    markdown = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    before, page = (
        markdown.render(model_card(one)) for one in (replace(run, images="data/b"), hostile)
    )
    assert tags(page) == tags(before)
    shown = word.replace("\n", "\\n").replace("\x1b", "\\u001b").replace("\u202e", "\\u202e")
    texts = html.unescape(re.sub(r"<[^>]*>", "", page))
    assert texts.count(shown) >= re.sub(r"<[^>]*>", "", before).count("female")
    assert "data/<b>[x](y)" in texts


@pytest.mark.long
@pytest.mark.first_cases(4)
@pytest.mark.parametrize("word", WORDS)
def test_the_report_shows_a_word_as_it_is(run, word):
    pages = []
    for name in ("female", word):
        plain = replace(
            run, **{part: renamed(content, name) for part, content in vars(run).items()}
        ).plain()
        sections = [section(plain) for section in CARD]
        pages.append(render_page("t", sections, Album(most=0)))
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
    material = SimpleNamespace(params=SimpleNamespace(report=SimpleNamespace(images=False)))
    name = "**a** [x](javascript:y) `b`<i>.jpg"
    (row,) = _faces([name], material).rows
    assert html.unescape(str(inline(row[1]))) == name
    assert str(inline("a\u202e<b>\x1b.jpg")) == r"a\u202e&lt;b&gt;\u001b.jpg"
