"""What people claim of attractive faces, and whether ratings bear it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from facestats.geometry.anatomy import Face
from facestats.geometry.pose import frontalize, is_frontal

WOMEN, MEN = "women", "men"
AVERAGENESS, MASCULINITY = "averageness", "masculinity"
MOST_TURNED = 5.0  # degrees of yaw among which symmetry is compared


@dataclass(frozen=True)
class Claim:
    """A claim: the column that would show it, and the sign of r that it expects, by sex."""

    text: str
    column: str
    women: int = 0
    men: int = 0


# Written down before r was computed.
CLAIMS = (
    Claim("eyes that rise outwards (positive canthal tilt)", "canthal_tilt_mean", 1, 1),
    Claim("golden ratio of height to width", "golden_deviation", -1, -1),
    Claim("a wide face in men (high fWHR)", "fwhr", men=1),
    Claim("equal thirds", "thirds_deviation", -1, -1),
    Claim("equal fifths", "fifths_deviation", -1, -1),
    Claim("a short midface (high midface ratio)", "midface_ratio", 1, 1),
    Claim("symmetry", "symmetry_score", 1, 1),
    Claim("averageness", AVERAGENESS, 1, 1),
    Claim("sexual dimorphism: feminine women, masculine men", MASCULINITY, -1, 1),
    Claim("a wide jaw in men, a narrow one in women", "jaw_ratio", -1, 1),
    Claim("a square jaw in men (small angle)", "gonial_angle_mean", men=-1),
    Claim("high cheekbones", "cheekbone_height", 1, 1),
    Claim("large eyes", "eye_face_ratio", 1, 1),
    Claim("low brows in men, high ones in women", "brow_eye_mean_ratio", 1, -1),
    Claim("a narrow nose", "nasal_index", -1, -1),
    Claim("full lips in women", "lip_height_width_ratio", 1),
    Claim("a short philtrum beside the chin", "chin_philtrum_ratio", 1, 1),
    Claim("a smile", "smile_intensity", 1, 1),
)


def shape_columns(faces: pd.DataFrame, landmarks: np.ndarray) -> pd.DataFrame:
    """Averageness and masculinity of each face's shape, NaN where it is not frontal.

    Averageness: how near, in Procrustes distance, the shape is to the mean of its set and sex.
    Masculinity: what a ridge regression on shapes predicts for OMI's rating (100 is masculine), of
    OMI faces out of fold, of others by all OMI faces.

    Parameters
    ----------
    faces : DataFrame (n rows)
        `set`, `sex`, `yaw`, `pitch` and OMI's `masculine`.
    landmarks : ndarray (n, 468, 3)
    """
    points = Face(frontalize(landmarks)).points.reshape(len(faces), -1)
    points = points - points.mean(axis=0)
    steady = is_frontal(faces["yaw"].to_numpy(), faces["pitch"].to_numpy())
    table = pd.DataFrame(np.nan, index=faces.index, columns=[AVERAGENESS, MASCULINITY])
    for _, rows in faces[steady].groupby(["set", "sex"]).indices.items():
        rows = np.flatnonzero(steady)[rows]
        away = points[rows] - points[rows].mean(axis=0)
        table.iloc[rows, 0] = -np.linalg.norm(away, axis=1)
    learn = steady & faces["masculine"].notna().to_numpy()
    model = make_pipeline(PCA(60, random_state=0), RidgeCV(np.logspace(-4, 4, 17)))
    folds = KFold(10, shuffle=True, random_state=0)
    target = faces["masculine"].to_numpy(float)[learn]
    table.iloc[np.flatnonzero(learn), 1] = cross_val_predict(model, points[learn], target, cv=folds)
    others = steady & ~learn
    table.iloc[np.flatnonzero(others), 1] = model.fit(points[learn], target).predict(points[others])
    return table


def verdict(sign: int, found: list[tuple[float, float, float]]) -> str:
    """What intervals (r, low, high) of the sets say of a claim that expects a sign."""
    ways = [
        1 if low * sign > 0 and high * sign > 0 else -1 if low * sign < 0 > high * sign else 0
        for _, low, high in found
    ]
    if all(way == 1 for way in ways):
        return "yes"
    if 1 in ways:
        return "mixed" if -1 in ways else "in one set"
    return "the opposite" if -1 in ways else "no"
