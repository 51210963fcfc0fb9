"""What is done to a face, as options: the section `stimuli` of `params.yaml`, and the library's.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from facestats.errors import suggestion
from facestats.groups.params import Filter
from facestats.params.names import Name
from facestats.params.types import Section

MOST = 2.0  # differences; further, faces fall apart


def _within(amount: float) -> float:
    if abs(amount) > MOST:
        raise ValueError(f"it goes from {-MOST:g} to {MOST:g}; 1 is the whole difference")
    return amount


Amount = Annotated[float, AfterValidator(_within)]


SCORE = "score"  # as `along`


class How(Section):
    along: Name | None = None
    """difference along which faces are moved | score: what the geometric score prefers"""
    orthogonal: list[Name] = Field(default_factory=list, examples=[["gender", "age"]])
    """attributes that stay constant on the way, with along: score"""
    shape: Amount = 0.0
    """share of the difference in shape, -2 to 2; below 0 leads the other way"""
    colour: Amount = 0.0
    """share of the difference in colour, -2 to 2"""
    texture: Amount = 0.0
    """power of the ratio of detail, -2 to 2; both composites need render.texture"""
    symmetric: Literal["shape", "colour", "both"] | None = None
    """what is made symmetric: shape | colour | both"""
    amount: Amount = 1.0
    """how far: 1 is wholly symmetric; below 0, less symmetric than the face is"""
    caricature: Amount | None = None
    """share by which differences from the composite `mean` are exaggerated; below 0, reduced"""
    mean: Name | None = None
    """composite that `caricature` leads away from"""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [
            way for way in ("along", "symmetric", "caricature") if getattr(self, way) is not None
        ]
        if len(ways) != 1:
            found = f"found {' and '.join(ways)}" if ways else "none is given"
            raise ValueError(f"exactly one of along, symmetric and caricature; {found}")
        if self.along and not (self.shape or self.colour or self.texture):
            raise ValueError("shape, colour and texture are all 0: nothing would change")
        if self.orthogonal and self.along != SCORE:
            raise ValueError(f"orthogonal needs along: {SCORE}")
        if self.along == SCORE and self.texture:
            raise ValueError("the geometric score knows no texture; leave it out")
        if (self.caricature is None) != (self.mean is None):
            raise ValueError("caricature and mean go together: how far, and away from what")
        return self


class Stimuli(How):
    filter: Filter = Field(default_factory=Filter, examples=[{"gender": "female", "n": 20}])
    """whose faces: every condition must hold"""
    images: list[str] | None = None
    """these photos, by their paths below data.images, whatever the filter | null: by the filter"""
    originals: bool = False
    """true: the photos at their own size | false: the face crops"""


def check_stimuli(
    stimuli: dict[str, Stimuli], composites: Iterable[str], differences: Iterable[str]
) -> list[str]:
    """Find differences and composites that do not exist.

    Parameters
    ----------
    stimuli : dict
        The section of `params.yaml`.
    composites, differences : iterable of str
        The names that there are.

    Returns
    -------
    list of str
    """
    problems = []
    for name, one in stimuli.items():
        for key, kind, known in (
            ("along", "difference", sorted(differences)),
            ("mean", "composite", sorted(composites)),
        ):
            end = getattr(one, key)
            if end is not None and end not in known and (key, end) != ("along", SCORE):
                hint = suggestion(end, known)
                problems.append(
                    f"stimuli.{name}.{key} = {end!r} is no {kind}.{hint} There are "
                    f"{', '.join(known) or 'none'}"
                )
    return problems
