"""The classes of each attribute that a run or a label file knows, and the check of one label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from facestats.attributes.tables import PREDICTIONS
from facestats.core import tables
from facestats.core.layout import METADATA
from facestats.core.tables.parquet import opened
from facestats.errors import InputError
from facestats.labels.cells import MAX_AGE, Mistakes, is_empty, nearest, numbers, without_empty
from facestats.labels.columns import LABELS, find_columns, is_own
from facestats.labels.files import read_sheet
from facestats.labels.tables import LABELS as LABELS_TABLE
from facestats.machine.output import one_line

LONGEST = 100  # characters of a class


class _OneLabel(Mistakes):
    """Says at once what is wrong with a label that stands in no file."""

    def add(
        self, path: Path, column: str, cells: pd.Series, expected: Callable[[str], str] | str
    ) -> None:
        (text,) = cells
        raise InputError(
            f"{column}: found {text!r}, expected "
            + (expected if isinstance(expected, str) else expected(text))
        )


def known_classes(
    root: Path, into: Path, targets: Sequence[str], allowed: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Classes of each target, by labels, labels by hand, models and `allowed`.

    Parameters
    ----------
    root : Path
        The project folder.
    into : Path
        The file of labels by hand; may be missing.
    targets : sequence of str
        Attributes with classes.
    allowed : iterable of str
        New classes, as `gender=nonbinary`.

    Raises
    ------
    InputError
        A new class that is not written as attribute=name.
    """
    path = root / METADATA / LABELS_TABLE.name
    labelled = [name for name in _columns(path) if name in targets]
    labels = tables.read(path, LABELS_TABLE, labelled) if labelled else pd.DataFrame()
    sheet = read_sheet(into)
    manual = pd.DataFrame() if sheet is None else sheet.table
    headers = {name: name for name in map(str, manual.columns)}
    headers |= {} if manual.empty else find_columns(manual.columns, LABELS, into)
    predictions = root / METADATA / PREDICTIONS.name
    columns = _columns(predictions) if predictions.exists() else []
    known = {}
    for target in targets:
        words = {*labels[target].dropna().unique()} if target in labels else set()
        if target in headers:
            words |= {*without_empty(manual[headers[target]], is_own(target))}
        words |= {
            column.removeprefix(f"{target}_prob_")
            for column in columns
            if column.startswith(f"{target}_prob_")
        }
        known[target] = sorted(word for word in words if word and word.lower() != tables.UNKNOWN)
    for word in allowed:
        target, _, name = word.partition("=")
        if target not in known or not name.strip():
            raise InputError(
                f"--new-class {word}: expected {' or '.join(f'{t}=NAME' for t in targets)}"
            )
        known[target].append(name.strip())
    return known


def _columns(path: Path) -> list[str]:
    with opened(path, "labels") as file:
        return file.schema_arrow.names


def check_label(target: str, text: str, known: Sequence[str] | None, new: bool = False) -> str:
    """One label as a label file has it.

    Parameters
    ----------
    target : str
        The attribute.
    text : str
        What somebody said.
    known : sequence of str or None
        Its classes; None for a number.
    new : bool
        Whether a class that is not known is meant.

    Raises
    ------
    InputError
        It is no label.
    """
    text = text.strip()
    if known is None:  # a number
        ends = (0, MAX_AGE) if target == "age" else ()
        (value,) = numbers(pd.Series([text], name=target), Path(), _OneLabel(), *ends)
        if pd.isna(value):
            raise InputError(f"{target}: nothing is there; expected a number")
        return f"{value:.15g}"
    if is_empty(text, is_own(target)):
        raise InputError(f"{target}: {text!r} stands for no answer; skip the face instead")
    if text in known:
        return text
    if len(text) > LONGEST or one_line(text) != text:
        raise InputError(
            f"{target}: a class has {LONGEST} characters at most, on one line, all visible"
        )
    alike = nearest(text, known)
    if not new:
        raise InputError(f"{target}: {text!r} is no class that is known{alike}")
    same = [word for word in known if word.casefold() == text.casefold()]
    if same:
        raise InputError(f"{target}: {text!r} is there already as {same[0]!r}")
    return text
