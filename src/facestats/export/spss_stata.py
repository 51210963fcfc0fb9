"""Tables for SPSS and Stata: classes as numbers with labels, and short names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.core.files import replacing
from facestats.core.tables import UNKNOWN
from facestats.export.columns import UNKNOWN_CODE, Described
from facestats.export.extra import extra

SAV_TEXT, SAV_LABEL = 32_767, 256  # bytes of a text, of a variable's label
DTA_LABEL = 80  # characters of a variable's label
DTA_TEXT = 2045  # bytes of a text that is no strL
YES_NO: dict[float, str] = {0: "no", 1: "yes"}


def write_sav(path: Path, frame: pd.DataFrame, columns: Sequence[Described]) -> None:
    """Write a table for SPSS; `unknown` is a value that counts as missing.

    Parameters
    ----------
    path : Path
    frame : DataFrame
    columns : sequence of Described
        Of the same columns.

    Raises
    ------
    InputError
        The package `pyreadstat` is not installed.
    """
    pyreadstat = extra("pyreadstat", "an SPSS file", "--formats csv,xlsx,dta")
    numbers = _numbers(frame, columns)
    for name in _texts(numbers):
        numbers[name] = [_cut(text, SAV_TEXT) for text in numbers[name]]
    missing = {
        variable.short: [{"lo": UNKNOWN_CODE, "hi": UNKNOWN_CODE}]
        for variable in columns
        if UNKNOWN in variable.codes and variable.codes[UNKNOWN] == UNKNOWN_CODE
    }
    with replacing(path) as temporary:
        pyreadstat.write_sav(
            numbers,
            str(temporary),
            column_labels=[_cut(_label(variable), SAV_LABEL) for variable in columns],
            variable_value_labels=_value_labels(columns),
            missing_ranges=missing,
        )


def write_dta(path: Path, frame: pd.DataFrame, columns: Sequence[Described]) -> None:
    """Write a table for Stata 14 and later; `unknown` is missing.

    Parameters
    ----------
    path : Path
    frame : DataFrame
    columns : sequence of Described
        Of the same columns.
    """
    numbers = _numbers(frame, columns)
    for variable in columns:
        if variable.codes.get(UNKNOWN) == UNKNOWN_CODE:
            numbers[variable.short] = numbers[variable.short].mask(
                numbers[variable.short] == UNKNOWN_CODE
            )
    labels = {
        name: {code: text for code, text in codes.items() if code != UNKNOWN_CODE}
        for name, codes in _value_labels(columns).items()
    }
    long = [
        name
        for name in _texts(numbers)
        if any(len(text.encode()) > DTA_TEXT for text in numbers[name])
    ]
    with replacing(path) as temporary:
        numbers.to_stata(
            temporary,
            write_index=False,
            version=118,
            variable_labels={
                variable.short: _shortened(_label(variable), DTA_LABEL) for variable in columns
            },
            value_labels={name: codes for name, codes in labels.items() if codes},
            convert_strl=long,
        )


def _numbers(frame: pd.DataFrame, columns: Sequence[Described]) -> pd.DataFrame:
    """The table under short names: classes as their numbers, gaps as NaN, texts without gaps."""
    values = {}
    for variable in columns:
        column = frame[variable.name]
        if variable.codes:
            values[variable.short] = column.map(variable.codes, na_action="ignore").astype(
                "float64"
            )
        elif variable.kind == "text":
            texts = column.astype(object).where(column.notna(), "")
            values[variable.short] = pd.Series(
                [str(text).replace("\0", "\ufffd") for text in texts],
                frame.index,
                dtype=object,
            )
        else:
            numbers = column.astype("float64").to_numpy(na_value=np.nan)
            values[variable.short] = np.where(np.isfinite(numbers), numbers, np.nan)
    return pd.DataFrame(values, index=frame.index)


def _texts(numbers: pd.DataFrame) -> list[str]:
    return [str(name) for name in numbers if numbers[name].dtype == object]


def _value_labels(columns: Sequence[Described]) -> dict[str, dict[float, str]]:
    labels: dict[str, dict[float, str]] = {
        variable.short: {code: name for name, code in variable.codes.items()}
        for variable in columns
        if variable.codes
    }
    return labels | {variable.short: YES_NO for variable in columns if variable.kind == "yes or no"}


def _label(variable: Described) -> str:
    return f"{variable.name}: {variable.text}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cut(text: str, most: int) -> str:
    """At most so many bytes of a text."""
    data = text.encode()
    if len(data) <= most:
        return text
    return f"{data[: most - 3].decode(errors='ignore')}…"
