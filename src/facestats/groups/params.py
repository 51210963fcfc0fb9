"""What `params.yaml` says of who is in a composite: `composites.<name>.filter`."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from facestats.params.names import Attribute
from facestats.params.types import Range, Section, ordered

Decile = Annotated[int, Field(ge=1, le=10)]
DecileRange = Annotated[list[Decile], Field(min_length=2, max_length=2), AfterValidator(ordered)]

Flags = Literal["leave_out", "keep"]  # of faces whose picture is doubtful
LEAVE_OUT, KEEP = get_args(Flags)
Copies = Literal["best", "keep"]  # of one picture
COPIES = get_args(Copies)


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
    flags: Flags = "leave_out"
    """leave_out: no face whose picture is doubtful (docs/doubts.md) | keep: these too"""
    n: Annotated[int, Field(ge=1)] | None = None
    """faces drawn at random where more match | null: all"""
    seed: Annotated[int, Field(ge=0)] = 0
    """another seed draws other faces"""
    copies: Copies = "best"
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
