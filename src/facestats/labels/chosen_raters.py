"""The raters that `labels.raters` chooses: by name, or by columns on who they are."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pandas as pd

from facestats.errors import LabelError, suggestion
from facestats.labels.cells import one_form, without_empty
from facestats.labels.columns import listed
from facestats.machine.output import one_line

Chosen = Mapping[str, str | list[str]] | Sequence[str]

SHOWN = 40  # raters in a warning
FEW = 6  # raters who are named one by one though one pattern chooses them
# Ends of messages that ask who rated.
ALL = "name the raters in labels.raters"
CLOSE_ONE = f"if one is no rater's, remove it, and else {ALL}"
CLOSE = f"if it is no rater's, remove it, and else {ALL}"


def doubtful(column: str, what: str, path: Path) -> LabelError:
    """The error for a column, or a rater, of which it is not clear whether it is a rater."""
    return LabelError(f"{path}: the column {column!r} {what}; {CLOSE}")


def names_of(chosen: Chosen | None) -> Sequence[str]:
    """The names of raters in `labels.raters`; none where it is a condition, or not set."""
    return () if chosen is None or isinstance(chosen, Mapping) else chosen


@dataclass(frozen=True)
class Taken:
    """Columns that were taken for raters' where `labels.raters` does not name any.

    Attributes
    ----------
    raters : list of str
        These columns.
    others : list of str
        All others, but for the photos' and labels.
    path : Path
        The file.
    """

    raters: list[str]
    others: list[str]
    path: Path

    def warning(self, further: Sequence[str]) -> str:
        """What was taken for what, with the line of params.yaml that says so.

        Raters of other files, `further`, count as they did.
        """
        passed_over = f", and {_first(self.others)} for nobody's" if self.others else ""
        alike = zip(min(self.raters), max(self.raters), strict=False)
        start = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], alike))
        is_start = start and not any(name.startswith(start) for name in self.others)
        own = [f"{start}*"] if is_start and len(self.raters) > FEW else self.raters
        names = json.dumps([*dict.fromkeys([*own, *further])], ensure_ascii=False)
        is_line = len(own) <= SHOWN and not any("*" in name for name in self.raters)
        line = f"write `raters: {names}` below `labels:` in" if is_line else f"{ALL} of"
        return one_line(
            f"{self.path.name}: each of the columns {_first(self.raters)} was taken for one "
            f"rater's ratings{passed_over}; if that is so, {line} params.yaml, and else the raters "
            "alone"
        )


def _first(columns: Sequence[str]) -> str:
    return listed(columns[:SHOWN]) + (", …" if len(columns) > SHOWN else "")


def who_may_be_here(
    chosen: Chosen | None,
    elsewhere: Collection[str],
    raw: pd.DataFrame,
    rater: str | None,
    path: Path,
) -> Chosen | None:
    """`labels.raters` without names of raters who are in another file alone.

    Raises
    ------
    LabelError
        All are.
    """
    if chosen is None or isinstance(chosen, Mapping) or not elsewhere:
        return chosen
    here = {*map(one_form, raw.columns), *(map(one_form, raw[rater]) if rater else ())}
    left = [name for name in chosen if name not in elsewhere or one_form(name) in here]
    if chosen and not left:
        raise LabelError(f"{path}: labels.raters names nobody of this file; remove it, or add one")
    return left


def chosen_lines(
    raw: pd.DataFrame,
    rater: str | None,
    chosen: Chosen,
    path: Path,
    may_be_nobody: bool = False,
) -> pd.DataFrame:
    """The lines of the raters who count.

    Parameters
    ----------
    raw : DataFrame
        The file as text.
    rater : str or None
        The header of the column of raters; None without one.
    chosen : mapping of str to str or list of str, or list of str
        Value, or values, of columns: `{rater_gender: female}`, in whatever case; or names of raters
        (see `named_raters`).
    path : Path
        The file, for messages.
    may_be_nobody : bool
        Whether it is no mistake that nobody in the file counts.

    Raises
    ------
    LabelError
        There is no such column, or no such rater.
    """
    if isinstance(chosen, Mapping):
        return _fulfilling(raw, chosen, path, may_be_nobody)
    if rater is None:
        raise LabelError(
            f"{path}: labels.raters names raters, and there is no column `rater`; the header line "
            f"has {listed(raw.columns)}"
        )
    names = without_empty(raw[rater]).map(one_form)
    found = named_raters(chosen, names[names != ""], path, may_be_nobody)
    return raw[names.isin(found)]


def named_raters(
    chosen: Sequence[str],
    there: Iterable[str],
    path: Path,
    may_be_nobody: bool = False,
    unmatched: Collection[str] = (),
) -> list[str]:
    """The raters of a file that are named, in the order of the file.

    Parameters
    ----------
    chosen : sequence of str
        Names; `*` stands for any text, as in `rater_*`.
    there : iterable of str
        The raters of the file, or what may be their columns.
    path : Path
        The file, for messages.
    may_be_nobody : bool
        Whether it is no mistake that the file lacks a name.
    unmatched : collection of str
        Columns of something else by their header, which only their own name chooses.

    Raises
    ------
    LabelError
        A name is nobody's.
    """
    raters = [*dict.fromkeys(there)]
    found = set()
    for name in chosen:
        pattern = ".*".join(map(re.escape, one_form(name).split("*")))
        own = {
            rater
            for rater in raters
            if re.fullmatch(pattern, one_form(rater), re.DOTALL)
            and ("*" not in name or rater not in unmatched)
        }
        if not own and not may_be_nobody:
            near = suggestion(name, raters)
            raise LabelError(
                f"{path}: labels.raters names {name!r}, and the file has no such rater.{near}"
            )
        found |= own
    return [rater for rater in raters if rater in found]


def _fulfilling(
    raw: pd.DataFrame,
    condition: Mapping[str, str | list[str]],
    path: Path,
    may_be_nobody: bool,
) -> pd.DataFrame:
    """The lines whose columns have the values of a condition."""
    chosen = pd.Series(True, raw.index)
    for column, wanted in condition.items():
        if column not in raw:
            near = suggestion(column, raw.columns)
            raise LabelError(
                f"{path}: labels.raters names {column!r}, which is no column of the file; it has "
                f"{listed(raw.columns)}.{near}"
            )
        values = [wanted] if isinstance(wanted, str) else wanted
        fits = raw[column].str.casefold().isin([value.casefold() for value in values])
        if not (chosen & fits).any() and not may_be_nobody:
            there = ", ".join(map(repr, sorted({*raw[column]} - {""})[:5])) or "nothing"
            raise LabelError(
                f"{path}: labels.raters leaves no rating: nobody has {column} "
                f"{' or '.join(values)}; the column has {there}"
            )
        chosen &= fits
    return raw[chosen]
