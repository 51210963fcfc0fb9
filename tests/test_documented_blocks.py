"""Every block of the documentation is run by a test, or says why none runs it."""

import ast
import importlib

import pytest

from documented import PAGES, blocks, read
from programs import run_program
from resources import ROOT

RUN = {"bash", "python", "yaml"}
SHOWN = {"text", "mermaid"}
WALKED = "docs/library.md"  # tests/test_library_page.py runs all of its blocks
SHARING = "docs/sharing.md"  # its blocks are run by `document` of tests/sharing.py
TESTS = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py")]


def runs(test: str, page: str) -> bool:
    """Whether a test module runs blocks of a page."""
    return f'"{page}"' in test or (page == SHARING and "from sharing import" in test)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page):
    fences = sum(line.lstrip().startswith("```") for line in read(page).splitlines())
    assert 2 * len(blocks(page)) == fences, "a fence is indented or not closed"
    for block in blocks(page):
        where = f"{page}: {block.text[:80]}"
        assert block.language in RUN | SHOWN, where
        assert block.mark or block.language in SHOWN, f"neither `test:` nor `not run:`: {where}"
        assert block.mark != "not run" or len(block.word.split()) > 3, f"no reason: {where}"
    names = [block.word for block in blocks(page) if block.mark == "test"]
    assert len(names) == len(set(names))
    if page == WALKED:
        assert {block.language for block in blocks(page)} == {"python"}
        return
    users = [test for test in TESTS if runs(test, page)]
    assert [name for name in names if not any(f'"{name}"' in test for test in users)] == []


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_every_bash_block_is_bash(page):
    for block in blocks(page):
        if block.language == "bash":
            done = run_program(["bash", "-n", "-c", block.text])
            assert not done.returncode, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_imports_what_is_there(page):
    code = "\n".join(block.text for block in blocks(page) if block.language == "python")
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
