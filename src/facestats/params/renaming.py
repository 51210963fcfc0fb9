"""Keys of earlier versions in `params.yaml`: read under the name that they have now."""

from __future__ import annotations

import warnings
from typing import Any, get_args

from pydantic import BaseModel

from facestats.errors import ParamsError, RenamedWarning
from facestats.params.errors import fields_by_key, models_in
from facestats.params.types import Section


def with_current_names(raw: Any, section: type[BaseModel], where: str = "params.yaml") -> Any:
    """Rename the keys that `Section.aliases` lists with their names in earlier versions.

    Parameters
    ----------
    raw : dict
        Content of the file; anything else is returned unchanged, for the validation to refuse.
    section : type of Section
        The model that will validate it.
    where : str
        The file's name, for messages.

    Returns
    -------
    dict
        The content with this version's names.

    Raises
    ------
    ParamsError
        A key is there under both of its names.

    Warns
    -----
    RenamedWarning
        For each key that was renamed.
    """
    return _renamed(raw, [section], "", where)


def _renamed(raw: Any, models: list[Any], above: str, where: str) -> Any:
    """`raw` with current names; `models`: the sections, and dicts of sections, that it may be."""
    if not isinstance(raw, dict):
        return raw
    for model in models:
        if isinstance(model, type) and issubclass(model, Section):
            fields, aliases = fields_by_key(model), model.aliases
            for old in [key for key in raw if key in aliases]:
                new = aliases[old]
                if new in raw:
                    raise ParamsError(
                        f"{where}: {above}{old} is called {above}{new} now, and both are there; "
                        f"remove {above}{old}"
                    )
                warnings.warn(
                    f"{where}: {above}{old} is called {above}{new} now; rename it there, for DVC "
                    "looks for the new name alone",
                    RenamedWarning,
                    stacklevel=2,
                )
                raw = {new if key == old else key: value for key, value in raw.items()}
            raw = {
                key: _renamed(value, models_in(fields[key].annotation), f"{above}{key}.", where)
                if key in fields
                else value
                for key, value in raw.items()
            }
        elif len(get_args(model)) == 2:  # dict[str, …]: any name leads to the value's type
            inside = models_in(get_args(model)[1])
            raw = {
                key: _renamed(value, inside, f"{above}{key}.", where) for key, value in raw.items()
            }
    return raw
