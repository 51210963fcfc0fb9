"""Texts and numbers of the report: names free of markup, values with their intervals, plurals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from facestats.core.stats.intervals import interval_text, number_text
from facestats.machine.output import one_line

NOT_MEASURED = "not measured"
# What Markdown, or a viewer of it, makes something of: tags and entities, links and pictures,
# columns, formulas, lists, marks around words, addresses.
_MARKUP = re.compile(r"[<>&\[\]|\\~$!#@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.|^-")
_EMPHASIS = re.compile(r"[*`]")
# Between two single backticks; any others pair in another way than they seem to.
_CODE = re.compile(r"((?<!`)`[^`]+`(?!`))|`")
_OWN_WORDS = ("why", "text", "doubt")  # sentences of this package, with names in them
# Code points for private use stand for such signs until a page is written.
_SHIFT = 0xF0000
STAND_IN = re.compile(f"[{chr(_SHIFT)}-{chr(_SHIFT + 0x7F)}]")


def as_plain(content: Any, own: bool = False) -> Any:
    """Make all texts free of markup: labellers' words and folders' names among them.

    A sign that would mean something has a stand-in, which `written_as_markdown` and `written_as_is`
    replace.

    Parameters
    ----------
    content : any
        Such as the contents of a metric file.
    own : bool
        This is a sentence of the package itself: its asterisks stay, and so do single backticks
        around a word.

    Returns
    -------
    any
        Of the same structure.
    """
    if isinstance(content, dict):
        return {as_plain(key): as_plain(value, key in _OWN_WORDS) for key, value in content.items()}
    if isinstance(content, list):
        return [as_plain(value, own) for value in content]
    if not isinstance(content, str):
        return content
    text = _MARKUP.sub(_stand_in, one_line(content))
    return (
        _CODE.sub(lambda match: match[0] if match[1] else _stand_in(match), text)
        if own
        else _EMPHASIS.sub(_stand_in, text)
    )


def _stand_in(match: re.Match) -> str:
    return chr(_SHIFT + ord(match[0]))


def written_as_markdown(page: str) -> str:
    """Write a page of Markdown with its stand-ins as the signs that they are, behind a backslash.

    In code they stand as they are, but for bars in tables.
    """
    return "\n".join(
        "".join(
            _written(part, i % 2 == 1, line.startswith("| "))
            for i, part in enumerate(re.split("(`[^`]*`)", line))
        )
        for line in page.split("\n")
    )


def _written(part: str, code: bool, in_table: bool) -> str:
    if code:
        part = part.replace(chr(_SHIFT + ord("`")), "'")  # which would end it
        return written_as_is(part.replace(chr(_SHIFT + ord("|")), r"\|") if in_table else part)
    return STAND_IN.sub(lambda sign: f"\\{written_as_is(sign[0])}", part)


def written_as_is(text: str) -> str:
    """A text with its stand-ins as the signs that they are."""
    return STAND_IN.sub(lambda sign: chr(ord(sign[0]) - _SHIFT), text)


def measured(metric: Mapping | None, digits: int = 2) -> str:
    """Write a measured value with its interval, without which none stands.

    Parameters
    ----------
    metric : mapping, optional
        `value`, `low` and `high`.
    digits : int
        Decimals.

    Returns
    -------
    str
        `0.57 (0.41 to 0.71)`, or `not measured` where there is no value.
    """
    if not metric or metric.get("value") is None or metric.get("low") is None:
        return NOT_MEASURED
    return interval_text(metric, f".{digits}f")


def number(value: float, digits: int) -> str:
    """Rounded, with a true minus sign and without a negative zero."""
    return number_text(value, f".{digits}f")


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(counts: Mapping[str, int]) -> str:
    """`female 174, male 153`."""
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def beyond_chance(metric: Mapping) -> bool:
    """Whether an interval leaves 0 out."""
    return metric["low"] > 0 or metric["high"] < 0


def plural(n: int, one: str, more: str) -> str:
    """The form of a word that fits a number."""
    return one if n == 1 else more


def capital(text: str) -> str:
    """The same with its first letter as a capital."""
    return text[0].upper() + text[1:]


def sentence(text: str) -> str:
    """A clause as a sentence, with a capital and a full stop."""
    return f"{capital(text)}."
