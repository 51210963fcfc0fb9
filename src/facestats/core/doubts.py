"""Doubts about a picture of a face: one list for the flags, the functions and the command line.

Every threshold was measured on photographs. docs/methods/doubts.md has the rates; `python -m
benchmarks.doubts` measures them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facestats.core.landmarks import SURE_PRESENCE, is_doubtful

if TYPE_CHECKING:
    from facestats.faces.crop import FaceCrop

MIN_FACE = 64.0  # px of the photo; a smaller face's crop is mostly interpolation
MAX_TURN = 30.0  # degrees of yaw or pitch; beyond, half of the face is hardly visible
MIN_SHARPNESS = 0.013
DARK, BRIGHT = 0.13, 0.86  # mean luma inside the face
HIDDEN = 0.5  # least `occlusion` of a face that is partly hidden
DRAWN = 0.5  # least `drawing` of a drawn face
PHOTOGRAPHED = 0.05  # a face with less `drawing` is surely a photograph
SURELY_DRAWN = 0.9  # a face among photographs with more counts as a drawing
MIN_JUDGED = 80.0  # px of the photo; smaller faces look alike, drawn or not
RATHER_DRAWN = 0.1  # least median in a project of drawings
# Up to this share of drawings in a project, a drawing is doubtful; from the other on, a photograph
# is. In between nothing is, for some kinds of drawing are seldom recognized.
FEW_DRAWN, MOST_DRAWN = 0.3, 0.5

SEPARATOR = ", "  # between reasons in the column `doubts` of `attributes_final.parquet`

# The columns of `faces.parquet` that doubts depend on.
FACTS = [
    "face_count",
    "confidence",
    "presence",
    "box",
    "yaw",
    "pitch",
    "sharpness",
    "brightness",
    "occlusion",
    "drawing",
]


@dataclass(frozen=True)
class Doubt:
    """Something doubtful about one picture.

    Attributes
    ----------
    reason : str
        As in `attributes_flags.parquet`.
    value : float
        The number behind it; NaN for none.
    text : str
        The same in words.
    """

    reason: str
    value: float
    text: str


@dataclass(frozen=True)
class _Kind:
    reason: str
    value: Callable[[pd.DataFrame], pd.Series]  # of a table with the columns `FACTS`
    doubtful: Callable[[pd.Series], pd.Series]
    text: str
    rising: bool = True  # the smallest value is the worst


def _side(faces: pd.DataFrame) -> pd.Series:
    """Long side of the detector's box, px."""
    sides = [
        np.nan if box is None or not np.ndim(box) else max(box[2] - box[0], box[3] - box[1])
        for box in faces["box"]
    ]
    return pd.Series(sides, index=faces.index, dtype=float)


def _judged_drawing(faces: pd.DataFrame) -> pd.Series:
    """`drawing` of faces that show enough to tell: neither small nor blurred."""
    return faces["drawing"].where(
        (_side(faces) >= MIN_JUDGED) & (faces["sharpness"] >= MIN_SHARPNESS)
    )


_KINDS = (
    _Kind(
        "no_face",
        lambda faces: faces["confidence"].isna().map({True: 0.0, False: np.nan}),
        lambda value: value.notna(),
        "no face found: the middle of the photo was taken",
    ),
    _Kind(
        "low_confidence",
        lambda faces: faces["presence"],
        is_doubtful,
        f"perhaps no human face: presence {{:.3f}}, below {SURE_PRESENCE:g}",
    ),
    _Kind(
        "several_faces",
        lambda faces: faces["face_count"],
        lambda value: value > 1,
        "{:.0f} faces: the largest was taken",
        rising=False,
    ),
    _Kind(
        "small_face",
        _side,
        lambda value: value < MIN_FACE,
        "the face is only {:.0f} px wide in the photo",
    ),
    _Kind(
        "extreme_pose",
        lambda faces: faces[["yaw", "pitch"]].abs().max(axis=1),
        lambda value: value > MAX_TURN,
        f"the head is turned by {{:.0f}}°, more than {MAX_TURN:.0f}°",
        rising=False,
    ),
    _Kind(
        "half_hidden",
        lambda faces: faces["occlusion"],
        lambda value: value >= HIDDEN,
        "a part of the face seems to be hidden",
        rising=False,
    ),
    _Kind(
        "blurred",
        lambda faces: faces["sharpness"],
        lambda value: value < MIN_SHARPNESS,
        f"the face is blurred: sharpness {{:.2g}}, below {MIN_SHARPNESS:g}",
    ),
    _Kind(
        "dark",
        lambda faces: faces["brightness"],
        lambda value: value < DARK,
        f"the face is dark: brightness {{:.2f}} of 1, below {DARK:g}",
    ),
    _Kind(
        "bright",
        lambda faces: faces["brightness"],
        lambda value: value > BRIGHT,
        f"the face is over-exposed: brightness {{:.2f}} of 1, above {BRIGHT:g}",
        rising=False,
    ),
)
_DRAWING = _Kind(
    "drawing",
    _judged_drawing,
    lambda value: value >= DRAWN,
    "a drawing, it seems; the models were trained on photographs",
    rising=False,
)
_PHOTOGRAPH = _Kind(
    "photograph",
    _judged_drawing,
    lambda value: value < PHOTOGRAPHED,
    "a photograph, it seems; the models were trained on drawings",
)
# Reasons for which composites leave faces out. A small face is not one of them: if it shows too
# little, it is blurred, too.
PICTURE = tuple(
    kind.reason
    for kind in (*_KINDS, _DRAWING, _PHOTOGRAPH)
    if kind.reason not in ("several_faces", "small_face")
)


def drawn_share(faces: pd.DataFrame) -> float:
    """Share of drawings among a project's faces (rows of `faces.parquet`); 0 without faces."""
    known = faces["drawing"].dropna()
    return float((known >= DRAWN).mean()) if len(known) else 0.0


def mostly_drawn(faces: pd.DataFrame) -> bool:
    """Whether most faces of a project (rows of `faces.parquet`) are drawings; False without faces.

    Of faces left out of training, half of the drawn sample lie above 0.99, half of 900 photographs
    below 0.003, and 99 % of these below 0.16.
    """
    known = faces["drawing"].dropna()
    return bool(len(known) and known.median() >= RATHER_DRAWN)


def are_photographs(faces: pd.DataFrame, drawn: bool) -> pd.Series:
    """Which faces are photographs: bool by row.

    A face that may be either counts as what most faces of the project are.

    Parameters
    ----------
    faces : DataFrame
        Rows of `faces.parquet`.
    drawn : bool
        Whether most faces of the project are drawings, by `mostly_drawn`.
    """
    return ~(faces["drawing"] >= (PHOTOGRAPHED if drawn else SURELY_DRAWN))


def doubtful_faces(faces: pd.DataFrame, drawn: float) -> Iterator[tuple[str, pd.Series, bool]]:
    """Yield every kind of doubt with the faces that it is about, the most serious kind first.

    Parameters
    ----------
    faces : DataFrame
        Accepted faces, with the columns `FACTS` of `faces.parquet`.
    drawn : float
        Share of drawings among the faces that the models were trained on, by `drawn_share`.

    Yields
    ------
    reason : str
        As in `attributes_flags.parquet`.
    values : Series
        The value of each doubtful face, with the index of `faces`.
    rising : bool
        Whether the smallest value is the worst.
    """
    strange = [_DRAWING] if drawn <= FEW_DRAWN else [_PHOTOGRAPH] if drawn >= MOST_DRAWN else []
    for kind in (*_KINDS, *strange):
        values = kind.value(faces).astype(float)
        yield kind.reason, values[kind.doubtful(values)], kind.rising


def named_doubts(flags: pd.DataFrame) -> pd.Series:
    """The flags (`attributes_flags.parquet`) about each face's picture, such as `blurred, dark`."""
    chosen = flags[flags["reason"].isin(PICTURE)]
    return chosen.groupby("filename", sort=False)["reason"].agg(SEPARATOR.join)


def find_doubts(crop: FaceCrop, drawn: float = 0.0) -> list[Doubt]:
    """The doubts about one photo; empty if there are none.

    Parameters
    ----------
    crop : FaceCrop
        The face as `crop_face` cut it.
    drawn : float
        See `doubtful_faces`.
    """
    return doubts_of([crop.facts()], drawn)[0]


def doubts_of(facts: Sequence[dict], drawn: float = 0.0) -> list[list[Doubt]]:
    """The doubts about each of some photos, by what `FaceCrop.facts` says of them."""
    texts = {kind.reason: kind.text for kind in (*_KINDS, _DRAWING, _PHOTOGRAPH)}
    doubts: list[list[Doubt]] = [[] for _ in facts]
    for reason, values, _ in doubtful_faces(pd.DataFrame(facts, columns=FACTS), drawn):
        for row, value in zip(values.index, values, strict=True):
            doubts[row].append(Doubt(reason, float(value), texts[reason].format(value)))
    return doubts
