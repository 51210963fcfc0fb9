"""The page of the Python interface, written from the docstrings: `python docs/reference.py`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import facestats
from facestats.composites.templates import Template
from facestats.serving.models import Models
from facestats.serving.types import Attribute, Attributes, CompositeFacts, Score

HEAD = """# Python interface

Signatures, parameters, results and errors of what `import facestats` offers. This page is written
from the docstrings by `python docs/reference.py`; [library.md](library.md) has examples.
"""
MODELS = """What `facestats.load` returns. `root` is its folder, `serving` the content of
`models/serving.json`.
"""
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
ENTRY = re.compile(r"^\S", re.MULTILINE)
RESULTS = (Score, Attributes, Attribute, CompositeFacts, Template)
LISTS = ("Parameters", "Attributes")  # sections whose entries begin with names


def api_page() -> str:
    """docs/api.md: every name of `facestats`, and the methods of what `facestats.load` returns."""
    functions = [getattr(facestats, name) for name in facestats.__all__]
    parts = [HEAD]
    for function in filter(inspect.isfunction, functions):
        parts += [f"## {function.__name__}\n", *_function(function, function.__name__)]
    for kind in RESULTS:
        parts += [f"## {kind.__name__}\n", *_text(kind)]
    parts += ["## Models\n", MODELS]
    for name, method in methods():
        parts += [f"### {name}\n", *_function(method, f".{name}")]
    return "\n".join(parts)


def methods() -> list[tuple[str, Callable[..., Any]]]:
    """The public methods of the models of a folder, by name."""
    return [
        (name, value)
        for name, value in vars(Models).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]


def signature(function: Callable[..., Any], name: str) -> str:
    """A call with its defaults, without types and without `self`."""
    parameters = inspect.signature(function).parameters.values()
    plain = [one.replace(annotation=one.empty) for one in parameters if one.name != "self"]
    return f"{name}{inspect.Signature(plain)}"


def _function(function: Callable[..., Any], name: str) -> Iterator[str]:
    yield f"`{signature(function, name)}`\n"
    yield from _text(function)


def _text(documented: Any) -> Iterator[str]:
    """The docstring of a function or a class."""
    lead, *sections = SECTION.split(inspect.getdoc(documented) or "")
    yield _paragraphs(lead)
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        yield f"**{title}**\n"
        yield "\n".join(_entry(entry, title) for entry in _entries(text)) + "\n"


def _entries(text: str) -> list[str]:
    """The entries of a section: each begins in the first column."""
    starts = [match.start() for match in ENTRY.finditer(text)]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _entry(text: str, title: str) -> str:
    """`name : type` and the prose below it as an item of a list."""
    first, _, rest = text.partition("\n")
    names, colon, kind = first.partition(" : ")
    prose = _joined(rest)
    if title in LISTS and colon:
        names = ", ".join(f"`{name.strip()}`" for name in names.split(","))
        return f"- {names} ({kind}): {prose}" if prose else f"- {names}: {kind}"
    return f"- {first}: {prose}" if prose else f"- {first}"


def _paragraphs(text: str) -> str:
    return "\n\n".join(map(_joined, text.strip().split("\n\n"))) + "\n"


def _joined(text: str) -> str:
    return " ".join(text.split())
