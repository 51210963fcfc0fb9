"""The section `zeroshot` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from facestats.core.ranges import range_middles
from facestats.params.names import NO_TARGETS, RESULTS, Attribute, Class


def check_ranges(zeroshot: dict[str, dict[str, list[str]]], kinds: dict[str, str]) -> list[str]:
    """What is wrong with the classes of attributes that hold numbers.

    Those are `age`, and targets of the kind `regression`.
    """
    problems = []
    for name, classes in zeroshot.items():
        if name == "age" or kinds.get(name) == "regression":
            try:
                range_middles(list(classes))
            except ValueError as error:
                problems.append(f"zeroshot.{name} holds numbers, but {error}")
    return problems


def _free(name: str) -> str:
    if name in NO_TARGETS:
        raise ValueError("label files use this name for something else; choose another name")
    if name in RESULTS:
        raise ValueError("a column of the results has this name; choose another one")
    return name


def _prompt(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("a prompt is empty; write one or remove it")
    return prompt


def _distinct(classes: dict[str, list[str]]) -> dict[str, list[str]]:
    if len(classes) < 2:
        raise ValueError(
            "two classes or more are needed to choose between, found "
            f"{', '.join(classes) or 'none'}"
        )
    classes_of: dict[str, str] = {}
    for name, prompts in classes.items():
        for prompt in prompts:
            words = " ".join(prompt.lower().split())
            if words in classes_of:
                raise ValueError(
                    f"{prompt!r} is a prompt of {classes_of[words]} and of {name}, so it can't "
                    "tell them apart"
                )
            classes_of[words] = name
    return classes


Prompts = Annotated[list[Annotated[str, AfterValidator(_prompt)]], Field(min_length=1)]
Classes = Annotated[dict[Class, Prompts], AfterValidator(_distinct)]
# `-S zeroshot=null` switches it off, for DVC merges an empty dict with what is there.
Zeroshot = Annotated[
    dict[Annotated[Attribute, AfterValidator(_free)], Classes],
    BeforeValidator(lambda value: {} if value is None else value),
]
