"""The section `composites` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from facestats.groups.params import MemberFilter
from facestats.params.types import Section

FIRST = ("align", "space", "symmetric", "max_yaw")


class Render(Section):
    align: Literal["none", "eyes", "warp"] = "warp"
    """warp: every triangle of a face to the mean shape | eyes: eyes upon eyes | none: plain mean"""
    space: Literal["linear", "gamma"] = "linear"
    """what is averaged: linear (light) | gamma (the codes of the file)"""
    symmetric: bool = False
    """true: with the mirror image of every face"""
    max_yaw: Annotated[float, Field(gt=0, le=90)] = 25.0
    """degrees; `warp` leaves out faces turned further to a side, for their triangles fold over"""
    texture: bool = False
    """true: gives back the detail that averaging loses, as strong as in the faces on average"""
    outlines: bool = False
    """true: hair, ears and neck are aligned too, by the person's outline; no streaks below"""
    mask: Literal["none", "oval", "face"] = "none"
    """what is shown: none (all) | oval (an ellipse around the face) | face (within its outline)"""
    background: Literal["keep", "grey", "transparent"] = "keep"
    """around the mask: grey | transparent (with format png) | keep: there is no mask"""
    format: Literal["jpg", "png", "png16"] = "jpg"
    """png: composite.png beside the JPEG, without loss | png16: the same with 16 bits a colour"""
    side: Annotated[int, Field(ge=64)] | None = None
    """pixels, with filter.originals | null: the median of the members' own"""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if (self.mask == "none") != (self.background == "keep"):
            raise ValueError(
                "mask and background go together: a mask needs a background, grey or transparent, "
                "and a background a mask, oval or face"
            )
        if self.background == "transparent" and self.format == "jpg":
            raise ValueError("a JPEG can't be transparent; set format: png")
        for name in ("texture", "outlines"):
            if getattr(self, name) and self.align != "warp":
                raise ValueError(f"{name} needs align: warp, found {self.align}")
        return self

    def used(self) -> dict[str, Any]:
        """The options as files tell them: those that came later only where they are used."""
        options = self.model_dump()
        return {
            name: value
            for name, value in options.items()
            if name in FIRST or value != type(self).model_fields[name].default
        }


class Composite(Section):
    filter: MemberFilter
    """who is in it: every condition must hold"""
    render: Render
    """how it is drawn"""

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if self.render.side is not None and not self.filter.originals:
            raise ValueError(
                "render.side needs filter.originals: true; crops have the size that "
                "preprocess.size says"
            )
        return self
