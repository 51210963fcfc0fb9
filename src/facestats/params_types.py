"""What the sections of `params.yaml` are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def ordered(span: list) -> list:
    if span[0] > span[1]:
        raise ValueError(f"a range is [low, high], but {span[0]} is above {span[1]}")
    return span


Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(ordered)]


class Section(BaseModel):
    """Base of all sections: no unknown keys, no silent conversion of types; the text below a key describes it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
