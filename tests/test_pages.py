"""All pages: they stay short, their links lead somewhere, and the lists of pages are whole."""

import re

import pytest

from documented import PAGES, read
from resources import ROOT

GENERATED = (
    "docs/api.md",
    "docs/datasets.md",
    "docs/measurements.md",
    "docs/parameters.md",
    "docs/tables.md",
    "docs/model_card.md",
)
USER_PAGES = [
    page
    for page in PAGES
    if page in ("README.md", "SECURITY.md") or re.fullmatch(r"docs/\w+\.md", page)
]
MOST_WORDS = 15_000  # as `wc -w` counts them
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """The headings of a page, as a link names them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_and_user_pages_stay_short():
    words = {page: len(read(page).split()) for page in USER_PAGES if page not in GENERATED}
    assert sum(words.values()) <= MOST_WORDS, words


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for link in LINK.findall(FENCED.sub("", read(page))):
        path, _, anchor = link.partition("#")
        if path.startswith(("https:", "http:")):
            continue
        target = folder / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("index", ["README.md", "docs/methods/README.md"])
def test_an_index_links_every_page_of_its_folder(index):
    linked = LINK.findall(read(index))
    pages = {"README.md": "docs/*.md", "docs/methods/README.md": "docs/methods/*.md"}[index]
    folder = (ROOT / index).parent
    names = {path.relative_to(folder).as_posix() for path in ROOT.glob(pages)} - {"README.md"}
    assert names - set(linked) == set()


def test_the_glossary_has_each_word_once():
    words = re.findall(r"^- ([\w -]+): ", read("docs/glossary.md"), re.MULTILINE)
    assert len(words) == len({*words}) >= 20
