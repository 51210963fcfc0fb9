"""Headers of tables with a column a rater: those of two columns, or questions, and unlike ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from facestats.errors import LabelError
from facestats.labels.chosen_raters import ALL, CLOSE, doubtful
from facestats.labels.rater_names import (
    ATTRACTIVE,
    OTHER_TRAIT_HEADER,
    STATISTIC_PARTS,
    is_name,
    kind_of,
    parts_of,
    summarizes,
    words_of,
)

INITIAL = re.compile(r"[^\W\d_]\.? ?[^\W\d_]{2,}|[^\W\d_]{2,} [^\W\d_]\.?")  # N. Koch, Anna M.
LONG_CODE = 6  # signs; codes of one length are alike, whichever of them are digits
BRACKETS = re.compile(r"\(([^()]*)\)|\[([^][]*)\]")


def refuse_other_traits(raters: Sequence[str], path: Path) -> None:
    """Raise `LabelError` for a column about another trait than attractiveness."""
    traits = [column for column in raters if OTHER_TRAIT_HEADER.search(column.casefold())]
    if traits:
        raise LabelError(
            f"{path}: the column {traits[0]!r} is no rater's and not about attractiveness; leave "
            "only the ratings that you mean, with a column a rater"
        )


def refuse_pairs(raters: Sequence[str], path: Path) -> None:
    """Raise `LabelError` where headers are not those of one rater each.

    Parameters
    ----------
    raters : sequence of str
        Columns that may be raters'.
    path : Path
        The file, for messages.

    Raises
    ------
    LabelError
        A header may be a statistic's (`Attractiveness_M`), or two of one rater (`anna`, `anna_rt`)
        or of different questions (`P1_attr`, `P2_symm`).
    """
    words = Counter(word for rater in raters for word in {*words_of(rater)})
    for rater in raters:
        own = words_of(rater)
        others = [word for word in own if word not in STATISTIC_PARTS]
        is_person = (
            len(raters) > 2 and INITIAL.fullmatch(rater) and all(words[w] < 2 for w in others)
        )
        if len(own) > 1 and len(others) < len(own) and not is_person:  # Attractiveness_M, SD1
            raise doubtful(rater, "may be a statistic", path)
    parts = {rater: _parts(rater) for rater in raters}
    pair = next(_pairs_of_a_rater(parts), None)
    if pair:
        raise LabelError(
            f"{path}: the columns {pair[0]!r} and {pair[1]!r} may be of one rater, or of one thing "
            f"by two; leave one column a rater, and {ALL}"
        )
    pair = next(_pairs_of_questions(parts), None)
    if pair:
        raise LabelError(
            f"{path}: the columns {pair[0]!r} and {pair[1]!r} may be about different things; leave "
            f"only the ratings that you mean, and {ALL}"
        )


def _has_digit(header: str) -> bool:
    return any(map(str.isdecimal, header))


def _parts(header: str) -> tuple[str, ...]:
    """Words and numbers of a header; `R1` and `R01` have the same."""
    return tuple(str(int(part)) if part.isdecimal() else part for part in parts_of(header))


def _pairs_of_a_rater(parts: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Headers that may be of the same rater."""
    by_parts: dict[tuple[str, ...], str] = {}
    for rater, own in parts.items():
        if own in by_parts:  # R1 and R01, anna and anna*
            yield by_parts[own], rater
        by_parts[own] = rater
    for own, longer in by_parts.items():  # anna and anna_rt, know_anna
        for n in range(1, len(own)):
            for shorter in (own[:n], own[n:]):
                if shorter in by_parts:
                    yield by_parts[shorter], longer
    yield from _glued(parts)
    ends: dict[tuple[str, ...], dict[str, str]] = {}
    for own, rater in by_parts.items():
        if own:
            ends.setdefault(own[:-1], {})[own[-1]] = rater
    for start, own_ends in ends.items():  # R1a and R1b
        words = [rater for end, rater in own_ends.items() if end.isalpha()]
        if len(words) > 1 and any(map(str.isdecimal, start)):
            yield words[0], words[1]
    grid = [own_ends for start, own_ends in ends.items() if start and len(own_ends) > 1]
    for one, other in combinations(grid, 2):  # anna_a, anna_b, ben_a, ben_b
        shared = [end for end in one if end in other]
        if len(shared) > 1:
            yield one[shared[0]], one[shared[1]]
    forms: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for own in by_parts:
        forms.setdefault(tuple("#" if part.isdecimal() else part for part in own), []).append(own)
    for alike in forms.values():  # S1Q1, S2Q1, S1Q2
        varied = [{*numbers} for numbers in zip(*alike, strict=True) if len({*numbers}) > 1]
        if len(varied) > 1:
            yield by_parts[alike[0]], by_parts[alike[-1]]


def _glued(raters: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Headers of which one is the other and more at an end: `AK`, `AKRT`; not `ann`, `anna`."""
    names: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for step in (1, -1):
        in_order = sorted((rater.casefold()[::step], rater) for rater in raters)
        for at, (start, one) in enumerate(in_order):
            for longer, other in in_order[at + 1 :]:
                if not longer.startswith(start):
                    break
                further = longer[len(start) :]
                is_more = further[0].isalpha() or (
                    further[0].isdecimal() and kind_of(one)[0] == "code"
                )
                if len(one) > 1 and is_more and other.isalpha() and not summarizes(further):
                    names.setdefault((step, further), []).append((one, other))
                elif len(one) > 1 and is_more:
                    yield one, other
    for pairs in names.values():
        if len(pairs) > 1:
            yield pairs[0]


def _pairs_of_questions(parts: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Headers, of one rater each, that may be about different things."""
    in_brackets: dict[object, str] = {}  # Anna (attr), Ben (symm)
    numbered: dict[tuple[str, ...], dict[str, str]] = {}  # P1_attr, P2_symm
    worded: tuple[dict[str, list[str]], ...] = ({}, {})  # attr Anna, attr Ben, symm Cem
    named: dict[bool, str] = {}  # Anna attr, Ben symm
    for rater, own in parts.items():
        found = BRACKETS.search(rater)
        in_brackets.setdefault(found and found[0].casefold(), rater)
        if len(own) > 1 and own[-1].isalpha() and own[-2].isdecimal():
            numbered.setdefault(own[:-2], {}).setdefault(own[-1], rater)
        if len(own) > 1 and not any(map(str.isdecimal, own)):
            for words, word in zip(worded, (own[0], own[-1]), strict=True):
                if len(word) > 1:  # no initial
                    words.setdefault(word, []).append(rater)
        named.setdefault(any(map(ATTRACTIVE.search, own)), rater)
    apart = [[*several.values()] for several in (in_brackets, named, *numbered.values())]
    for words in worded:
        if 2 * len(words) <= sum(map(len, words.values())) + 1:
            apart.append([own[0] for own in words.values()])
    for one, other, *_ in (several for several in apart if len(several) > 1):
        yield one, other


def refuse_unlike(raters: Sequence[str], path: Path) -> None:
    """Raise `LabelError` where a column is called unlike the others: `rater 1, rater 2, smile`."""
    lengths, with_digits = {*map(len, raters)}, sum(map(_has_digit, raters))
    if len(lengths) == 1 and min(lengths) >= LONG_CODE and 2 * with_digits > len(raters):
        return
    alike: dict[tuple, list[str]] = {}
    for rater in raters:
        alike.setdefault(kind_of(rater), []).append(rater)
    codes = [own[0] for kind, own in alike.items() if kind[0] == "numbered" and len(own) == 1]
    codes = [code for code in codes if code.isalnum()]
    for code in codes if len(codes) > 1 else ():  # JK92, AB71; not T1
        del alike[kind_of(code)]
        form = Counter(map(str.isdecimal, code)) if code.isupper() else {}
        kind = ("code", code.isupper(), code.islower(), *sorted(form.items()))
        alike.setdefault(kind, []).append(code)
    usual, *unlike = sorted(alike.values(), key=len, reverse=True)
    if unlike and not (len(raters) == 2 and any(map(is_name, raters))):
        raise LabelError(
            f"{path}: the column {unlike[0][0]!r} is called unlike {usual[0]!r}; {CLOSE}"
        )
