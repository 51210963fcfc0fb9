"""Every block of the documentation is run by a test, or says why none runs it."""

import ast

import pytest

from documented import PAGES, blocks, read
from programs import run_program
from resources import ROOT

RUN = {"bash", "python", "yaml"}
SHOWN = {"text", "mermaid"}
WALKED = "docs/library.md"  # tests/test_library_page.py goes through all of its blocks, and fails where one has no mark
TESTS = {
    path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").glob("*.py")
}


def constants(tree: ast.AST) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def in_calls(module: str) -> set[str]:
    """Texts that a test module hands to a function, or goes through: names of blocks are among them."""
    nodes = [
        node.iter if isinstance(node, ast.For) else node
        for node in ast.walk(TESTS[module])
        if isinstance(node, (ast.Call, ast.For))
    ]
    return set().union(*map(constants, nodes))


def knows(module: str) -> set[str]:
    """All texts in a test module and in the helpers that it imports from: paths of documents are among them."""
    helpers = {
        node.module for node in ast.walk(TESTS[module]) if isinstance(node, ast.ImportFrom)
    } & TESTS.keys()
    return set().union(*(constants(TESTS[name]) for name in {module, *helpers} - {"documented"}))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page):
    found = blocks(page)
    assert 2 * len(found) == sum(
        line.lstrip().startswith("```") for line in read(page).splitlines()
    ), "a fence is indented or not closed"
    for block in found:
        assert block.language in RUN | SHOWN, (
            f"{page}: a block of {block.language or 'no language'} begins\n{block.text[:80]}"
        )
        assert block.mark or block.language in SHOWN, (
            f"{page}: neither `test:` nor `not run:` stands above\n{block.text}"
        )
        assert block.mark != "not run" or len(block.word.split()) > 3, (
            f"{page}: no reason: {block.word}"
        )
    names = [block.word for block in found if block.mark == "test"]
    assert len(names) == len(set(names))
    if page == WALKED:
        assert {block.language for block in found} == {"python"}
        return
    users = [module for module in TESTS if module.startswith("test_") and page in knows(module)]
    for name in names:
        assert any(name in in_calls(module) for module in users), (
            f"{page}: no test runs the block {name}"
        )


@pytest.mark.parametrize("page", PAGES)
def test_every_bash_block_is_bash(page):
    for block in blocks(page):
        if block.language == "bash":
            done = run_program(["bash", "-n", "-c", block.text])
            assert not done.returncode, done.stderr
