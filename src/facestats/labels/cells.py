"""Cells of label files: which are empty, which number or class one holds, and all that is wrong
with them, said at once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.core.tables import UNKNOWN
from facestats.errors import LabelError, did_you_mean, nearest_names, number_of
from facestats.labels.csv_text import NUMBER, SHOWN, shortened

# Words for "not known" in the spellings that programs and people use; `Na` and `Nan` are names.
EMPTY = frozenset(
    [
        "NA",
        "na",
        "N/A",
        "n/a",
        "#N/A",
        "#n/a",
        "#NA",
        "<NA>",
        "N.A.",
        "n.a.",
        "NaN",
        "nan",
        "NAN",
        "NaT",
        "NULL",
        "null",
        "Null",
        "-",
        "--",
        "–",
        "—",
        "?",
        "??",
        ".",
        "(blank)",
        "(leer)",
    ]
)
UNANSWERED = re.compile(
    r"missing|not available|n\.a|n/d|n\.d\.|k\. ?a\.|keine angabe|unbekannt|weiß nicht|inconnu"
    r"|desconocido|don't know|do not know"
    r"|prefer not to say|not specified|unspecified|undefined|tbd|\.\.\.|…|_"
    r"|#(value|ref|null|num)!|#div/0!|#name\?",
    re.IGNORECASE,
)
NONE = frozenset(["None", "none", "NONE"])  # a class in columns of one's own, such as glasses: none
CLASS_SHOWN = 3  # classes with one member in a warning
FEW = 5  # labels of a column below which a class with one member is no surprise
MANY = 50  # classes from which on a further column is taken for text
CODE = re.compile(r"-\d+|9+|[78]{2,}|9[78]")  # no answer, as surveys code it
SYNONYMS = {
    "woman": "female",
    "women": "female",
    "man": "male",
    "men": "male",
    "frau": "weiblich",
    "mann": "männlich",
    "w": "weiblich",
}
MAX_AGE = 130  # years
NEAR = 0.75  # least similarity of a class that is proposed


class Mistakes:
    """What can't be used in the label files, collected so that all of it can be mended at once."""

    def __init__(self) -> None:
        self._counts: dict[Path, int] = {}
        self._texts: dict[Path, list[tuple[int, str]]] = {}

    def add(
        self, path: Path, column: str, cells: pd.Series, expected: Callable[[str], str] | str
    ) -> None:
        """Cells of one column that can't be used, indexed by line; `expected`: what should stand
        there, maybe by value.
        """
        self._counts[path] = self._counts.get(path, 0) + len(cells)
        self._texts.setdefault(path, []).extend(
            (
                line,
                str(
                    cell_error(
                        path,
                        line,
                        column,
                        value,
                        expected if isinstance(expected, str) else expected(value),
                    )
                ),
            )
            for line, value in cells.sort_index(kind="stable").iloc[:SHOWN].items()
        )

    def count(self, path: Path, more: int) -> None:
        """Mistakes that are not worded."""
        if more:
            self._counts[path] = self._counts.get(path, 0) + more

    def raise_any(self) -> None:
        """Raise `LabelError` with up to 20 mistakes a file and their number; nothing where there is
        none.
        """
        messages = []
        for path, texts in self._texts.items():
            count = self._counts[path]
            shown = [text for _, text in sorted(texts, key=lambda item: item[0])]
            messages += (
                [f"{path}: {number_of(count, 'mistake')}, so nothing of it is used"]
                if count > 1
                else []
            )
            messages.append(shortened(shown, count))
        if messages:
            raise LabelError("\n".join(messages))


def cell_error(path: Path, line: int, column: str, value: str, expected: str) -> LabelError:
    """The error for one cell."""
    place = "row" if path.suffix.lower() in (".xlsx", ".xlsm") else "line"
    return LabelError(
        f"{path}, {place} {line}, column {column}: found {value!r}, expected {expected}"
    )


def without_empty(text: pd.Series, own: bool = False) -> pd.Series:
    """Cells with '' where one says that nothing is known; `own`: a column of the user's own, in
    which `none` is a class.
    """
    return text.mask(
        text.isin(EMPTY if own else EMPTY | NONE)
        | (text.str.lower() == UNKNOWN)
        | text.str.fullmatch(UNANSWERED),
        "",
    )


def one_form(name: str) -> str:
    """A person's name in one form of Unicode, for two forms of it look the same; a number as tables
    write it without decimals.
    """
    return unicodedata.normalize("NFC", re.sub(r"^(\d+)[.,]0+$", r"\1", name.strip()))


def spelt_alike(name: str, values: Iterable[str]) -> list[str]:
    """A question about people who are called alike but for case and blanks."""
    by_letters: dict[str, list[str]] = {}
    for value in sorted(set(values) - {""}):
        by_letters.setdefault("".join(value.casefold().split()), []).append(value)
    alike = [several for several in by_letters.values() if len(several) > 1]
    return (
        [
            f"{name} has {alike[0][0]!r} beside {alike[0][1]!r}: two that differ in letters alone. "
            "Did you mean one?"
        ]
        if alike
        else []
    )


def numbers(
    text: pd.Series, path: Path, mistakes: Mistakes, low: float = -np.inf, high: float = np.inf
) -> pd.Series:
    """Cells as float64, empty ones as NaN; a decimal comma is understood where it can be no other
    comma.

    `1,234` may be either. It is a decimal comma where another cell of the column has one that can
    be nothing else, and none a point. What is no finite number in [low, high] is added to
    `mistakes`.
    """
    plain = text.str.replace("−", "-")
    comma = plain.str.fullmatch(r"[+-]?\d+,\d+")
    if comma.any():
        thousands = plain.str.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}")
        sure = (comma & ~thousands).any() and not plain.str.contains(".", regex=False).any()
        plain = plain.mask(comma & (~thousands | sure), plain.str.replace(",", "."))
    values = pd.to_numeric(plain.mask(plain == ""), errors="coerce").astype("float64")
    wrong = ((text != "") & ~np.isfinite(values)) | (values < low) | (values > high)
    if wrong.any():
        span = "a number" if np.isinf(low) else f"a number from {low:g} to {high:g}"
        mistakes.add(
            path,
            str(text.name),
            text[wrong],
            lambda value: (
                f"{span}, or nothing where it is unknown{_nearest_number(value, low, high)}"
            ),
        )
    return values.mask(wrong)


def _nearest_number(value: str, low: float, high: float) -> str:
    """The only number in a cell, as a question."""
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", value):
        return " (a decimal point, or no comma between thousands)"
    if high == MAX_AGE and (
        re.fullmatch(r"(19|20)\d\d", value) or re.search(r"\d[./-]\d+[./-]\d", value)
    ):
        return " (a year or date of birth? It is the age in the photo that counts)"
    if re.search(
        r"\d{4}-\d\d-\d\d|\d\W*(jan|feb|mar|mär|mrz|apr|mai|may|jun|jul|aug|sep|o[ck]t|nov|de[cz])",
        value.casefold(),
    ):
        return (
            " (has a spreadsheet made a date of a number? Format the column as text or number, "
            "and type it again)"
        )
    if value.startswith("-") or re.search(
        r"\d\s*(m|w|d)\b|mon|mois|mes|week|woche|day|tag", value.casefold()
    ):
        return ""  # months are no years
    found = re.findall(r"\d+(?:[.,]\d+)?", value)
    number = found[0].replace(",", ".") if len(found) == 1 else None
    return (
        f" (did you mean {number}?)"
        if number and number != value and low <= float(number) <= high
        else ""
    )


def refuse_contradictions(
    frame: pd.DataFrame, key: str, shown: pd.Series, path: Path, mistakes: Mistakes
) -> None:
    """Add to `mistakes` what contradicts an earlier record of the same key; empty cells contradict
    nothing.

    Parameters
    ----------
    frame : records by line.
    shown : what a message calls them, by line.
    """
    twice = frame[frame.duplicated(key, keep=False)]
    for column in twice.columns.drop(key) if len(twice) else ():
        given = twice[[key, column]].dropna(subset=column)
        first = given.groupby(key)[column].transform("first")
        conflict = given.index[given[column] != first]
        for line in conflict[:SHOWN]:
            mistakes.add(
                path,
                column,
                given.loc[[line], column].astype(str),
                f"{first[line]!s} as on an earlier line for {shown[line]}, or one of the two lines "
                "removed",
            )
        mistakes.count(path, len(conflict) - len(conflict[:SHOWN]))


def check_classes(
    columns: Iterable[tuple[Path, str, pd.Series]], standard: Iterable[str], mistakes: Mistakes
) -> list[str]:
    """Ask about classes that are probably others: the same in other letters, and those with one
    member.

    Parameters
    ----------
    columns : file, column and its cells by line, null where nothing is said; all files together.
    standard : columns in which two spellings of one class are a mistake; in others they are a
        warning.

    Returns
    -------
    Warnings; spellings of classes in `standard` are added to `mistakes`.
    """
    by_name: dict[str, list[tuple[Path, pd.Series]]] = {}
    for path, name, cells in columns:
        by_name.setdefault(name, []).append((path, cells.dropna()))
    warnings = []
    for name, parts in by_name.items():
        warnings += _coded(name, parts) if name in standard else []
        counts = pd.concat([cells for _, cells in parts]).value_counts()
        if name not in standard and (len(counts) > MANY or counts.sum() < 2 * len(counts)):
            continue
        usual: dict[str, str] = {}
        for value in sorted(counts.index, key=lambda value: (-counts[value], value)):
            usual.setdefault(_letters(value), value)
        if name in standard:
            usual |= _abbreviated(usual)
        for path, cells in parts:
            other = cells[
                cells.map({value: usual[_letters(value)] != value for value in counts.index})
            ]
            if len(other) and name in standard:
                mistakes.add(
                    path,
                    name,
                    other,
                    partial(_usual_spelling, usual, counts),
                )
            elif len(other):
                warnings.append(
                    f"{path.name}: {name} has {other.iloc[0]!r} beside "
                    f"{usual[_letters(other.iloc[0])]!r}: two classes that differ in letters "
                    "alone. Did you mean one?"
                )
        warnings += _lonely(name, parts, counts[[*dict.fromkeys(usual.values())]])
    return warnings


def _usual_spelling(usual: dict[str, str], counts: pd.Series, value: str) -> str:
    spelling = usual[_letters(value)]
    verb = "has" if counts[spelling] == 1 else "have"
    return (
        f"a class in one spelling (did you mean {spelling!r}, which "
        f"{number_of(int(counts[spelling]), 'cell')} {verb}?)"
    )


def _coded(name: str, parts: list[tuple[Path, pd.Series]]) -> list[str]:
    """A question about numbers among words, and about numbers by which surveys say that there is no
    answer.
    """
    values = sorted({value for _, cells in parts for value in cells})
    words = [value for value in values if not NUMBER.fullmatch(value)]
    odd = [
        value
        for value in values
        if NUMBER.fullmatch(value) and (words or CODE.fullmatch(value)) and len(values) > 1
    ]
    return (
        [
            f"{name} has the class {odd[0]!r} beside "
            f"{next(value for value in values if value not in odd)!r}; if it is a code for no "
            "answer, leave such cells empty"
        ]
        if odd and len(odd) < len(values)
        else []
    )


def _abbreviated(usual: dict[str, str]) -> dict[str, str]:
    """Classes that are another one's first letter, or its synonym, and the other: `f` beside
    `female`, `woman` beside `female`.
    """
    found = {}
    for word in usual:
        other = [
            longer
            for longer in usual
            if len(word) == 1 and len(longer) > 1 and longer.startswith(word)
        ] or [same for same in usual if same == SYNONYMS.get(word)]
        if len(other) == 1 and other[0] != word:
            found[word] = usual[other[0]]
    return found


def _lonely(name: str, parts: list[tuple[Path, pd.Series]], counts: pd.Series) -> list[str]:
    """A question about the classes with one member."""
    lonely = sorted(counts.index[counts == 1])
    if not lonely or counts.sum() < FEW or counts.max() == 1:
        return []
    asked = []
    for value in lonely[:CLASS_SHOWN]:
        path, line = next(
            (path, cells.index[cells == value][0])
            for path, cells in parts
            if (cells == value).any()
        )
        asked.append(
            f"{value!r} in {path.name}, line "
            f"{line}{nearest(value, [other for other in counts.index if counts[other] > 1])}"
        )
    more = f" and {len(lonely) - len(asked)} more" if len(lonely) > len(asked) else ""
    return [
        f"{name} has {'a class' if len(lonely) == 1 else 'classes'} with one member, maybe a slip: "
        f"{', '.join(asked)}{more}"
    ]


def nearest(value: str, known: Iterable[str]) -> str:
    """` (did you mean 'female'?)`: the known word that was probably meant, as part of a message."""
    near = nearest_names(value, known, likeness=NEAR, form=_letters)
    return f"{did_you_mean(map(repr, near), ' (did you mean')})" if near else ""


def _letters(value: str) -> str:
    """A word without case, blanks and forms of Unicode."""
    if number := re.fullmatch(r"([+-]?\d+)[.,]0+", value):
        return number[1]  # what a table of numbers makes of codes such as 1 and 2
    return " ".join(re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", value).casefold()).split())
