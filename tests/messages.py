"""Every message that a user can meet, read out of the source: errors, warnings, problems, and reasons why something is missing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from resources import ROOT

# What makes a message: errors and functions that build them, …
ERRORS = {
    "FaceStatsError",
    "ParamsError",
    "InputError",
    "LabelError",
    "TableError",
    "ModelError",
    "ImageError",
    "ValueError",
    "DamagedSegmentError",
    "NoFaceError",
}
WARNINGS = {"warn", "_warn", "warn_once"}
PRINTED = ("warning: ", "problem: ")  # how a message begins that `print` says
# … names that hold what is wrong, as variable, argument, key or list that is added to, …
REASONS = {
    "why",
    "reason",
    "untrained",
    "problem",
    "problems",
    "mistakes",
    "warnings",
    "unknown",
    "hints",
    "message",
    "messages",
    "said",
    "found",
    "too_long",
}
CONSTANTS = ("NO_", "TOO_", "LEFT_")
# … and what a function gives back that finds problems (by its annotation) or is known to explain one.
FINDS = re.compile(r"\b(list\[str\]|str \| None|Iterator\[str\])")
EXPLAINS = {
    "why_not_built",
    "_explain",
    "say_of_hub",
    "_hint",
    "_too_many",
    "_unreadable",
    "too_few",
}
# Texts of pages and pictures, and what commands say that went well.
NOT_READ = (
    "report/",
    "table_texts.py",
    "data/sample/",
    "geometry/definitions.py",
    "commands/results.py",
)


class Message(NamedTuple):
    where: str
    text: str  # with `…` for what is filled in


def find_messages() -> list[Message]:
    """Each message of the package and the stages once."""
    found: dict[Message, None] = {}
    for path in sorted([*(ROOT / "src/facestats").rglob("*.py"), *(ROOT / "stages").glob("*.py")]):
        place = path.relative_to(ROOT).as_posix().removeprefix("src/facestats/")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for source in (
                _raised(node) if place.startswith(NOT_READ) else (*_raised(node), *_said(node))
            ):
                found |= dict.fromkeys(
                    Message(f"{place}:{source.lineno}", text) for text in texts(source)
                )
    return list(found)


def _raised(node: ast.AST) -> list[ast.AST]:
    return node.args if isinstance(node, ast.Call) and _name(node.func) in ERRORS | WARNINGS else []


def _said(node: ast.AST) -> Iterator[ast.AST]:
    """Expressions that hold messages without being raised."""
    if isinstance(node, ast.Call):
        if (
            _name(node.func) == "print"
            and node.args
            and next(texts(node.args[0]), "").startswith(PRINTED)
        ):
            yield node.args[0]
        if _name(node.func) in ("append", "extend") and _name(node.func.value) in REASONS:
            yield from node.args
        yield from (given.value for given in node.keywords if given.arg in REASONS)
    elif isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(
            _name(target) in REASONS or _name(target).startswith(CONSTANTS) for target in targets
        ):
            yield node.value
    elif isinstance(node, ast.Dict):
        yield from (
            value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and key.value in REASONS
        )
    elif isinstance(node, ast.FunctionDef) and (
        node.name in EXPLAINS or (node.returns and FINDS.search(ast.unparse(node.returns)))
    ):
        yield from (
            inner.value
            for inner in ast.walk(node)
            if isinstance(inner, (ast.Return, ast.Yield)) and inner.value is not None
        )


def _name(node: ast.AST) -> str:
    """Of a variable or attribute, or of the key of `report["why"]`."""
    if isinstance(node, ast.Subscript):
        return str(getattr(node.slice, "value", ""))
    return getattr(node, "id", getattr(node, "attr", ""))


def texts(node: ast.AST) -> Iterator[str]:
    """The strings of an expression that hold two words or more; parts of a longer string are that string."""
    text = _template(node)
    if text is None:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)
    elif sum(any(map(str.isalpha, word)) for word in text.replace("…", " ").split()) > 1:
        yield text


def strings(path: Path) -> Iterator[str]:
    """Every string of a module, messages or not."""
    yield from filter(None, map(_template, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))


def _template(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else _filled(part.value)
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [_template(node.left), _template(node.right)]
        return None if sides == [None, None] else "".join(side or "…" for side in sides)
    return None


def _filled(node: ast.AST) -> str:
    """What stands for a value: of `number_of(n, "face")`, its plural."""
    return (
        f"… {node.args[1].value}s"
        if isinstance(node, ast.Call) and _name(node.func) == "number_of"
        else "…"
    )
