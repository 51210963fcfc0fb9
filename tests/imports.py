"""The imports of this project, read out of its source: which modules a script reaches."""

import ast
from functools import cache
from pathlib import Path

from resources import ROOT

PACKAGE = ROOT / "src/facestats"


def name_of(path: Path) -> str:
    """Name of a module below `facestats`, such as `core.files`.

    That of a package is its folder's.
    """
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """The modules of `facestats` that a file imports, at its top or within a function.

    Those for type checkers alone are none.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole.removeprefix("facestats.") in MODULES else node.module)
    own = {name.removeprefix("facestats.") for name in names if name.startswith("facestats.")}
    return own & set(MODULES)


@cache
def graph() -> dict[str, set[str]]:
    """What each module imports."""
    return {name: imported(path) - {name} for name, path in MODULES.items()}


def closure(start: set[str], stop=lambda name: False) -> set[str]:
    """All modules that these reach, without those where `stop` says so and what only they reach."""
    reached, left = set(), set(start)
    while left:
        name = left.pop()
        if name in reached or stop(name):
            continue
        reached.add(name)
        left |= graph()[name]
    return reached
