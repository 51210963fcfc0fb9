"""The section `zeroshot` of `params.yaml`: attribute to class to wordings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from facestats.core.ranges import range_middles

# What the label files and tables call something else.
NO_TARGETS = ("image", "filename", "person", "rating", "rating_n", "rating_sd")
COLUMN_PARTS = (
    "_prob_",
    "_said",
    "_final",
    "_source",
)  # of the columns that the tables have for an attribute
# DVC's run cache leaves these keys out of the hash of a group of parameters: a change below them would go unnoticed.
HIDDEN_FROM_DVC = ("size", "nfiles")


def _plain(name: Any) -> Any:
    """A name that can be a folder's and a stage's; what is no text at all pydantic tells."""
    bad = re.search(r"^[^A-Za-z]|[^A-Za-z0-9_-]", name) if isinstance(name, str) else None
    if bad:
        raise ValueError(
            f"a name can't hold {bad[0]!r}{' at its beginning' * (not bad.start())}; its pattern is letters A to Z, digits, - and _, "
            "a letter first"
        )
    return name


PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=PATTERN), BeforeValidator(_plain)]
FolderName = Annotated[
    str, Field(pattern=PATTERN, max_length=60), BeforeValidator(_plain)
]  # also what pictures have room for


def check_ranges(zeroshot: dict[str, dict[str, list[str]]], kinds: dict[str, str]) -> list[str]:
    """What is wrong with the classes of attributes that hold numbers: `age`, and targets of the kind `regression`."""
    problems = []
    for name, classes in zeroshot.items():
        if name == "age" or kinds.get(name) == "regression":
            try:
                range_middles(list(classes))
            except ValueError as error:
                problems.append(f"zeroshot.{name} holds numbers, but {error}")
    return problems


def _name(key: Any) -> Any:
    """A name of an attribute or a class, before pydantic finds that YAML has made something else than text of it."""
    if not isinstance(key, str):
        raise ValueError(
            f"the name {key!r} is no text, for YAML reads words like yes and no, and numbers, as something "
            'else: put it in quotes ("yes") or choose another word'
        )
    if key in HIDDEN_FROM_DVC:
        raise ValueError("keys called so are overlooked by DVC's run cache; choose another name")
    if key == "unknown" or not key or key != key.strip():
        raise ValueError("nothing can be called so; choose another name")
    taken = [part for part in COLUMN_PARTS if part in key]
    if taken:
        raise ValueError(
            f"names with {taken[0]!r} are those of the tables' columns; choose another name"
        )
    return key


def _free(name: str) -> str:
    if name in NO_TARGETS:
        raise ValueError("it is what the label files call something else; choose another name")
    return name


def _prompt(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("an empty prompt says nothing; write one or remove it")
    return prompt


def _distinct(classes: dict[str, list[str]]) -> dict[str, list[str]]:
    if len(classes) < 2:
        raise ValueError(
            f"two classes or more are needed to choose between, found {', '.join(classes) or 'none'}"
        )
    said: dict[str, str] = {}
    for name, prompts in classes.items():
        for prompt in prompts:
            words = " ".join(prompt.lower().split())
            if words in said:
                raise ValueError(
                    f"{prompt!r} stands twice (in {said[words]} and in {name}), so it tells nothing apart"
                )
            said[words] = name
    return classes


Prompts = Annotated[list[Annotated[str, AfterValidator(_prompt)]], Field(min_length=1)]
Class = Annotated[str, BeforeValidator(_name)]
Classes = Annotated[dict[Class, Prompts], AfterValidator(_distinct)]
Attribute = Annotated[Name, BeforeValidator(_name)]
# null, as in `-S zeroshot=null`, switches it off: DVC merges an empty dict with what is there.
Zeroshot = Annotated[
    dict[Annotated[Attribute, AfterValidator(_free)], Classes],
    BeforeValidator(lambda given: {} if given is None else given),
]
