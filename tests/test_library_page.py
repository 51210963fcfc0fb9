"""docs/library.md: every example gives what the page says, and every name, signature and error is on it."""

import ast
import contextlib
import inspect
import io
import re
import shutil

import pytest

import facestats
from facestats import errors
from facestats.serving.models import Models
from resources import ROOT

PAGE = (ROOT / "docs/library.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^<!-- test: (.+?) -->\n```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(built, tmp_path, monkeypatch):
    """A project folder with photos of one's own: models and tables are the built project's, and what examples write stays here."""
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
    """What an expression gives, as the page would show it: its repr, or the error that it raises."""
    try:
        return repr(eval(compile(ast.Expression(node.value), "library.md", "eval"), names))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def mistakes(source: str, names: dict) -> list[str]:
    """Run an example; where a line gives something else than its comment says, the line and both."""
    lines, found = source.splitlines(), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), "library.md", "exec"), names)
            continue
        shown, gave = comment(lines, node), outcome(node, names)
        as_shown = ".*?".join(map(re.escape, shown.split("…")))
        if shown and not re.fullmatch(as_shown, gave, flags=re.DOTALL):
            found.append(f"{lines[node.lineno - 1]}\n  the page: {shown}\n  gave:     {gave}")
        if not shown and re.match(r"\w+Error: ", gave):
            found.append(f"{lines[node.lineno - 1]}\n  gave:     {gave}")
    return found


@pytest.mark.slow
def test_every_example_gives_what_the_page_says(folder):
    names, warned = {}, re.search(r"The last one warns: `(.+?)`", PAGE)[1]
    with (
        pytest.warns(UserWarning, match=f"^{warned}$"),
        contextlib.redirect_stderr(io.StringIO()),
    ):  # what the service logs
        found = [
            mistake for _, source in BLOCK.findall(PAGE) for mistake in mistakes(source, names)
        ]
    assert found == [], "\n" + "\n".join(found)


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


def section(name: str) -> str:
    found = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"## {name} is {len(found)} times on the page"
    return found[0]


@pytest.mark.parametrize("name", facestats.__all__)
def test_every_name_has_its_signature_parameters_errors_and_an_example(name):
    function, text = getattr(facestats, name), section(name)
    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(function).parameters.values()
    ]
    signature = f"{name}{inspect.Signature(plain)}"
    assert text.lstrip().startswith(f"`{signature}`\n"), (
        f"the section {name} should begin with `{signature}`"
    )
    for parameter in plain:
        if parameter.name not in ("image", "root"):  # `image` has a section of its own
            assert re.search(rf"`{parameter.name}[`=]", text.partition("\n\n")[2]), parameter.name
    assert f"{name}(" in "".join(source for _, source in BLOCK.findall(text))
    assert "Error" in text
    assert f"[`{name}`](#{name})" in PAGE


def test_every_method_of_the_models_is_named():
    text = section("load")
    methods = [
        name
        for name, value in vars(Models).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    assert len(methods) == 12
    for name in methods:
        own = inspect.signature(getattr(Models, name)).parameters.values()
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in own if p.name != "self"]
        assert f"`.{name}{inspect.Signature(plain)}`" in text, name


def test_every_error_is_named():
    text = section("Errors and warnings")
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
def test_the_keys_of_answers_are_on_the_page(folder):
    scores, text = facestats.score_image("photo.jpg"), section("score_image")
    assert [key for key in scores if f"| `{key}` |" not in text] == []
    facts = facestats.make_composite(["photo.jpg"]).info["facestats"]
    internal = {
        "built",
        "why",
        "relaxed",
    }  # of the JSON file; here a composite that is not built is an error
    assert [
        key for key in {*facts, "scores"} - internal if f"`{key}`" not in section("make_composite")
    ] == []


def test_links_lead_somewhere():
    for path, anchor in re.findall(r"\]\(([\w.]*)#?([\w-]*)\)", PAGE):
        text = (ROOT / "docs" / path).read_text(encoding="utf-8") if path else PAGE
        headings = [
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        ]
        assert not anchor or anchor in headings, f"{path}#{anchor}"
