"""The sections `composites`, `continua` and `differences` of `params.yaml`: who is in each, how it is drawn, what is compared."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from facestats.params.types import Range, Section, ordered
from facestats.params.zeroshot import Attribute, Name

Decile = Annotated[int, Field(ge=1, le=10)]
DecileRange = Annotated[list[Decile], Field(min_length=2, max_length=2), AfterValidator(ordered)]


class Filter(Section):
    gender: str | list[str] | None = None
    """class or classes of `gender_final`"""
    ethnicity: str | list[str] | None = None
    """class or classes of `ethnicity_final`"""
    age_range: Range | None = None
    """ages from the first to the second, both counted"""
    attributes: dict[Attribute, str | list[str]] | None = None
    """further attributes, each with its class or classes: {glasses: with}"""
    cluster: int | list[int] | None = None
    """number or numbers of clusters; 0 is the largest"""
    attractiveness: DecileRange | None = None
    """deciles of the holistic score, 1-10, from the first to the second, both counted"""
    flags: Literal["leave_out", "keep"] = "leave_out"
    """leave_out: no face whose picture is doubtful (dark, blurred, half hidden, …: docs/doubts.md) | keep: these too"""
    n: Annotated[int, Field(ge=1)] | None = None
    """faces drawn at random where more match | null: all"""
    seed: Annotated[int, Field(ge=0)] = 0
    """another seed draws other faces"""
    copies: Literal["best", "keep"] = "best"
    """best: of the copies of a picture one, sharp, large and little compressed | keep: all"""
    min_results: Annotated[int, Field(ge=1)] = 10
    """with fewer faces nothing is built"""
    on_few: Literal["skip", "error"] = "skip"
    """skip: too few faces leave the composite unbuilt, with a warning | error: they stop the run"""
    relax: list[
        Literal["gender", "ethnicity", "age_range", "attributes", "cluster", "attractiveness"]
    ] = Field(default_factory=list, examples=[[]])
    """conditions that may be widened or dropped, in this order, until min_results faces match"""

    @model_validator(mode="after")
    def _possible(self):
        if self.n is not None and self.n < self.min_results:
            raise ValueError(f"n={self.n} faces can never reach min_results={self.min_results}")
        return self


class Render(Section):
    align: Literal["none", "eyes", "warp"] = "warp"
    """warp: every triangle of a face to the mean shape | eyes: eyes upon eyes | none: plain mean"""
    space: Literal["linear", "gamma"] = "linear"
    """what is averaged: linear (light) | gamma (the codes of the file)"""
    symmetric: bool = False
    """true: with the mirror image of every face"""
    max_yaw: Annotated[float, Field(gt=0, le=90)] = 25.0
    """degrees; `warp` leaves out faces turned further to a side, for their triangles fold over"""


class Composite(Section):
    filter: Filter
    """who is in it: every condition must hold"""
    render: Render
    """how it is drawn"""


class Continuum(Section):
    from_: Annotated[Name, Field(alias="from")]
    """composite at the beginning"""
    to: Name
    """composite at the end"""
    steps: Annotated[int, Field(ge=2, le=25)] = 7
    """pictures with both ends, 2-25"""

    @model_validator(mode="after")
    def _two(self):
        return _apart(self, self.from_, self.to)


class Difference(Section):
    of: Name
    """composite that is looked at"""
    minus: Name
    """composite that it is compared with"""

    @model_validator(mode="after")
    def _two(self):
        return _apart(self, self.of, self.minus)


def _apart(section: Section, one: str, other: str) -> Section:
    if one == other:
        raise ValueError(f"both are {one}; two different composites are needed")
    return section


def check_pairs(
    composites: dict[str, Composite],
    continua: dict[str, Continuum],
    differences: dict[str, Difference],
) -> list[str]:
    """What is wrong between the sections: composites that there are not, and names used twice (they are folders side by side)."""
    problems = []
    ends = {
        **{
            f"continua.{name}.{key}": end
            for name, pair in continua.items()
            for key, end in (("from", pair.from_), ("to", pair.to))
        },
        **{
            f"differences.{name}.{key}": getattr(pair, key)
            for name, pair in differences.items()
            for key in ("of", "minus")
        },
    }
    for key, end in ends.items():
        if end not in composites:
            near = difflib.get_close_matches(end, composites, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            problems.append(
                f"{key} = {end!r} is no composite.{hint} There are {', '.join(sorted(composites)) or 'none'}"
            )
    sections = {"composites": composites, "continua": continua, "differences": differences}
    folders: dict[str, list[str]] = {}
    for section, names in sections.items():
        for name in names:
            folders.setdefault(name.lower(), []).append(
                f"{section}.{name}"
            )  # Windows and macOS don't tell Women from women
    for _, where in sorted(folders.items()):
        if len(where) > 1:
            problems.append(
                f"{' and '.join(where)} would share one folder; give them different names"
            )
    return problems
