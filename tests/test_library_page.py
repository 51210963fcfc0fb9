"""docs/library.md and docs/api.md: examples give what the page shows, and every name and error has
its place.
"""

import ast
import contextlib
import inspect
import io
import re
import shutil

import pytest

import facestats
from facestats import errors
from resources import ROOT

PAGE = (ROOT / "docs/library.md").read_text(encoding="utf-8")
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^<!-- test: (.+?) -->\n```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(built, tmp_path, monkeypatch):
    """A project folder with photos of one's own: models and tables are the built project's, and
    what examples write stays here.
    """
    for name in ("data", "models"):
        (tmp_path / name).symlink_to(built.folder / name)
    raw = built.folder / "data/raw"
    for name, source in {
        "photo": "face_0001",
        "landscape": "bad/no_face",
        "damaged": "bad/truncated",
    }.items():
        shutil.copyfile(raw / f"{source}.jpg", tmp_path / f"{name}.jpg")
    (tmp_path / "photos").mkdir()
    for name in ("face_0003.jpg", "face_0004.jpg", "face_0005.jpg"):
        shutil.copyfile(raw / name, tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)


def comment(lines: list[str], node: ast.stmt) -> str:
    """What stands behind a statement, and in the comment lines below it."""
    behind = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip()
    below = lines[node.end_lineno :]
    count = next((i for i, line in enumerate(below) if not line.startswith("#")), len(below))
    return " ".join(part.lstrip("# ") for part in [behind, *below[:count]] if part)


def outcome(node: ast.Expr, names: dict) -> str:
    """What an expression gives, as the page would show it: its repr, or the error that it
    raises.
    """
    try:
        return repr(eval(compile(ast.Expression(node.value), "library.md", "eval"), names))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def mistakes(source: str, names: dict) -> list[str]:
    """Run an example.

    Where a line gives something else than its comment says, the line and both.
    """
    lines, wrong = source.splitlines(), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), "library.md", "exec"), names)
            continue
        shown, gave = comment(lines, node), outcome(node, names)
        as_shown = ".*?".join(map(re.escape, shown.split("…")))
        if shown and not re.fullmatch(as_shown, gave, flags=re.DOTALL):
            wrong.append(f"{lines[node.lineno - 1]}\n  the page: {shown}\n  gave:     {gave}")
        if not shown and re.match(r"\w+Error: ", gave):
            wrong.append(f"{lines[node.lineno - 1]}\n  gave:     {gave}")
    return wrong


@pytest.mark.slow
def test_every_example_gives_what_the_page_says(folder):
    names, warned = {}, re.search(r"The last one warns: `(.+?)`", PAGE)[1]
    with (
        pytest.warns(UserWarning, match=f"^{warned}$"),
        contextlib.redirect_stderr(io.StringIO()),
    ):  # what the service logs
        wrong = [
            mistake for _, source in BLOCK.findall(PAGE) for mistake in mistakes(source, names)
        ]
    assert wrong == [], "\n" + "\n".join(wrong)


def test_an_example_that_says_something_wrong_is_found():
    assert (
        mistakes(
            "x = 3\nx + 1     # 4\n'a', x\n# ('a', …)\nint('a')  # ValueError: invalid …\nx  # …\n",
            {},
        )
        == []
    )
    assert (
        len(mistakes("1 + 1     # 3\nint('a')\nint('a')  # 5\n2\n# 3\n{'a': 1}  # {'b': …}\n", {}))
        == 5
    )


def test_every_block_of_python_is_run():
    assert len(BLOCK.findall(PAGE)) == PAGE.count("```python") > 15
    names = [name for name, _ in BLOCK.findall(PAGE)]
    assert len({*names}) == len(names)


def section(page: str, name: str) -> str:
    pattern = rf"^## {name}\n(.*?)(?=^## |\Z)"
    sections = re.findall(pattern, page, flags=re.MULTILINE | re.DOTALL)
    assert len(sections) == 1, f"## {name} is {len(sections)} times on the page"
    return sections[0]


FUNCTIONS = [name for name in facestats.__all__ if inspect.isfunction(getattr(facestats, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_example_and_a_reference(name):
    text = section(API, name)
    parameters = inspect.signature(getattr(facestats, name)).parameters
    assert text.lstrip().startswith(f"`{name}(")
    for parameter in parameters:
        if parameter != "image":  # library.md has a section on images
            assert re.search(rf"`{parameter}`", text), parameter
    assert "Error: " in text
    assert f"{name}(" in "".join(source for _, source in BLOCK.findall(PAGE))


def test_every_error_is_named():
    text = section(PAGE, "Errors and warnings")
    kinds = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    ]
    assert [
        name
        for name in kinds
        if f"`{name}`" not in text and f"`facestats.errors.{name}`" not in text
    ] == []


@pytest.mark.slow
def test_the_keys_of_answers_are_in_the_reference(folder):
    scores, text = facestats.score_image("photo.jpg"), section(API, "Score")
    assert [key for key in scores if f"`{key}`" not in text] == []
    facts = facestats.make_composite(["photo.jpg"]).info["facestats"]
    internal = {"built", "why", "relaxed"}  # an unbuilt composite is an error here
    text = section(API, "CompositeFacts")
    assert [key for key in {*facts, "scores"} - internal if f"`{key}`" not in text] == []
