"""The columns of label files: headers as people and survey tools write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from facestats.errors import LabelError
from facestats.labels.tables import PREFIX
from facestats.machine.output import one_line

_TYPE = "ratingtype"  # of a judgement: no rating
_OTHER_UNIT = re.compile(
    r"month|monat|mois|mes|maand|månad|miesi|week|woche|semaine|semana|days|tage$|d[ií]as|jours"
    r"|giorni|dagen|dage$|dni|hour|stunden|quarter|group|decade"
)
_ABBREVIATED = {
    *"""
    mo mos mon mth mths mnth mnths m mdr wk wks w day days d dys tag tage tagen tg jours h hrs
    """.split()
}

# Words in brackets of a header that is not what it else says: `Rating (SD)`, `Age (of raters)`.
_ELSE = {
    *"""
    by certainty ci confidence count deviation diff difference error in iqr judge judges latency log
    max maximum min minimum missing ms n nr of order perceiver perceivers rank ranks rater raters
    rating ratings reaction response rt s sd se sec secs seconds sem sigma standard std stdev the
    time trial var variance z zscore
    """.split()
}
_SIGNS = re.compile(r"[#№%±?]|\+/-")
_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^][]*)\]")
_UNITS = {*"years year yrs yr y in jahre jahren años anni mean average avg to scale".split()}

# Headers as `plain` writes them, by the column that they stand for; its own name comes first.
IMAGE = tuple(
    """
    image filename images img imagename imagefile imagefilename imagepath imageid photo
    photoname photofile photoid picture picturename pic file files filepath path face facename
    faceid stimulus stimuli stim stim1 stimulusname stimulusfile stimulusid stimfile stimname
    stimid item itemid itemname imageurl url bild bildname foto fotoname datei dateiname fichier
    imagen archivo immagine
    """.split()
)
RATER = tuple(
    """
    rater raterid ratername judge judgeid participant participantid participantname
    participantprivateid participantpublicid subject subjectid subjid subj respondent
    respondentid responseid observer observerid worker workerid user userid username prolificpid
    prolificid pid vp ppt ppid vpn vpnr vpid proband probandid versuchsperson teilnehmer
    bewerter bewerterin beurteiler beurteilerin juge juez participante annotator annotatorid coder
    coderid evaluator evaluatorid reviewer labeler labeller assessor scorer voter subjectnumber
    subjectnr subid ratedby ratercode raterinitials judgename probandencode teilnehmercode
    évaluateur evaluador valutatore runid
    """.split()
)
RATING = tuple(
    """
    rating ratings ratingvalue ratingresponse response responsevalue sliderresponse slidervalue
    score value answer judgement judgment attractiveness attractive bewertung urteil
    attraktivität puntuación
    """.split()
)
LABELS: dict[str, Sequence[str]] = {
    "image": IMAGE,
    "gender": ("gender", "sex", "geschlecht", "sexe", "sexo", "genre", "género"),
    "ethnicity": ("ethnicity", "race", "ethnicgroup", "ethnie", "ethnizität"),
    "age": tuple(
        "age ageyears ageinyears ageyrs yearsold alter alterjahre alterinjahren âge edad".split()
    ),
    "rating": (
        "rating",
        "meanrating",
        "averagerating",
        "avgrating",
        "ratingmean",
        "attractiveness",
        "meanattractiveness",
        "score",
        "bewertung",
        "mittlerebewertung",
    ),
    "person": (
        "person",
        "personid",
        "personname",
        "identity",
        "individual",
        "who",
        "subject",
        "subjectid",
    ),
}
RATINGS: dict[str, Sequence[str]] = {
    "image": IMAGE,
    "rater": RATER,
    "rating": RATING,
    "rating_type": ("ratingtype", "trialtype"),
}
OWN_NAMES = ("image", "filename")  # of the key column; the first counts if a file has both


def plain(header: str) -> str:
    """Lower case, without blanks, signs, units in brackets and the prefixes of survey tools."""
    text = unicodedata.normalize("NFKC", header).casefold()
    for closing, pattern in ((")", r"\([^)]*\)"), ("]", r"\[[^]]*\]")):
        closed, end, rest = text.rpartition(closing)  # a search behind the last one takes n² steps
        text = re.sub(pattern, "", closed + end) + rest
    text = re.sub(r"^(input|answer)\.", "", text).rpartition("spreadsheet:")[2]
    return re.sub(r"[\W_]+", "", text)


def listed(columns: Iterable[str]) -> str:
    """Headers for a message: on one line, whatever is in them."""
    return one_line(", ".join(columns))


def find_columns(
    columns: Sequence[str], known: Mapping[str, Sequence[str]], path: Path
) -> dict[str, str]:
    """Find the header of each known column in a file.

    A column's own name, in whatever case, counts before other words for it, and before names with a
    number sign or brackets. What is in these may tell that it is something else: `Rating (SD)`.

    Parameters
    ----------
    columns : sequence of str
        Headers of the file.
    known : mapping of str to sequence of str
        Words for each column, as `plain` writes them.
    path : Path
        The file, for messages.

    Returns
    -------
    dict of str to str
        Header as the file writes it, by column; columns that the file lacks are left out.

    Raises
    ------
    LabelError
        Two headers could be the same column, and neither is its name.
    """
    headers: dict[str, str] = {}
    for name, words in known.items():
        names = OWN_NAMES if name == "image" else (name,)
        exact = [header for word in names for header in columns if header == word]
        spelt = [
            header
            for word in names
            for header in columns
            if plain(header) == plain(word) and not is_marked(header)
        ]
        other = [
            header
            for header in columns
            if plain(header) in words
            and header not in headers.values()
            and not is_else(header, name)
        ]
        unmarked = [header for header in other if not is_marked(header)]
        if name in ("image", "rater") and len(unmarked) == 1:
            other = unmarked  # beside it, `Image (order)` or `Rater #` is a number in the study
        alike = [
            header
            for header in other
            if plain(header) in {plain(word) for word in names} and not has_sign(header)
        ]
        if exact or (spelt and len({plain(header) for header in alike}) == len(alike)):
            headers[name] = (exact or spelt)[0]
        elif len(other) > 1:
            raise LabelError(
                f"{path}: the columns {' and '.join(map(repr, other))} could both be `{name}`; "
                f"call one of them {name}, and give the other another name"
            )
        elif other:
            headers[name] = other[0]
    return headers


def _in_brackets(header: str) -> set[str]:
    """The words and numbers in brackets of a header, in small letters."""
    parts = _BRACKETS.findall(unicodedata.normalize("NFKC", header))
    return {*re.findall(r"[^\W_]+", " ".join(map("".join, parts)).casefold())}


def is_marked(header: str) -> bool:
    """Whether a sign or brackets may make a header another column than its words say."""
    return has_sign(header) or bool(_in_brackets(header))


def has_sign(header: str) -> bool:
    """Whether a header has a sign that may make it another column: `Image #`, `Rating ±`."""
    return bool(_SIGNS.search(unicodedata.normalize("NFKC", header)))


def names_photo(header: str) -> bool:
    """Whether a column, which need not be the key, is called as those that name the photo."""
    return plain(header) in OWN_NAMES and not is_marked(header)


def is_else(header: str, name: str) -> bool:
    """Whether all words in brackets of a header say that it is not the column `name`."""
    words = _in_brackets(header)  # with numbers, they tell of a scale: (range 1 to 7)
    return name not in ("image", "rater") and bool(words) and words <= _ELSE


def describe_columns(headers: Mapping[str, str], path: Path) -> list[str]:
    """A note on headers that were read as another word; empty if all have their own names."""
    other = [
        f"{header!r} as {name}"
        for name, header in headers.items()
        if (plain(header) != plain(name) or any(map(str.isalpha, _in_brackets(header) - _UNITS)))
        and not (name == "image" and plain(header) in OWN_NAMES)
    ]
    return [f"{path.name}: read {', '.join(other)}"] if other else []


def find_further(name: str, columns: Sequence[str], path: Path) -> str | None:
    """Find the header of a further column, such as `glasses`: its name, or one spelt like it.

    Raises
    ------
    LabelError
        Several are spelt like it, and none is its name.
    """
    if name in columns:
        return name
    alike = [header for header in columns if plain(header) == plain(name)]
    if len(alike) > 1:
        raise LabelError(
            f"{path}: the columns {' and '.join(map(repr, alike))} could both be `{name}`; "
            f"call one of them {name}, and give the other another name"
        )
    return alike[0] if alike else None


def is_own(column: str) -> bool:
    """Whether a column of a label file, by its name, is one of the user's own."""
    return column not in LABELS


def key_column(raw: pd.DataFrame, path: Path) -> str:
    """The header of the column that names a row's photo.

    Raises
    ------
    LabelError
        There is no such column.
    """
    key = find_columns(raw.columns, {"image": IMAGE}, path).get("image")
    if key is None:
        raise LabelError(no_image_column(raw, path))
    return key


def no_image_column(raw: pd.DataFrame, path: Path) -> str:
    """The message for a file without a column that names the photos."""
    meant = next(
        (
            f"; did you mean {header!r}? Call it image"
            for header in raw.columns
            if plain(header) in ("id", "name", "code", "key", "title")
            and not raw[header].str.fullmatch(r"\d*").all()
        ),
        "",
    )
    return (
        f"{path}: there is no column `image` (path below the image folder); the header line has "
        f"{listed(raw.columns) or 'nothing'}{meant}"
    )


def rating_name(header: str) -> str:
    """`rating` or `rating_<trait>` for a header of ratings in whatever spelling; '' for another."""
    if plain(header) == _TYPE or is_else(header, "rating"):
        return ""
    if header == "rating" or header.startswith(PREFIX):
        return header
    text = re.sub(r"\([^()]*\)|\[[^][]*\]", "", unicodedata.normalize("NFKC", header))
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)  # RatingTrustworthy
    name = re.sub(r"[^\w-]+|_+", "_", words.lower()).strip("_")
    return re.sub(r"^rating[_-]+", PREFIX, name) if re.match(r"rating(?![^\W_])", name) else ""


def refuse_other_unit(header: str, path: Path) -> None:
    """Raise `LabelError` if a header of ages names another unit than years."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", header)  # ageDays
    words = re.findall(r"[^\W\d_]+", parted.casefold())
    if _OTHER_UNIT.search(header.casefold()) or {*words} & _ABBREVIATED:
        raise LabelError(
            f"{path}: the column {header!r} is not in years; give age in years, or the column "
            "another name"
        )
