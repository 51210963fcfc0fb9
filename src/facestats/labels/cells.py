"""Cells of label files: whether empty, which number or class they hold, and what is wrong."""

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
from facestats.labels.csv_text import NUMBER, SHOWN, line_or_row, shortened
from facestats.machine.output import one_line

# Words for "not known" in the spellings that programs and people use; `Na` and `Nan` are names.
EMPTY = frozenset(
    """
    NA na N/A n/a #N/A #n/a #NA <NA> N.A. n.a. NaN nan NAN NaT NULL null Null
    - -- – — ? ?? . (blank) (leer)
    """.split()
)
UNANSWERED = re.compile(
    r"missing|not available|n\.a|n/d|n\.d\.|k\. ?a\.|keine angabe|unbekannt|weiß nicht|inconnu"
    r"|desconocido|don't know|do not know"
    r"|prefer not to say|not specified|unspecified|undefined|tbd|\.\.\.|…|_"
    r"|#(value|ref|null|num)!|#div/0!|#name\?",
    re.IGNORECASE,
)
NONE = frozenset(["None", "none", "NONE"])  # a class in the user's own columns (glasses: none)
COMMA = re.compile(r"[+-]?\d+,\d+")
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # a decimal comma, or one between thousands
CLASS_SHOWN = 3  # classes with one member in a warning
FEW = 5  # below this many labels in a column, a class with one member is no surprise
MANY = 50  # above this many classes, a further column is taken for text
CODE = re.compile(r"-\d+|9+|[78]{2,}|9[78]")  # how surveys code a missing answer
SYNONYMS = {
    "woman": ("female",),
    "women": ("female",),
    "man": ("male",),
    "men": ("male",),
    "frau": ("weiblich", "female"),
    "mann": ("männlich", "male"),
    "w": ("weiblich", "female"),
    "weiblich": ("female",),
    "männlich": ("male",),
}
MAX_AGE = 130  # years
MAX_RATING = 1e6  # of any scale; a larger one is a typing error
LONGEST = 200  # signs of a cell in a message
NEAR = 0.75  # least similarity of a class that is proposed


class Mistakes:
    """Unusable cells of the label files, collected so that the user can fix them all at once."""

    def __init__(self) -> None:
        self._counts: dict[Path, int] = {}
        self._texts: dict[Path, list[tuple[int, str]]] = {}

    def add(
        self, path: Path, column: str, cells: pd.Series, expected: Callable[[str], str] | str
    ) -> None:
        """Add cells of one column that can't be used.

        Parameters
        ----------
        path : Path
            The file.
        column : str
            Its header.
        cells : Series of str
            The cells by line.
        expected : callable or str
            What should stand there; a callable takes the cell.
        """
        self.count(path, len(cells))
        texts = self._texts.setdefault(path, [])
        for line, value in cells.sort_index(kind="stable").iloc[:SHOWN].items():
            text = expected if isinstance(expected, str) else expected(value)
            texts.append((line, str(cell_error(path, line, column, value, text))))

    def count(self, path: Path, more: int) -> None:
        """Count mistakes that the message does not list."""
        if more:
            self._counts[path] = self._counts.get(path, 0) + more

    def raise_any(self) -> None:
        """Raise a `LabelError` with up to 20 mistakes a file and their number, if there are any."""
        messages = []
        for path, texts in self._texts.items():
            count = self._counts[path]
            shown = [text for _, text in sorted(texts, key=lambda item: item[0])]
            messages += (
                [f"{path}: {number_of(count, 'mistake')}, so the file is not used"]
                if count > 1
                else []
            )
            messages.append(shortened(shown, count))
        if messages:
            raise LabelError("\n".join(messages))


def cell_error(path: Path, line: int, column: str, value: str, expected: str) -> LabelError:
    """The error for one cell."""
    found = repr(value if len(value) <= LONGEST else value[:LONGEST] + "…")
    return LabelError(
        f"{path}, {line_or_row(path)} {line}, column {one_line(column)}: found {found}, expected "
        f"{one_line(expected)}"
    )


def is_empty(cell: str, own: bool = False) -> bool:
    """Whether nothing stands in a cell, or a word for "not known".

    In a user's own column (`own`, see `columns.is_own`), `none` is a class.
    """
    return (
        not cell
        or cell in EMPTY
        or (cell in NONE and not own)
        or cell.lower() == UNKNOWN
        or UNANSWERED.fullmatch(cell) is not None
    )


def without_empty(text: pd.Series, own: bool = False) -> pd.Series:
    """Replace by '' the cells that `is_empty` says are."""
    words = [word for word in text.dropna().unique() if is_empty(word, own)]
    return text.mask(text.isin(words), "")


def as_numbers(cells: pd.Series) -> pd.Series:
    """Cells as numbers, with decimal points or commas; NaN for others."""
    return pd.to_numeric(cells.str.replace(",", "."), errors="coerce")


def one_form(name: str) -> str:
    """A person's name in one form of Unicode; a number without decimals (`3.0` is `3`)."""
    return unicodedata.normalize("NFC", re.sub(r"^(\d+)[.,]0+$", r"\1", name.strip()))


def spelt_alike(name: str, values: Iterable[str]) -> list[str]:
    """Ask about people whose names differ only in case and blanks."""
    by_letters: dict[str, list[str]] = {}
    for value in sorted(set(values) - {""}):
        by_letters.setdefault("".join(value.casefold().split()), []).append(value)
    alike = [several for several in by_letters.values() if len(several) > 1]
    if not alike:
        return []
    first, second = alike[0][:2]
    return [
        f"{name} has {first!r} and {second!r}, which differ only in case or blanks; are they one?"
    ]


def numbers(
    text: pd.Series, path: Path, mistakes: Mistakes, low: float = -np.inf, high: float = np.inf
) -> pd.Series:
    """Cells as float64, empty ones as NaN; decimal commas are understood.

    `1,234` is ambiguous. It has a decimal comma if another cell of the column certainly has one and
    no cell has a point. Whatever is not a finite number in [low, high] is added to `mistakes`.
    """
    plain = text.str.replace("−", "-")
    comma = plain.str.fullmatch(COMMA)
    if comma.any():
        ambiguous = plain.str.fullmatch(AMBIGUOUS)
        decimal = (comma & ~ambiguous).any() and not plain.str.contains(".", regex=False).any()
        plain = plain.mask(comma & (~ambiguous | decimal), plain.str.replace(",", "."))
    values = pd.to_numeric(plain.mask(plain == ""), errors="coerce").astype("float64")
    wrong = ((text != "") & ~np.isfinite(values)) | (values < low) | (values > high)
    if wrong.any():
        span = "a number" if np.isinf(low) else f"a number from {low:g} to {high:g}"
        mistakes.add(
            path,
            str(text.name),
            text[wrong],
            lambda value: f"{span}, or nothing if unknown{_nearest_number(value, low, high)}",
        )
    return values.mask(wrong)


def number(text: str) -> float:
    """One cell as `numbers` reads it without others; NaN for what is no number."""
    plain = text.replace("−", "-")
    if COMMA.fullmatch(plain) and not AMBIGUOUS.fullmatch(plain):
        plain = plain.replace(",", ".")
    return float(pd.to_numeric(plain, errors="coerce"))


def _nearest_number(value: str, low: float, high: float) -> str:
    """What was probably meant by a cell that is no number, as the end of a message."""
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", value):
        return " (write a decimal point, or no comma between thousands)"
    if high == MAX_AGE and (
        re.fullmatch(r"(19|20)\d\d", value) or re.search(r"\d[./-]\d+[./-]\d", value)
    ):
        return " (a year or date of birth? Give the age in the photo)"
    if re.search(
        r"\d{4}-\d\d-\d\d|\d\W*(jan|feb|mar|mär|mrz|apr|mai|may|jun|jul|aug|sep|o[ck]t|nov|de[cz])",
        value.casefold(),
    ):
        return (
            " (did a spreadsheet turn a number into a date? Format the column as text or number "
            "and type it again)"
        )
    if value.startswith("-") or re.search(
        r"\d\s*(m|w|d)\b|mon|mois|mes|week|woche|day|tag", value.casefold()
    ):
        return ""  # an age in months or weeks has no nearest number of years
    digits = re.findall(r"\d+(?:[.,]\d+)?", value)
    number = digits[0].replace(",", ".") if len(digits) == 1 else None
    return (
        f" (did you mean {number}?)"
        if number and number != value and low <= float(number) <= high
        else ""
    )


def refuse_contradictions(
    frame: pd.DataFrame, key: str, shown: pd.Series, path: Path, mistakes: Mistakes
) -> None:
    """Add to `mistakes` the cells that contradict an earlier record of the same key.

    Parameters
    ----------
    frame : DataFrame
        Records by line; null cells contradict nothing.
    key : str
        The column that says whom a record is about.
    shown : Series of str
        What a message calls the record, by line.
    path : Path
        The file.
    mistakes : Mistakes
        Gets the cells.
    """
    repeated = frame[frame.duplicated(key, keep=False)]
    for column in repeated.columns.drop(key) if len(repeated) else ():
        labels = repeated[[key, column]].dropna(subset=column)
        first = labels.groupby(key)[column].transform("first")
        conflict = labels.index[labels[column] != first]
        for line in conflict[:SHOWN]:
            mistakes.add(
                path,
                column,
                labels.loc[[line], column].astype(str),
                f"{first[line]!s} as on an earlier line about {shown[line]}; correct or "
                "remove one of the two",
            )
        mistakes.count(path, len(conflict) - len(conflict[:SHOWN]))


def check_classes(
    columns: Iterable[tuple[Path, str, pd.Series]], standard: Iterable[str], mistakes: Mistakes
) -> list[str]:
    """Check for classes that are probably misspelt: the same in another spelling, or lonely ones.

    Parameters
    ----------
    columns : iterable of (Path, str, Series)
        File, column and its cells by line, null where empty; all files together.
    standard : iterable of str
        Columns in which two spellings of one class are a mistake; in others they are a warning.
    mistakes : Mistakes
        Gets the second spellings in `standard` columns.

    Returns
    -------
    list of str
        Warnings.
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
                first = other if len(other) <= FEW else other.drop_duplicates()
                mistakes.add(path, name, first, partial(_usual_spelling, usual, counts))
            elif len(other):
                warnings.append(
                    f"{path.name}: {name} has the classes {other.iloc[0]!r} and "
                    f"{usual[_letters(other.iloc[0])]!r}, which differ only in case or blanks; "
                    "are they one?"
                )
        warnings += _lonely(name, parts, counts[[*dict.fromkeys(usual.values())]])
    return warnings


def _usual_spelling(usual: dict[str, str], counts: pd.Series, value: str) -> str:
    spelling = usual[_letters(value)]
    cells = number_of(int(counts[spelling]), "cell")
    own = int(counts[value])
    return (
        f"one spelling for one class (did you mean {spelling!r}, as in {cells}?)"
        f"{f'; {value!r} stands in {own} cells' if own > 1 else ''}"
    )


def _coded(name: str, parts: list[tuple[Path, pd.Series]]) -> list[str]:
    """Ask about numbers among words, and about survey codes for a missing answer."""
    values = sorted({value for _, cells in parts for value in cells})
    words = [value for value in values if not NUMBER.fullmatch(value)]
    odd = [
        value
        for value in values
        if NUMBER.fullmatch(value) and (words or CODE.fullmatch(value)) and len(values) > 1
    ]
    return (
        [
            f"{name} has the classes {odd[0]!r} and "
            f"{next(value for value in values if value not in odd)!r}; if the first is a code for "
            "no answer, leave such cells empty"
        ]
        if odd and len(odd) < len(values)
        else []
    )


def _abbreviated(usual: dict[str, str]) -> dict[str, str]:
    """Map abbreviations and synonyms to the class they stand for: `f` or `woman` to `female`."""
    full = {}
    for word in usual:
        other = [
            longer
            for longer in usual
            if len(word) == 1 and len(longer) > 1 and longer.startswith(word)
        ] or [same for same in SYNONYMS.get(word, ()) if same in usual][:1]
        if len(other) == 1 and other[0] != word:
            full[word] = usual[other[0]]
    return full


def _lonely(name: str, parts: list[tuple[Path, pd.Series]], counts: pd.Series) -> list[str]:
    """Ask about the classes with one member."""
    lonely = sorted(counts.index[counts == 1])
    if not lonely or counts.sum() < FEW or counts.max() == 1:
        return []
    examples = []
    for value in lonely[:CLASS_SHOWN]:
        path, line = next(
            (path, cells.index[cells == value][0])
            for path, cells in parts
            if (cells == value).any()
        )
        examples.append(
            f"{value!r} in {path.name}, line "
            f"{line}{nearest(value, [other for other in counts.index if counts[other] > 1])}"
        )
    more = f" and {len(lonely) - len(examples)} more" if len(lonely) > len(examples) else ""
    return [
        f"{name} has {'a class' if len(lonely) == 1 else 'classes'} with one member, perhaps a "
        f"typing error: {', '.join(examples)}{more}"
    ]


def nearest(value: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, as part of a message: ` (did you mean 'female'?)`."""
    near = nearest_names(value, known, likeness=NEAR, form=_letters)
    return f"{did_you_mean(map(repr, near), ' (did you mean')})" if near else ""


def _letters(value: str) -> str:
    """A word in lower case and one form of Unicode, its blanks and underscores made one blank."""
    if number := re.fullmatch(r"([+-]?\d+)[.,]0+", value):
        return number[1]  # spreadsheets turn the code 1 into 1.0
    return " ".join(re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", value).casefold()).split())
