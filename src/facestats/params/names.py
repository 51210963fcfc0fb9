"""Names that users give in `params.yaml`: composites, attributes, classes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

# What the label files and tables call something else.
NO_TARGETS = ("image", "filename", "person", "rating", "rating_n", "rating_sd")


COLUMN_PARTS = (
    "_prob_",
    "_said",
    "_final",
    "_source",
)  # of the columns that the tables have for an attribute


# DVC's run cache leaves these keys out of the hash of a group of parameters: a change below them
# would go unnoticed.
HIDDEN_FROM_DVC = ("size", "nfiles")


def _plain(name: Any) -> Any:
    """A name that can be a folder's and a stage's; what is no text at all pydantic tells."""
    bad = re.search(r"^[^A-Za-z]|[^A-Za-z0-9_-]", name) if isinstance(name, str) else None
    if bad:
        raise ValueError(
            f"a name can't hold {bad[0]!r}{' at its beginning' * (not bad.start())}; its pattern "
            "is letters A to Z, digits, - and _, a letter first"
        )
    return name


PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*$"


Name = Annotated[str, Field(pattern=PATTERN), BeforeValidator(_plain)]


FolderName = Annotated[
    str, Field(pattern=PATTERN, max_length=60), BeforeValidator(_plain)
]  # also what pictures have room for


def _name(key: Any) -> Any:
    """A name of an attribute or a class, before pydantic finds that YAML has made something else
    than text of it.
    """
    if not isinstance(key, str):
        raise ValueError(
            f"the name {key!r} is no text, for YAML reads words like yes and no, and numbers, as "
            "something "
            'else: put it in quotes ("yes") or choose another word'
        )
    if key in HIDDEN_FROM_DVC:
        raise ValueError("keys called so are overlooked by DVC's run cache; choose another name")
    if key == "unknown" or not key or key != key.strip():
        raise ValueError("nothing can be called so; choose another name")
    taken = [part for part in COLUMN_PARTS if part in key]
    if taken:
        raise ValueError(
            f"names with {taken[0]!r} are those of the tables' columns; choose another name"
        )
    return key


Class = Annotated[str, BeforeValidator(_name)]


Attribute = Annotated[Name, BeforeValidator(_name)]
