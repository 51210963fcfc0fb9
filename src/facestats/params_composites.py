"""The section `composites` of `params.yaml`: who is in each, and how it is drawn."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from facestats.params_types import Range, Section, ordered
from facestats.params_zeroshot import Attribute

Decile = Annotated[int, Field(ge=1, le=10)]
DecileRange = Annotated[list[Decile], Field(min_length=2, max_length=2), AfterValidator(ordered)]


class Filter(Section):
    gender: str | list[str] | None = None
    ethnicity: str | list[str] | None = None
    age_range: Range | None = None
    attributes: dict[Attribute, str | list[str]] | None = None
    cluster: int | list[int] | None = None
    attractiveness: DecileRange | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    min_results: Annotated[int, Field(ge=1)] = 10
    on_few: Literal["skip", "error"] = "skip"
    relax: list[Literal["gender", "ethnicity", "age_range", "attributes", "cluster", "attractiveness"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self):
        if self.n is not None and self.n < self.min_results:
            raise ValueError(f"n={self.n} faces can never reach min_results={self.min_results}")
        return self


class Render(Section):
    align: Literal["none", "eyes", "warp"] = "warp"
    space: Literal["linear", "gamma"] = "linear"
    symmetric: bool = False
    max_yaw: Annotated[float, Field(gt=0, le=90)] = 25


class Composite(Section):
    filter: Filter
    render: Render
