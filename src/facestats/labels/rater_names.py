"""What raters are called, and what statistics are: the words, and the kinds of names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from facestats.labels.columns import LABELS, RATER, plain

# Words in headers of statistics and counters, which are no raters: at a header's start or, from
# three letters on, at its end.
SUMMARY_WORD = re.compile(
    r"(mean|average|avg|median|sd|std|stdev|stddev|stderr|se|sem|ci|var|variance|n|count|sum|total"
    r"|rank|mittelwert|mw|durchschnitt|mode|modus|mdn|range|spread|iqr|spannweite|streuung"
    r"|trimmed|rounded|gerundet|overall|gesamt|mittel|all|rang|platz|ranking|diff|difference"
    r"|differenz|agree|agreement|match|mu|sigma|lower|upper"
    r"|summe|anzahl|stabw|stdabw|standardabweichung|moyenne|media|no|nr|number|id|index|row|line"
    r"|order|trial|lfd|lfdnr|rt|time|pos|position|latency|duration|seconds"
    r"|familiar|familiarity)"
)
# Parts of the headers of statistics beside other words.
STATISTIC_PARTS = frozenset("m sd se sem n ci mean mu sigma".split())
# Names of raters who are means of others.
MEAN_RATER_NAMES = tuple(
    """
    mean average avg median stdev total sum mittelwert durchschnitt summe moyenne grandtotal
    gesamt
    """.split()
)
# Names of other statistics, which may stand below a table.
STATISTIC_NAMES = frozenset(
    """
    m md n sd se sem std stdev stdabw stabw standardabweichung ci iqr var variance varianz count
    female male women men frauen männer weiblich männlich rating ratings
    anzahl max maximum min minimum range spread overall ø mw mdn mode modus spannweite streuung
    """.split()
)
# In headers of ratings of other things than attractiveness.
OTHER_TRAIT_HEADER = re.compile(
    r"trust|domina|friendl|intellig|compet|masculin|feminin|likea?b|sympath|warmth|typical"
    r"|distinctive|memorab|health|happi|aggress|confiden|sociab|smart(?!phone)"
)
# What was rated: attractiveness, or something else, within a few words.
ATTRACTIVE = re.compile(
    r"attract|attrakt|\battr|[\W_]attr|(\b|_)att(\b|_)|atra[ck]t|attirant|attrat+|attraent|beaut"
    r"|bellezza|schön|hübsch|looks|good.?looking|sexy|\bhot\b|appeal|pretty|handsome|guap|bonit|aantrekkel|привлекат|красив|魅力",
    re.IGNORECASE,
)
OTHER_TRAIT = re.compile(rf"{OTHER_TRAIT_HEADER.pattern}|vertrau|gesund|symm", re.IGNORECASE)
# In headers of columns that tell how often something was answered.
COUNT = re.compile(
    r"count|freq|num(ber)?[ _]?of|nummer|\bno\.? of|anzahl|häufig|nennung|stimmen|tally"
    r"|votes?\b|records|raters|occur|\bcnt\b|\bprop|percent|\bpct|share|weight|nombre|effectif|frecuencia"
    r"|aantal|^(0|n|size|len|num|number|obs|total|responses|n_\w+)$"
)
PERSONAL = frozenset(word for name in ("age", "gender", "ethnicity") for word in LABELS[name])
# Names of columns that are of groups of raters, or of answers, and not of one rater each.
GROUPS = frozenset(
    """
    female females male males women woman men man girls boys frauen frau männer mann weiblich
    männlich femmes hommes mujeres hombres
    yes no ja nein oui non si like likes dislike dislikes up down win wins loss losses lost hot not
    best worst pre post before after old young alt jung votes hits
    """.split()
)
# Words of headers that number raters.
RATER_WORDS = frozenset((*RATER, *"r p s vp sub coder student person".split()))
EXTREMES = ("max", "maximum", "highest", "min", "minimum", "lowest")


def summarizes(header: str) -> bool:
    """Whether a header names a statistic, a counter or a quality of somebody, as `age of rater`."""
    words = [word for word in re.split(r"[\W_]+", _composed(header).casefold()) if word]
    numbered = len(words) == 2 and words[1].isdigit()  # `No 4` may be a rater
    return "%" in header or (
        not numbered
        and any(
            word in PERSONAL or SUMMARY_WORD.fullmatch(word)
            for word in (plain(header), *words[:1], *(word for word in words[-1:] if len(word) > 2))
        )
    )


def is_called_statistic(name: str) -> bool:
    """Whether a line is called like a statistic, but for means, or like a label of the photos."""
    return plain(name) in STATISTIC_NAMES or summarizes(name)


def may_be_name(name: str, kinds: Sequence[tuple]) -> bool:
    """Whether a statistic's word may be a rater's name, as `SE`, beside raters of these kinds."""
    is_short = len(plain(name)) < 3 or len(words_of(name)) > 1 or plain(name) in EXTREMES
    return is_short and "%" not in name and kinds.count(kind_of(name)) > 1


def is_name(header: str) -> bool:
    """Whether it is one word with a capital, as `Max`."""
    return header.istitle() and header.isalpha()


def kind_of(header: str) -> tuple:
    """What a name is: numbered, with its words; a code of letters and digits; or words."""
    composed = _composed(header)
    name = re.sub(r"\b[-'’.](\w)", lambda found: found[1].lower(), composed)  # Anna-Lena
    *start, end = words_of(name) or [""]
    if end.isdigit():
        return ("numbered", *start)
    if any(map(str.isdigit, name)):
        return ("code",)
    letters = "".join(filter(str.isalpha, name))
    if not letters:
        return ("signs",)
    is_written = "one letter" if len(letters) == 1 else letters[0].isupper() + letters.isupper()
    return ("words", len(start), is_written)


def words_of(header: str) -> list[str]:
    """The words and numbers of a header in small letters; two of `annaRT` and of `r1`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _composed(header)).casefold().replace("_", " ")
    return re.findall(r"[^\W_]+", re.sub(r"\b([^\W\d]+)(\d+)\b", r"\1 \2", parted))


def parts_of(header: str) -> list[str]:
    """The words and numbers of a header, however they are joined: `S1Q2`, `Rater1Attr`, `R1a`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _composed(header)).casefold()
    return re.findall(r"[^\W\d_]+|\d+", parted)


def parted_number(header: str) -> tuple[str, int | None]:
    """The words of a header, and the number behind them; None without one."""
    *start, end = words_of(header) or [""]
    if end.isdecimal():
        return " ".join(start), int(end)
    return " ".join([*start, end]), None


def _composed(header: str) -> str:
    """A header as most programs write it; those of a Mac take `ü` apart."""
    return unicodedata.normalize("NFC", header)
