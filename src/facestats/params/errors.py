"""pydantic's errors in `params.yaml` as messages, one line a key: its name, value and limits."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from facestats.errors import InputError, did_you_mean, nearest_names
from facestats.params.types import TEXTS

SHOWN = 120  # characters of a value that an error repeats
MOST = 100  # keys that are explained; the rest is counted
REPLACED = {
    "attributes.abstain_below": "attributes.targets.<target>.precision, the wanted share of right "
    "answers, takes its place."
}
# pydantic speaks of Python's types, users of YAML's.
_PLAIN = dict.fromkeys(
    ("dict_type", "model_attributes_type"), "input should be a mapping, one `key: value` a line"
)
Options = TypeVar("Options", bound=BaseModel)


def checked_options(section: type[Options], options: dict[str, Any]) -> Options:
    """Validate a function's options that are keys of `params.yaml`.

    Parameters
    ----------
    section : type of Section
        The section that has these keys.
    options : dict
        Values by key; also NumPy's numbers and arrays, tuples and ranges.

    Raises
    ------
    InputError
        An option is unknown, of the wrong type, or out of range.
    """
    plain = {name: _plain(value) for name, value in options.items()}
    try:
        return section.model_validate(plain, context={TEXTS: False})
    except ValidationError as error:
        raise InputError(
            "; ".join(explain(error.errors(include_url=False), plain, section))
        ) from None


def _plain(value: Any) -> Any:
    """What YAML would hold: lists and Python's own numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, (list, tuple, range)) else value


def explain(errors: Sequence[Mapping[str, Any]], raw: dict, root: type[BaseModel]) -> list[str]:
    """Describe validation errors, one line a key.

    pydantic reports each member of a union on its own; here they share a line.

    Parameters
    ----------
    errors : sequence of mapping
        As `ValidationError.errors()` returns them.
    raw : dict
        What was validated.
    root : type of BaseModel
        The model that validated it.
    """
    by_key: dict[tuple, list[Mapping[str, Any]]] = {}
    for error in errors:
        by_key.setdefault(_location(error, raw), []).append(error)
    # [256, 0] is also "not an integer"; the error inside the list says more.
    above = {key[:n] for key in by_key for n in range(len(key))}
    deepest = [key for key in by_key if key not in above]
    rest = (
        [f"and {len(deepest) - MOST} more keys that are not possible"]
        if len(deepest) > MOST
        else []
    )
    return [*(_explain(list(key), by_key[key], raw, root) for key in deepest[:MOST]), *rest]


def _location(error: Mapping[str, Any], raw: Any) -> tuple:
    """Keys above an error, as in the file: without the union members that pydantic adds."""
    keys: list = []
    for i, part in enumerate(error["loc"]):
        inside = (
            (part in raw)
            if isinstance(raw, dict)
            else (isinstance(raw, list) and isinstance(part, int))
        )
        if inside:
            raw = raw[part]
            keys.append(part)
        elif error["type"] == "missing" and i == len(error["loc"]) - 1:
            keys.append(part)
    return tuple(keys)


def _explain(
    location: list, errors: list[Mapping[str, Any]], raw: dict, root: type[BaseModel]
) -> str:
    """What is wrong with one key: its name, its value and what is allowed."""
    key = _shown(location)
    value, kind = errors[0]["input"], errors[0]["type"]
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1], raw, root)
        near = nearest_names(str(location[-1]), known, likeness=0.5)
        hint = did_you_mean(_shown([*location[:-1], name]) for name in near)
        hint = f" {REPLACED[key]}" if key in REPLACED else hint
        return (
            f"unknown key {key} (value {_short(value)}).{hint} Known keys there: {', '.join(known)}"
        )
    if kind == "missing":
        return f"{key} is missing"
    if kind == "union_tag_invalid":
        return (
            f"{key}.kind = {_short(value['kind'])} is not possible: input should be "
            "'classification' or 'regression'"
        )
    if kind == "union_tag_not_found":
        return f"{key}.kind is missing: classification or regression"
    if any(error["type"] == "value_error" for error in errors):
        # The value has the right type, so other members of the union were not meant.
        errors = [error for error in errors if error["type"] != "literal_error"]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        errors = [
            {**error, "msg": f"{error['msg']}; where it is one, put it in quotes"}
            if error["type"] == "string_type"
            else error
            for error in errors
        ]
    messages = [
        f"input should be a mapping of {', '.join(_known_keys(location, raw, root))}"
        if error["type"] == "model_type"
        else _PLAIN.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        for error in errors
    ]
    allowed = " or ".join(dict.fromkeys(text[0].lower() + text[1:] for text in messages))
    return f"{key} = {_short(value)} is not possible: {allowed}"


def _shown(location: list) -> str:
    """A key with those above it, on one line."""
    shown = ".".join(map(str, location))
    shown = shown if len(shown) <= 2 * SHOWN else f"{shown[: 2 * SHOWN]}…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in shown)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _known_keys(location: list, raw: Any, root: type[BaseModel]) -> list[str]:
    """The keys that the schema knows below `location`, if possible of the kind that is there."""
    models: list[Any] = [root]
    for part in location:
        following = []
        for model in models:
            if isinstance(model, type) and issubclass(model, BaseModel):
                following += [
                    m
                    for key, field in fields_by_key(model).items()
                    if key == part
                    for m in models_in(field.annotation)
                ]
            else:  # dict[str, …]: any name leads to the value's type
                following += models_in(get_args(model)[1])
        models = following
        raw = raw[part]
    if len(models) > 1 and isinstance(raw, dict):
        models = [
            m for m in models if raw.get("kind") in get_args(m.model_fields["kind"].annotation)
        ] or models
    return sorted(
        {
            key
            for m in models
            if isinstance(m, type) and issubclass(m, BaseModel)
            for key in fields_by_key(m)
        }
    )


def fields_by_key(model: type[BaseModel]) -> dict[str, Any]:
    """A section's fields by their keys in the file, such as `from`, a reserved word in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models_in(annotation: Any) -> list[Any]:
    """Models and dicts inside a type annotation (unions and `Annotated` opened)."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return models_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [m for arg in get_args(annotation) for m in models_in(arg)]
    return [annotation] if origin is dict or isinstance(annotation, type) else []
