"""What `params.yaml` says of who is in a composite: `composites.<name>.filter`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from facestats.errors import nearest_names, suggestion
from facestats.groups.bounds import check_bounds, is_bounds
from facestats.params.names import HIDDEN_FROM_DVC, Attribute
from facestats.params.types import Range, Section, Seed, ordered

Decile = Annotated[int, Field(ge=1, le=10)]
DecileRange = Annotated[list[Decile], Field(min_length=2, max_length=2), AfterValidator(ordered)]

MAIN = "attractiveness"  # the main score's name in a filter, whatever its trait is called


def _column(name: Any) -> Any:
    """A name of a column; pydantic reports what is not text."""
    if name in HIDDEN_FROM_DVC:
        raise ValueError("DVC's run cache overlooks keys of this name; give the column another one")
    return name


def _condition(value: Any) -> Any:
    """Two ends, or a class or several; pydantic reports the rest."""
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        return check_bounds(value)
    return check_bounds(value) if is_bounds(value) else value


ColumnName = Annotated[str, Field(min_length=1), BeforeValidator(_column)]
Bounds = Annotated[list[float | str], BeforeValidator(check_bounds)]

Flags = Literal["leave_out", "keep"]  # of faces whose picture is doubtful
LEAVE_OUT, KEEP = get_args(Flags)
Copies = Literal["best", "keep"]  # of one picture
COPIES = get_args(Copies)


MISSPELT = 0.75  # likeness to a key from which a column's name is taken for that key, misspelt


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
    rating: Bounds | None = None
    """mean human ratings from the first to the second, or quantiles: [q0.8, q1]"""
    columns: (
        dict[ColumnName, Annotated[str | list[float | str], BeforeValidator(_condition)]] | None
    ) = None
    """further columns of attributes_final.parquet, each with its range, quantiles, class or
    classes; a range may also stand beside the other conditions: {nose_width: [q0.8, q1]}"""
    score: dict[ColumnName, DecileRange] | None = None
    """deciles of the holistic score by trait: {trustworthy: [8, 10]}"""
    attractiveness: DecileRange | None = None
    """deciles of the holistic score, 1-10, from the first to the second, both counted"""
    flags: Flags = "leave_out"
    """leave_out: no face whose picture is doubtful (docs/doubts.md) | keep: these too"""
    n: Annotated[int, Field(ge=1)] | None = None
    """faces drawn at random where more match | null: all"""
    seed: Seed = 0
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

    @model_validator(mode="before")
    @classmethod
    def _ranges_of_columns(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("columns") or {}, dict):
            return values
        known = [*cls.model_fields]
        further = {
            name: value
            for name, value in values.items()
            if name not in known
            and isinstance(name, str)
            and is_bounds(value)
            and not nearest_names(name, known, likeness=MISSPELT)
        }
        if not further:
            return values
        kept = {name: value for name, value in values.items() if name not in further}
        return kept | {"columns": further | (values.get("columns") or {})}

    @model_validator(mode="after")
    def _possible(self):
        if self.n is not None and self.n < self.min_results:
            raise ValueError(f"n={self.n} faces can never reach min_results={self.min_results}")
        return self


class MemberFilter(Filter):
    """The filter of a composite."""

    originals: bool = False
    """true: drawn from the photos at their own resolution | false: from the face crops"""

    def used(self) -> dict[str, Any]:
        """What files tell of it: `originals` only where it is set."""
        return self.model_dump(exclude_none=True, exclude=None if self.originals else {"originals"})


def check_scores(filters: Mapping[str, Filter], traits: list[str]) -> list[str]:
    """Name the filters by the score of a trait that is not scored.

    Parameters
    ----------
    filters : mapping of str to Filter
        By the key in `params.yaml`.
    traits : list of str
        `score.traits`.
    """
    known = [MAIN, *traits]
    return [
        f"{key}.score.{trait} = {wanted} is not possible: {trait} is not in score.traits."
        f"{suggestion(trait, known)} There {'is' if len(known) == 1 else 'are'} "
        f"{', '.join(known)}"
        for key, where in filters.items()
        for trait, wanted in (where.score or {}).items()
        if trait not in known
    ]
