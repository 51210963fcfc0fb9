"""The types of values in `params.yaml`, and the base of its sections."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


def ordered(span: list) -> list:
    """A range whose low end is not above its high end."""
    low, high = span
    if low > high:
        raise ValueError(f"a range is [low, high], but {low} is above {high}")
    return span


def _revision(name: str) -> str:
    """A commit, tag or branch; the hub's client also makes a file of this name."""
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/+-]*", name)
        or any(part in ("", ".", "..") for part in name.split("/"))
        or ".." in name
    ):
        raise ValueError(
            "a revision is a commit, tag or branch: letters A to Z, digits, and . _ - + / between "
            "them"
        )
    return name


Revision = Annotated[str, Field(max_length=200), AfterValidator(_revision)]
Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(ordered)]


# 5e-05 is text in YAML 1.1, which we read. DVC, whose YAML is 1.2, writes 0.00005 in this form.
_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?", re.ASCII)
_LONGEST = 400  # characters of a number; the pattern takes quadratic time


def _numeric(annotation: Any) -> set[type]:
    """The kinds of numbers that a type allows, also inside lists and unions."""
    if annotation in (int, float):
        return {annotation}
    return {kind for part in get_args(annotation) for kind in _numeric(part)}


def _as_number(value: Any, whole: bool, depth: int = 4) -> Any:
    """Numbers for texts such as `5e-05`, alone or in a list; anything else unchanged.

    With `whole`, 256.0 becomes 256.
    """
    if isinstance(value, list):  # deeper than any section has them, a list is an error anyway
        return [_as_number(one, whole, depth - 1) for one in value] if depth else value
    if (
        isinstance(value, str)
        and len(value) <= _LONGEST
        and _NUMBER.fullmatch(text := value.strip())
    ):
        digits = text.replace("_", "")
        value = int(digits) if digits.lstrip("+-").isdigit() else float(digits)
    if whole and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


# Key in the context of a validation: whether a text may be a number, as in YAML but not in Python.
TEXTS = "texts"


def _attribute_docstrings(section: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a section, those of its base classes included."""
    texts = {}
    for base in reversed(section.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        definition: Any = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=str(words))
                ) if name in section.model_fields:
                    texts[name] = inspect.cleandoc(words)
    return texts


class Section(BaseModel):
    """Base of all sections: no unknown keys and no silent conversions, except between numbers.

    The text below a key describes it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    aliases: ClassVar[Mapping[str, str]] = {}
    """New names of keys of earlier versions; files with the old ones are read, with a warning."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # pydantic's `use_attribute_docstrings` reads the sources of all sections whenever they are
        # imported: a fifth of a stage's start.
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, text in _attribute_docstrings(cls).items():
            schema["properties"][cls.model_fields[name].alias or name]["description"] = text
        return schema

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict) or not (info.context or {}).get(TEXTS, True):
            return values
        kinds = {
            field.alias or name: _numeric(field.annotation)
            for name, field in cls.model_fields.items()
        }
        return {
            key: _as_number(value, float not in kinds[key]) if kinds.get(key) else value
            for key, value in values.items()
        }


def _several(folds: int) -> int:
    if folds == 1:
        raise ValueError(
            "one fold leaves nothing to train on; 0 switches folds off, 2 is the fewest"
        )
    return folds


Seed = Annotated[int, Field(ge=0, le=4_000_000_000)]  # the libraries take 32 bits
Share = Annotated[float, Field(ge=0, le=1)]
Folds = Annotated[
    int, Field(ge=0, le=100, json_schema_extra={"not": {"const": 1}}), AfterValidator(_several)
]
