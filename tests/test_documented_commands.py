"""No command in the documentation, in help texts or in messages is mistyped or out of date."""

import ast
import re
import shutil
from pathlib import Path

import pytest

import warm
from documented import FENCE, PAGES, Block, blocks, read
from documented_commands import (
    SHELL,
    Checker,
    Wrong,
    known_options,
    options_in_comment,
    spans,
    split,
)
from facestats.__main__ import COMMANDS
from facestats.params.project import Params
from facestats.rows.place import PLACE
from facestats.rows.store import NO_REUSE, STRICT
from facestats.run.edits import STARTED
from resources import CACHE, ROOT
from seeds import SEED

PROGRAMS = {"dvc", "python", "make", *SHELL} - {
    "git"
}  # whose options nothing here knows, and whose name begins messages
KEY = re.compile(rf"((?:{'|'.join(Params.model_fields)})\.[\w.]+)(?:: (.+))?")
FILE = re.compile(r"\.(py|csv|xlsx|json|jpg|md|parquet|…)$")
SOURCES = sorted((ROOT / "src/facestats").rglob("*.py"))
VARIABLES = (PLACE, NO_REUSE, STRICT, STARTED, warm.OFF, CACHE, SEED)


@pytest.fixture
def checker(tmp_path):
    return Checker(shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml"))


def is_command(span: str) -> bool:
    """Whether a piece of code in a text is meant to be typed: `labels merge` is, `labels` may be a
    stage.
    """
    first, _, rest = re.sub(r"^([A-Z_]+=\S+ )+", "", span).partition(" ")
    typed = r"-|(merge|template|prune)\b" if first in COMMANDS else r"-|[a-z]+( |$)"
    return first in PROGRAMS or (
        first in ("exp", "queue", *COMMANDS) and re.match(typed, rest) is not None
    )


def check_text(checker: Checker, text: str) -> int:
    """Check what a text names, where arguments may be left out.

    Returns how many commands that were.
    """
    commands = [span for span in spans(text) if is_command(span)]
    for span in commands:
        for words in split(span):
            checker.check(words, incomplete=True)
    for variable in re.findall(r"\bFACESTATS_[A-Z_]+", text):
        assert variable in VARIABLES, f"nothing reads {variable}"
    for span in spans(text):
        if span.startswith("-S "):
            checker.check(["dvc", "exp", "run", *split(span)[0]])
        elif (
            (key := KEY.fullmatch(span))
            and not FILE.search(span)
            and not (ROOT / "src/facestats" / Path(*span.split(".")[:2]))
            .with_suffix(".py")
            .is_file()
        ):
            checker.say_key(key[1], key[2] if "…" not in span and key[2] != "[low, high]" else None)
        elif re.match(r"--?[a-zA-Z]", span):
            option = span.split()[0].split("=")[0]
            assert option in known_options(), f"no program has {option}"
    return len(commands)


def check_block(checker: Checker, block: Block) -> None:
    for variable in re.findall(r"\bFACESTATS_[A-Z_]+", block.text):
        assert variable in VARIABLES, f"nothing reads {variable}"
    for line in block.text.replace("\\\n", " ").splitlines():
        commands = split(line)
        for words in commands:
            checker.check([*words, *options_in_comment(line)] if len(commands) == 1 else words)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_commands_on_a_page_are_ones_that_their_programs_take(page, checker):
    left, position = read(page), 0
    for match, block in zip(
        FENCE.finditer(left), blocks(page), strict=True
    ):  # in the page's order, for one choice may build on another
        check_text(checker, left[position : match.start()])
        position = match.end()
        if block.language == "bash":
            check_block(checker, block)
    check_text(checker, left[position:])


def texts(source: str) -> list[str]:
    """The string literals of a module, with NAME where an f-string has a value."""
    tree = ast.parse(source)
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    joined = [
        "".join(part.value if isinstance(part, ast.Constant) else "NAME" for part in node.values)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
    ]
    return joined + [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside
    ]


@pytest.mark.long
def test_commands_in_messages_and_help_texts_are_ones_that_their_programs_take(checker):
    count = 0
    for path in SOURCES:
        for text in texts(path.read_text(encoding="utf-8")):
            if text.count("`") % 2 == 0 and ("`" in text or "FACESTATS_" in text):
                count += check_text(checker, text)
    assert count > 40


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "`dvc exp shwo`",
        "`dvc exp run -S mlp.hiden=3`",
        "`dvc exp run -S mlp.dropout=7`",
        "`dvc exp run -S mlp.hidden=64,128`",
        "`dvc repro embedd`",
        "`dvc exp run -S composites.nobody.filter.n=3`",
        "`dvc push --everything`",
        "`python -m facestats scores`",
        "`python -m facestats rows --prune`",
        "`labels merge --new-klass a=b`",
        "`doctor --inputs --mended`",
        "`python -m benchmarks.serving --photos DIR`",
        "`python -m benchmarks.speed`",
        "`python docs/refs.py`",
        "`make tset`",
        "`make PYTHONS=3`",
        "`--no-such-option`",
        "`mlp.hiden`",
        "`mlp.dropout: 7`",
        "`FACESTATS_ROW=/x dvc repro`",
    ],
)
def test_a_mistyped_command_is_noticed(checker, text):
    with pytest.raises((Wrong, AssertionError)):
        check_text(checker, text)
