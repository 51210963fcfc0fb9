"""Estimators as trees of nodes, the sizes of their arrays, and their form in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from facestats.errors import MisfitError

MOST_PARTS = 100


@dataclass
class Node:
    """An estimator, or one step of it.

    Attributes
    ----------
    kind : str
        Key of `kinds.KINDS`.
    facts, arrays : dict
        As the kind requires.
    parts : list of Node
        Estimators inside it.
    """

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    parts: list[Node] = field(default_factory=list)


class Sizes(dict):
    """Sizes of one estimator, by letter."""

    def check(self, name: str, array: np.ndarray, shape: str) -> None:
        """Compare an array with its shape; a new letter takes the size that it meets."""
        letters = shape.split()
        if array.ndim != len(letters):
            raise MisfitError(
                f"{name} has the shape {list(array.shape)}, expected {len(letters)} dimensions"
            )
        for letter, size in zip(letters, array.shape, strict=True):
            if self.setdefault(letter, size) != size:
                raise MisfitError(
                    f"{name} has the shape {list(array.shape)}, but {self[letter]} stands where "
                    f"{size} is"
                )


class Kind(NamedTuple):
    """How estimators of one kind are checked and built.

    Attributes
    ----------
    facts : mapping
        By name, a check that raises MisfitError.
    arrays : callable
        Shapes by name, from the facts; names that begin with `*` are of whole numbers.
    build : callable
        Scikit-learn's estimator from the node, the classes (empty for a regression) and the sizes.
    check : callable
        Further checks of the arrays.
    out : str, optional
        Letter of a transformer's output size; None for an estimator that ends a pipeline.
    parts : bool
        Whether it has estimators inside.
    """

    facts: Mapping[str, Callable[[Any], Any]]
    arrays: Callable[[Mapping[str, Any]], Mapping[str, str]]
    build: Callable[[Node, np.ndarray, Sizes], BaseEstimator]
    check: Callable[[Node, Sizes], None] = lambda node, sizes: None
    out: str | None = None
    parts: bool = False


def one_of(*known: str) -> Callable[[Any], None]:
    """A check of a fact: one of these words."""

    def check(value: Any) -> None:
        if value not in known:
            raise MisfitError(f"{value!r:.40} is none of {', '.join(known)}")

    return check


def whole(least: int, most: int) -> Callable[[Any], None]:
    """A check of a fact: a whole number within these ends."""

    def check(value: Any) -> None:
        if type(value) is not int or not least <= value <= most:
            raise MisfitError(f"{value!r:.40} is no whole number from {least} to {most}")

    return check


def number(value: Any) -> None:
    """Check a fact: a finite number."""
    if type(value) not in (int, float) or not abs(value) < 1e300:
        raise MisfitError(f"{value!r:.40} is no finite number")


def flag(value: Any) -> None:
    """Check a fact: true or false."""
    if type(value) is not bool:
        raise MisfitError(f"{value!r:.40} is neither true nor false")


def to_file(node: Node, place: str = "") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Turn a node into facts for JSON, and its arrays by name."""
    content: dict[str, Any] = {"kind": node.kind, "facts": node.facts, "parts": []}
    arrays = {f"{place}{name}": array for name, array in node.arrays.items()}
    for number, part in enumerate(node.parts):
        inner, more = to_file(part, f"{place}{number}/")
        content["parts"].append(inner)
        arrays |= more
    return content, arrays


def from_file(content: Any, arrays: Mapping[str, np.ndarray], place: str = "") -> Node:
    """Undo `to_file`; raises `MisfitError` where the facts describe no node."""
    if (
        not isinstance(content, dict)
        or set(content) != {"kind", "facts", "parts"}
        or not isinstance(content["facts"], dict)
        or not isinstance(content["parts"], list)
        or not isinstance(content["kind"], str)
        or len(content["parts"]) > MOST_PARTS
    ):
        raise MisfitError("an estimator is a kind, facts and parts")
    inside = [f"{place}{number}/" for number in range(len(content["parts"]))]
    own = {
        name.removeprefix(place): array
        for name, array in arrays.items()
        if name.startswith(place) and not name.startswith(tuple(inside))
    }
    return Node(
        content["kind"],
        content["facts"],
        own,
        [
            from_file(part, arrays, start)
            for part, start in zip(content["parts"], inside, strict=True)
        ],
    )
