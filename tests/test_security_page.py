"""SECURITY.md: each promise names tests that are there, and other pages lead to it."""

import re

from resources import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (`test_.+) \|$", PAGE, re.MULTILINE)


def test_every_promise_names_tests_that_are_there():
    assert len(ROWS) >= 15
    for promise, cell in ROWS:
        for name in re.findall(r"`([^`]+)`", cell):
            file, _, test = name.partition("::")
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not test or re.search(rf"^ *def {test}\(", text, re.MULTILINE), (
                f"{promise}: {name}"
            )


def test_pages_about_sharing_and_use_lead_there():
    for page in ("README.md", "docs/sharing.md", "docs/responsible_use.md"):
        assert "SECURITY.md" in (ROOT / page).read_text(encoding="utf-8"), page
