"""What pydantic finds wrong with `params.yaml`, in one line a key: its name, what was found and
what is allowed.
"""

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
    "answers, takes its "
    "place."
}
# Python's words for what YAML calls otherwise.
_PLAIN = dict.fromkeys(
    ("dict_type", "model_attributes_type"), "input should be a mapping, one `key: value` a line"
)
Options = TypeVar("Options", bound=BaseModel)


def checked_options(section: type[Options], given: dict[str, Any]) -> Options:
    """Options of a function that are keys of `params.yaml`, as that would take them; of Python's
    and NumPy's own kinds too.

    Raises
    ------
    InputError
        An option that there is not, of the wrong type, or out of range.
    """
    plain = {name: _plain(value) for name, value in given.items()}
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
    """One line a key: pydantic reports each member of a union on its own, here they share a line.

    Parameters
    ----------
    errors : as `ValidationError.errors()` gives them.
    raw : what was validated.
    root : the model that it was validated with.
    """
    by_key: dict[tuple, list[Mapping[str, Any]]] = {}
    for error in errors:
        by_key.setdefault(_location(error, raw), []).append(error)
    # [256, 0] is also "no integer"; what is wrong inside the list says more.
    above = {key[:n] for key in by_key for n in range(len(key))}
    deepest = [key for key in by_key if key not in above]
    rest = (
        [f"and {len(deepest) - MOST} more keys that are not possible"]
        if len(deepest) > MOST
        else []
    )
    return [*(_explain(list(key), by_key[key], raw, root) for key in deepest[:MOST]), *rest]


def _location(error: Mapping[str, Any], raw: Any) -> tuple:
    """Where an error is, as the user typed it: pydantic adds names of union members, which are
    dropped.
    """
    kept: list = []
    for i, part in enumerate(error["loc"]):
        inside = (
            (part in raw)
            if isinstance(raw, dict)
            else (isinstance(raw, list) and isinstance(part, int))
        )
        if inside:
            raw = raw[part]
            kept.append(part)
        elif error["type"] == "missing" and i == len(error["loc"]) - 1:
            kept.append(part)
    return tuple(kept)


def _explain(
    location: list, errors: list[Mapping[str, Any]], raw: dict, root: type[BaseModel]
) -> str:
    """What is wrong with one key: its name, what was found and what is allowed."""
    key = _shown(location)
    found, kind = errors[0]["input"], errors[0]["type"]
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1], raw, root)
        near = nearest_names(str(location[-1]), known, likeness=0.5)
        hint = did_you_mean(_shown([*location[:-1], name]) for name in near)
        hint = f" {REPLACED[key]}" if key in REPLACED else hint
        return (
            f"unknown key {key} (value {_short(found)}).{hint} Known keys there: {', '.join(known)}"
        )
    if kind == "missing":
        return f"{key} is missing"
    if kind == "union_tag_invalid":
        return (
            f"{key}.kind = {_short(found['kind'])} is not possible: input should be "
            "'classification' or 'regression'"
        )
    if kind == "union_tag_not_found":
        return f"{key}.kind is missing: classification or regression"
    if any(
        e["type"] == "value_error" for e in errors
    ):  # a section that is one, but for what it holds
        errors = [e for e in errors if e["type"] != "literal_error"]
    messages = [
        f"input should be a mapping of {', '.join(_known_keys(location, raw, root))}"
        if e["type"] == "model_type"
        else _PLAIN.get(e["type"]) or e["msg"].removeprefix("Value error, ")
        for e in errors
    ]
    allowed = " or ".join(dict.fromkeys(m[0].lower() + m[1:] for m in messages))
    return f"{key} = {_short(found)} is not possible: {allowed}"


def _shown(location: list) -> str:
    """A key with those above it, on one line whatever is in them."""
    shown = ".".join(map(str, location))
    shown = shown if len(shown) <= 2 * SHOWN else f"{shown[: 2 * SHOWN]}…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in shown)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _known_keys(location: list, raw: Any, root: type[BaseModel]) -> list[str]:
    """The keys that the schema knows below `location`; of several kinds of section those of the one
    in `raw`.
    """
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
    """A section's fields by the key that stands in the file: `from` is no name in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models_in(annotation: Any) -> list[Any]:
    """Models and dicts inside a type annotation (unions and `Annotated` opened)."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return models_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [m for arg in get_args(annotation) for m in models_in(arg)]
    return [annotation] if origin is dict or isinstance(annotation, type) else []
