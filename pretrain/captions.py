"""Captions of drawn faces, in many wordings, and which other faces they are true of.

A caption is a list of facts; a fact is an interval of one column of `seen`. So it can be told of
any face whether a caption fits it, and faces that a caption fits as well are no false negatives in
training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facestats.sample.traits import BACKGROUNDS, HAIR_STYLES, Traits

HAIR_COLOURS = ("black", "brown", "blond", "red", "grey")
SEEN = (
    "male",
    "age",
    "skin",
    "hair_style",
    "hair_colour",
    "glasses",
    "beard",
    "moustache",
    "smile",
    "freckles",
    "makeup",
    "wrinkles",
    "background",
    "fringe",
)
_COLUMN = {name: i for i, name in enumerate(SEEN)}
MOST_PARTS = 3  # said of a face besides who it is
Fact = tuple[str, float, float]  # column of `seen`, lowest and highest value


@dataclass(frozen=True)
class Caption:
    """Words, and the facts that they state: `low` and `high` are float32 (len(SEEN),)."""

    text: str
    low: np.ndarray
    high: np.ndarray


def seen(traits: Traits) -> np.ndarray:
    """What captions can speak of, as numbers: float32 (len(SEEN),)."""
    grey = traits.grey > 0.5
    colour = "grey" if grey else traits.hair_colour
    bald = traits.hair_style == "bald"
    return np.array(
        [
            traits.gender == "male",
            traits.age,
            traits.skin,
            HAIR_STYLES.index(traits.hair_style),
            -1 if bald else HAIR_COLOURS.index(colour),
            traits.glasses,
            traits.beard,
            traits.moustache,
            traits.smile,
            traits.freckles,
            traits.makeup,
            traits.wrinkles,
            BACKGROUNDS.index(traits.background),
            traits.fringe,
        ],
        np.float32,
    )


def fits(low: np.ndarray, high: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which captions are true of which faces: bool (captions, faces), from (captions, k),
    (captions, k), (faces, k).
    """
    return ((low[:, None] <= faces[None]) & (faces[None] <= high[:, None])).all(axis=2)


def describe(face: np.ndarray, rng: np.random.Generator) -> Caption:
    """Draw a caption that is true of a face, given as `seen` gives it."""
    value = dict(zip(SEEN, face.tolist(), strict=True))
    facts: list[Fact] = []
    subject = _subject(value, rng, facts)
    parts = []
    for i in rng.permutation(len(_SAYINGS)):
        chance, say = _SAYINGS[i]
        phrase = say(value, rng) if rng.random() < chance and len(parts) < MOST_PARTS else None
        if phrase is not None:
            parts.append(phrase[0])
            facts += phrase[1]
    low, high = np.full(len(SEEN), -np.inf, np.float32), np.full(len(SEEN), np.inf, np.float32)
    for name, lowest, highest in facts:
        low[_COLUMN[name]], high[_COLUMN[name]] = lowest - 1e-4, highest + 1e-4
    return Caption(_sentence(subject, parts, rng), low, high)


def _one(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


_WOMAN, _MAN, _PERSON = (
    ("woman", "lady", "female person", "female"),
    ("man", "guy", "male person", "male"),
    ("person", "face", "human", "adult"),
)
_AGES = (
    (18, 29, ("young", "youthful")),
    (18, 29, ("in the twenties", "under thirty", "about 25 years old", "20 years old")),
    (30, 39, ("in the thirties", "about 35 years old", "30 years old")),
    (40, 49, ("in the forties", "about 45 years old", "40 years old")),
    (40, 59, ("middle-aged", "mature")),
    (50, 59, ("in the fifties", "about 55 years old", "50 years old")),
    (60, 69, ("in the sixties", "about 65 years old", "60 years old")),
    (70, 90, ("in the seventies", "about 75 years old", "70 years old")),
    (62, 90, ("old", "elderly", "senior", "aged")),
)


def _subject(value: dict, rng: np.random.Generator, facts: list[Fact]) -> str:
    """Noun with age words around it: "an elderly woman", "man in the forties"."""
    noun = _one(rng, _PERSON)
    if rng.random() < 0.72:
        noun = _one(rng, (_MAN if value["male"] else _WOMAN)[: 2 if rng.random() < 0.7 else 4])
        facts.append(("male", value["male"], value["male"]))
    if rng.random() < 0.45:
        fitting = [a for a in _AGES if a[0] - 0.5 <= value["age"] < a[1] + 0.5]
        if fitting:
            low, high, words = fitting[int(rng.integers(len(fitting)))]
            facts.append(("age", low - 0.5, high + 0.5))
            word = _one(rng, words)
            noun = f"{noun} {word}" if " " in word else f"{word} {noun}"
    return noun


def _exactly(name: str, value: dict) -> list[Fact]:
    return [(name, value[name], value[name])]


def _glasses(value: dict, rng: np.random.Generator):
    words = ("with glasses", "wearing glasses", "with spectacles", "in eyeglasses")
    without = ("without glasses", "not wearing glasses", "with no glasses")
    return _one(rng, words if value["glasses"] else without), _exactly("glasses", value)


def _beard(value: dict, rng: np.random.Generator):
    if value["beard"]:
        if not value["moustache"] and rng.random() < 0.3:
            return "with a beard and no moustache", _exactly("beard", value) + _exactly(
                "moustache", value
            )
        return _one(
            rng, ("with a beard", "with a full beard", "bearded", "with facial hair")
        ), _exactly("beard", value)
    return _one(rng, ("clean-shaven", "without a beard", "with no beard", "beardless")), _exactly(
        "beard", value
    )


def _smile(value: dict, rng: np.random.Generator):
    smile = value["smile"]
    if smile >= 0.8 and rng.random() < 0.4:
        return _one(
            rng, ("with a broad smile", "laughing", "grinning", "showing teeth in a smile")
        ), [("smile", 0.8, 1.0)]
    if smile >= 0.5:
        return _one(rng, ("smiling", "with a smile", "looking happy", "with a happy expression")), [
            ("smile", 0.5, 1.0)
        ]
    return _one(
        rng,
        (
            "not smiling",
            "with a neutral expression",
            "looking serious",
            "with a straight face",
            "without a smile",
        ),
    ), [("smile", 0.0, 0.4999)]


def _hair(value: dict, rng: np.random.Generator):
    style = int(value["hair_style"])
    if HAIR_STYLES[style] == "bald":
        return _one(rng, ("bald", "with a bald head", "without hair")), _exactly(
            "hair_style", value
        )
    lengths = {
        "buzz": ("buzz-cut", "very short"),
        "short": ("short",),
        "medium": ("medium-length", "half-long"),
        "long": ("long",),
        "tied": ("tied-back",),
    }
    colour = HAIR_COLOURS[int(value["hair_colour"])]
    colour = {
        "blond": _one(rng, ("blond", "blonde", "fair")),
        "red": _one(rng, ("red", "ginger")),
        "grey": _one(rng, ("grey", "gray", "white")),
    }.get(colour, colour)
    length = _one(rng, lengths[HAIR_STYLES[style]])
    kind = rng.random()
    if kind < 0.35:
        return f"with {length} hair", _exactly("hair_style", value)
    if kind < 0.75:
        return f"with {colour} hair", _exactly("hair_colour", value)
    return f"with {length} {colour} hair", _exactly("hair_style", value) + _exactly(
        "hair_colour", value
    )


_SKINS = (
    ("very light skin", "pale skin", "fair skin"),
    ("light brown skin", "tan skin", "olive skin"),
    ("brown skin", "medium brown skin"),
    ("dark skin", "very dark skin", "deep brown skin"),
)


def _skin(value: dict, rng: np.random.Generator):
    quarter = min(int(value["skin"] * 4), 3)
    return f"with {_one(rng, _SKINS[quarter])}", [("skin", quarter / 4, (quarter + 1) / 4)]


def _details(value: dict, rng: np.random.Generator):
    options: list[tuple[str, list[Fact]]] = []
    if value["moustache"] and not value["beard"]:
        options.append(("with a moustache", _exactly("moustache", value)))
    if value["freckles"] > 0.4:
        options.append(("with freckles", [("freckles", 0.4, 1)]))
    if value["makeup"] > 0.6:
        options.append(("wearing makeup", [("makeup", 0.6, 1)]))
    if value["wrinkles"] > 0.6:
        options.append((_one(rng, ("with wrinkles", "with wrinkled skin")), [("wrinkles", 0.6, 1)]))
    if value["wrinkles"] < 0.15:
        options.append(("with smooth skin", [("wrinkles", 0, 0.15)]))
    if value["fringe"]:
        options.append(("with a fringe", _exactly("fringe", value)))
    if not options:
        return None
    return options[int(rng.integers(len(options)))]


def _background(value: dict, rng: np.random.Generator):
    colour = BACKGROUNDS[int(value["background"])]
    return _one(rng, ("on a {} background", "in front of a {} wall")).format(colour), _exactly(
        "background", value
    )


# Probability of being said, and how.
_SAYINGS: tuple[tuple[float, Callable], ...] = (
    (0.38, _glasses),
    (0.25, _beard),
    (0.5, _smile),
    (0.3, _hair),
    (0.25, _skin),
    (0.12, _details),
    (0.05, _background),
)


def _sentence(subject: str, parts: list[str], rng: np.random.Generator) -> str:
    """One of several ways to string subject and parts together, lower case."""
    before = [p for p in parts if " " not in p]  # "bearded", "smiling": may stand before the noun
    if before and rng.random() < 0.5:
        parts = [p for p in parts if p != before[0]]
        subject = f"{before[0]} {subject}"
    article = "an" if subject[0] in "aeiou" else "a"
    named = f"{article} {subject}"
    lead = _one(
        rng,
        (
            "a photo of ",
            "a photo of ",
            "a photo of ",
            "a picture of ",
            "a portrait of ",
            "a close-up of ",
            "a drawing of ",
            "a headshot of ",
            "an image of ",
            "the face of ",
            "",
        ),
    )
    glue = _one(rng, (", ", " and ", ", "))
    text = lead + " ".join([named, *parts[:1]])
    return text + "".join(
        (glue if i == len(parts) - 2 else ", ") + part for i, part in enumerate(parts[1:])
    )
