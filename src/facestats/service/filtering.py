"""Searches among the faces that fulfil a filter."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

import numpy as np
from fastapi import Query

from facestats.errors import InputError, ModelError
from facestats.groups.params import Filter
from facestats.service.errors import ServiceError
from facestats.service.models import Run
from facestats.service.state import State
from facestats.serving.answers import SENSITIVE, SENSITIVE_COLUMNS
from facestats.serving.filters import LONGEST, parse_filter, select_allowed

FilterText = Annotated[
    str | None,
    Query(
        alias="filter",
        max_length=LONGEST,
        description="only among these faces: conditions as in the address of the app's faces, such "
        "as gender=female&age_range=20..30&attributes.glasses=with, percent-encoded",
    ),
]
Allowed = Callable[[], np.ndarray | None]


def every() -> None:
    """No filter: all faces count, the doubtful and the copies, too."""
    return None


def read_filter(state: State, text: str | None) -> Filter | None:
    """The filter of a request; None without one.

    Raises
    ------
    ServiceError
        It can't be read, or asks for ethnicity where the server was started without it.
    """
    if text is None or not text.strip():
        return None
    try:
        where = parse_filter(text)
    except InputError as error:
        raise ServiceError(422, "invalid_request", str(error), body_left=True) from None
    state.check_ethnicity(filters_by_ethnicity(where))
    return where


def filters_by_ethnicity(where: Filter) -> bool:
    """Whether a filter asks for what is shown on request only."""
    named = {*(where.attributes or {}), *(where.columns or {})}
    return where.ethnicity is not None or any(
        name.startswith((SENSITIVE, *SENSITIVE_COLUMNS)) for name in named
    )


def allowed_of(run: Run, where: Filter | None) -> Allowed:
    """What says which faces of a run count, once it is asked; its errors are those of the table."""
    if where is None:
        return every

    @cache
    def allowed() -> np.ndarray:
        check_names(run)
        return select_allowed(run.table(), where, run.models.neighbours.names)

    return allowed


def check_names(run: Run) -> None:
    """Refuse a filter while the table of faces is of another run than their embeddings.

    Raises
    ------
    ModelError
    """
    if not run.names_agree:
        raise ModelError("the table of faces is that of the run before: it can't filter these yet")
