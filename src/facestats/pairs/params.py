"""The sections `continua` and `differences` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from facestats.composites.params import Composite
from facestats.errors import suggestion
from facestats.params.names import Name
from facestats.params.types import Section


class Continuum(Section):
    """Pictures from one composite to another, in equal steps."""

    from_: Annotated[Name, Field(alias="from")]
    """composite at the beginning"""
    to: Name
    """composite at the end"""
    steps: Annotated[int, Field(ge=2, le=25)] = 7
    """pictures with both ends, 2-25"""

    @model_validator(mode="after")
    def _ends_differ(self) -> Self:
        _check_apart(self.from_, self.to)
        return self


class Difference(Section):
    """What is different in one composite, compared with another."""

    of: Name
    """composite that is looked at"""
    minus: Name
    """composite that it is compared with"""

    @model_validator(mode="after")
    def _ends_differ(self) -> Self:
        _check_apart(self.of, self.minus)
        return self


def _side(composite: Composite, size: int) -> int | None:
    """Pixels of a composite's side; None where its photos decide."""
    return composite.render.side if composite.filter.originals else size


def _check_apart(one: str, other: str) -> None:
    if one == other:
        raise ValueError(f"both are {one}; two different composites are needed")


def check_pairs(
    composites: dict[str, Composite],
    continua: dict[str, Continuum],
    differences: dict[str, Difference],
    size: int,
) -> list[str]:
    """Find what is wrong between the sections.

    Parameters
    ----------
    composites, continua, differences : dict
        The sections of `params.yaml`.
    size : int
        `preprocess.size`.

    Returns
    -------
    list of str
        Composites that do not exist or differ in size, and names used twice (they are folders side
        by side).
    """
    problems = []
    ends: dict[str, str] = {}
    for name, continuum in continua.items():
        ends[f"continua.{name}.from"] = continuum.from_
        ends[f"continua.{name}.to"] = continuum.to
    for name, difference in differences.items():
        ends[f"differences.{name}.of"] = difference.of
        ends[f"differences.{name}.minus"] = difference.minus
    for key, end in ends.items():
        if end not in composites:
            hint = suggestion(end, composites)
            names = ", ".join(sorted(composites)) or "none"
            problems.append(f"{key} = {end!r} is no composite.{hint} There are {names}")
    pairs = {f"continua.{name}": (pair.from_, pair.to) for name, pair in continua.items()}
    pairs |= {f"differences.{name}": (pair.of, pair.minus) for name, pair in differences.items()}
    for key, both in pairs.items():
        if not set(both) <= set(composites):
            continue
        sides = [_side(composites[end], size) for end in both]
        if None in sides or sides[0] != sides[1]:
            sizes = [
                f"{end} ({f'{side} px' if side else 'as large as its photos'})"
                for end, side in zip(both, sides, strict=True)
            ]
            problems.append(
                f"{key} sets {' against '.join(sizes)}; both need one size, such as "
                f"filter.originals: true and render.side: 1000"
            )
    sections = {"composites": composites, "continua": continua, "differences": differences}
    folders: dict[str, list[str]] = {}
    for section, names in sections.items():
        for name in names:
            # Windows and macOS don't tell Women from women.
            folders.setdefault(name.lower(), []).append(f"{section}.{name}")
    for _, where in sorted(folders.items()):
        if len(where) > 1:
            problems.append(
                f"{' and '.join(where)} would share one folder; give them different names"
            )
    return problems
