"""What `compare` reads of a run, checked: a commit or an experiment may be anybody's."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facestats.errors import InputError

KEY = ["target", "model", "repeat", "filename"]
MOST = 1e12  # ratings, ages and losses are smaller, and the square of a larger one may be infinite
_MOST_FOLDS = 100_000
_GAPS = 10  # times as many faces by repeats as rows; in a run, each repeat predicts each face
_AGAIN = "; run `dvc repro` and commit what it writes, or take another run"


class _Best(BaseModel):
    model_config = ConfigDict(strict=True)

    val_loss: Annotated[float, Field(allow_inf_nan=False, ge=-MOST, le=MOST)] | None = None


class _Summary(BaseModel):
    model_config = ConfigDict(strict=True)

    best: _Best | None = None


def val_loss(data: bytes, where: str) -> float | None:
    """`best.val_loss` of `metrics/summary.json`; None without the file or the figure.

    Raises
    ------
    InputError
        The file is no JSON, or has something else in its place; `where` names it.
    """
    if not data.strip():
        return None
    try:
        best = _Summary.model_validate_json(data).best
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{where}: {place}: {first['msg']}{_AGAIN}") from None
    return best.val_loss if best else None


def plain_params(content: Any, where: str) -> dict[str, Any]:
    """Parameters as JSON has them: mappings, lists, texts, numbers, true, false and null.

    Dates become texts.

    Raises
    ------
    InputError
        They are no mapping, or hold something else; `where` names the file.
    """
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{where} is no mapping of sections{_AGAIN}")
    return _plain(content, where, "")


def _plain(value: Any, where: str, key: str) -> Any:
    if isinstance(value, dict):
        return {
            str(own): _plain(one, where, f"{key}.{own}".lstrip(".")) for own, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(one, where, key) for one in value]
    if isinstance(value, date):
        return str(value)
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    kind = "a very large number" if isinstance(value, int) else f"a {type(value).__name__}"
    raise InputError(f"{where}: {key} is {kind}, which no parameter is{_AGAIN}")


def check_predictions(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check the rows of a table whose columns fit `crossvalidation.tables.CROSSVALIDATED`.

    Returns
    -------
    DataFrame
        The table.

    Raises
    ------
    InputError
        A row has no key, fold or person; keys repeat; folds or numbers are out of range; or a
        target has classes in some rows alone; `where` names the file.
    """
    needed = [*KEY, "fold", "person_group"]
    empty = [name for name in needed if table[name].isna().any()]
    if empty:
        raise InputError(f"{where}: a row has no {empty[0]}{_AGAIN}")
    if table.duplicated(KEY).any():
        raise InputError(f"{where}: two rows have the same {', '.join(KEY)}{_AGAIN}")
    for name in ("repeat", "fold"):
        if not table[name].between(0, _MOST_FOLDS).all():
            raise InputError(f"{where}: column {name} is not from 0 to {_MOST_FOLDS}{_AGAIN}")
    for (target, model), rows in table.groupby(["target", "model"], sort=False):
        if rows["repeat"].nunique() * rows["filename"].nunique() > _GAPS * len(rows):
            raise InputError(f"{where}: repeats of {model}, {target} lack most faces{_AGAIN}")
    for name in ("actual", "predicted"):
        if not (np.abs(table[name].fillna(0)) <= MOST).all():
            raise InputError(f"{where}: column {name} has a number beyond {MOST:g}{_AGAIN}")
    classes = table["actual_class"].notna()
    mixed = classes.groupby(table["target"]).nunique() > 1
    if mixed.any():
        raise InputError(f"{where}: {mixed.index[mixed][0]} is a class in some rows alone{_AGAIN}")
    for name in ("fold", "person_group", "actual", "actual_class"):
        by = ["target", "filename", *(["repeat"] if name == "fold" else [])]
        if (table.groupby(by, sort=False)[name].nunique(dropna=False) > 1).any():
            raise InputError(f"{where}: column {name} differs between rows of one face{_AGAIN}")
    return table
