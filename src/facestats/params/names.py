"""Names that users give in `params.yaml`: composites, attributes, classes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

# Columns of label files and tables with a meaning of their own.
NO_TARGETS = ("image", "filename", "person", "rating", "rating_n", "rating_sd")
RESULTS = ("age_bucket", "warnings")  # what answers hold beside the attributes
COLUMN_PARTS = ("_prob_", "_said", "_final", "_source")  # of an attribute's columns in the tables
# DVC's run cache leaves these keys out of its hash of a group of parameters, so that it would miss
# a change below them.
HIDDEN_FROM_DVC = ("size", "nfiles")


def _plain(name: Any) -> Any:
    """A name that a folder and a stage can have; pydantic reports what is not text."""
    bad = re.search(r"^[^A-Za-z]|[^A-Za-z0-9_-]", name) if isinstance(name, str) else None
    if bad:
        raise ValueError(
            f"a name can't hold {bad[0]!r}{' at its beginning' * (not bad.start())}; its pattern "
            "is letters A to Z, digits, - and _, a letter first"
        )
    return name


LONGEST = 60  # characters of a folder's name
PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=PATTERN), BeforeValidator(_plain)]
# As long as pictures have room for.
FolderName = Annotated[str, Field(pattern=PATTERN, max_length=LONGEST), BeforeValidator(_plain)]


def _name(key: Any) -> Any:
    """A name of an attribute or a class.

    This check precedes pydantic's, which would not say why YAML made something else of it.
    """
    if not isinstance(key, str):
        raise ValueError(
            f"the name {key!r} is not text, for YAML reads words like yes and no, and numbers, as "
            'something else: put it in quotes ("yes") or choose another word'
        )
    if key in HIDDEN_FROM_DVC:
        raise ValueError("DVC's run cache overlooks keys of this name; choose another name")
    if key == "unknown" or not key or key != key.strip():
        raise ValueError("this can't be a name; choose another one")
    taken = [part for part in COLUMN_PARTS if part in key]
    if taken:
        raise ValueError(
            f"names with {taken[0]!r} are those of columns in the tables; choose another name"
        )
    return key


Class = Annotated[str, BeforeValidator(_name)]
Attribute = Annotated[Name, BeforeValidator(_name)]
