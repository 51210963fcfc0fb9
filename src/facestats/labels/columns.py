"""Which column of a label file holds what: headers as people and survey tools write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from facestats.errors import LabelError

# Headers in small letters and digits alone, by the column that they stand for; that column's own
# name comes first.
IMAGE = (
    "image",
    "filename",
    "images",
    "img",
    "imagename",
    "imagefile",
    "imagefilename",
    "imagepath",
    "imageid",
    "photo",
    "photoname",
    "photofile",
    "photoid",
    "picture",
    "picturename",
    "pic",
    "file",
    "files",
    "filepath",
    "path",
    "face",
    "facename",
    "faceid",
    "stimulus",
    "stimuli",
    "stim",
    "stim1",
    "stimulusname",
    "stimulusfile",
    "stimulusid",
    "stimfile",
    "stimname",
    "stimid",
    "item",
    "itemid",
    "itemname",
    "imageurl",
    "url",
    "bild",
    "bildname",
    "foto",
    "fotoname",
    "datei",
    "dateiname",
    "fichier",
    "imagen",
    "archivo",
    "immagine",
)
RATER = (
    "rater",
    "raterid",
    "ratername",
    "judge",
    "judgeid",
    "participant",
    "participantid",
    "participantname",
    "participantprivateid",
    "participantpublicid",
    "subject",
    "subjectid",
    "subjid",
    "subj",
    "respondent",
    "respondentid",
    "responseid",
    "observer",
    "observerid",
    "worker",
    "workerid",
    "user",
    "userid",
    "username",
    "prolificpid",
    "prolificid",
    "pid",
    "vp",
    "ppt",
    "ppid",
    "vpn",
    "vpnr",
    "vpid",
    "proband",
    "probandid",
    "versuchsperson",
    "teilnehmer",
    "bewerter",
    "juge",
    "participante",
)
RATING = (
    "rating",
    "ratings",
    "ratingvalue",
    "ratingresponse",
    "response",
    "responsevalue",
    "sliderresponse",
    "slidervalue",
    "score",
    "value",
    "answer",
    "judgement",
    "judgment",
    "attractiveness",
    "attractive",
    "bewertung",
    "urteil",
    "attraktivität",
    "puntuación",
)
LABELS: dict[str, Sequence[str]] = {
    "image": IMAGE,
    "gender": ("gender", "sex", "geschlecht", "sexe", "sexo", "genre", "género"),
    "ethnicity": ("ethnicity", "race", "ethnicgroup", "ethnie", "ethnizität"),
    "age": ("age", "ageyears", "ageinyears", "yearsold", "alter", "âge", "edad"),
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
OWN_NAMES = ("image", "filename")  # of the key; where a file has both, the first counts


def plain(header: str) -> str:
    """Small letters and digits alone: without case, blanks, units in brackets and what survey tools
    put in front.
    """
    text = unicodedata.normalize("NFKC", header).casefold()
    text = re.sub(r"\([^)]*\)|\[[^]]*\]|^(input|answer)\.", "", text).rpartition("spreadsheet:")[2]
    return re.sub(r"[\W_]+", "", text)


def find_columns(
    columns: Sequence[str], known: Mapping[str, Sequence[str]], path: Path
) -> dict[str, str]:
    """The header of each known column that is there, as it is written.

    The column's own name counts before other words for it, in whatever case.

    Raises
    ------
    LabelError
        Two headers say the same in other letters, or two could be one column and none has its own
        name.
    """
    found: dict[str, str] = {}
    for name, words in known.items():
        own = OWN_NAMES if name == "image" else (plain(name),)
        exact = [
            written
            for word in (OWN_NAMES if name == "image" else (name,))
            for written in columns
            if written == word
        ]
        spelt = [written for word in own for written in columns if plain(written) == word]
        other = [
            written
            for written in columns
            if plain(written) in words and written not in found.values()
        ]
        if exact or (spelt and len({plain(written) for written in spelt}) == len(spelt)):
            found[name] = (exact or spelt)[0]
        elif len(other) > 1:
            raise LabelError(
                f"{path}: the columns {' and '.join(map(repr, other))} could both be `{name}`; "
                f"call one of them {name}, and the other by a name of its own"
            )
        elif other:
            found[name] = other[0]
    return found


def say_columns(found: Mapping[str, str], path: Path) -> list[str]:
    """One line that says which headers were read as another word; none where all have their own
    names.
    """
    other = [
        f"{written!r} as {name}"
        for name, written in found.items()
        if plain(written) != plain(name) and not (name == "image" and plain(written) in OWN_NAMES)
    ]
    return [f"{path.name}: read {', '.join(other)}"] if other else []


def key_column(raw: pd.DataFrame, path: Path) -> str:
    """The header of the column that says which photo a row is about.

    Raises
    ------
    LabelError
        There is none.
    """
    key = find_columns(raw.columns, {"image": IMAGE}, path).get("image")
    if key is None:
        raise LabelError(no_image_column(raw, path))
    return key


def no_image_column(raw: pd.DataFrame, path: Path) -> str:
    """What to say where no column names the photos."""
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
        f"{', '.join(raw.columns) or 'nothing'}{meant}"
    )
