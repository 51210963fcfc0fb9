"""How far each measurement moves when a head turns: pictures of one face from many sides.

OMI faces that look straight ahead are turned by known angles (`benchmarks.turned_pictures`), their
landmarks and pupils found anew, and measured as the tables are. The change counts in standard
deviations between people.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from benchmarks.turned_pictures import turned
from tqdm import tqdm

from facestats.faces.irises import Irises
from facestats.faces.landmarks import Landmarker
from facestats.faces.quality import head_pose
from facestats.geometry.measurements import NAMES, measure

YAWS, PITCHES = (5, 10, 15, 20, 25, 30, 35, 40), (5, 10, 15, 20, 25, 30)
VIEWS = [
    (0, 0),
    *((sign * angle, 0) for angle in YAWS for sign in (-1, 1)),
    *((0, sign * angle) for angle in PITCHES for sign in (-1, 1)),
]
MOST = 1.0  # standard deviations between people; what moves further is spoiled
STRAIGHT = (4, 6)  # degrees of yaw and pitch that a face to be turned has at most


def turn_faces(omi: Path, landmarker: Path, n: int) -> pd.DataFrame:
    """Measure n faces in every view: `face`, `turn`, `nod`, the shown `yaw`, `pitch`, `NAMES`."""
    archive = np.load(omi / "landmarks_mediapipe.npz")
    shapes = archive["landmarks"].astype(np.float64)
    poses = [head_pose(shape, 1, 1) for shape in shapes]
    chosen = [
        i
        for i, pose in enumerate(poses)
        if abs(pose.yaw) < STRAIGHT[0] and abs(pose.pitch) < STRAIGHT[1]
    ][:n]
    finder, irises, views, seen = Landmarker(landmarker), Irises(landmarker), [], []
    for i in tqdm(chosen, desc="turning", unit="face", disable=None):
        rgb = cv2.cvtColor(
            cv2.imread(str(omi / "images" / archive["filename"][i])), cv2.COLOR_BGR2RGB
        )
        for turn, nod in VIEWS:
            picture = turned(rgb, shapes[i], turn, nod)
            faces = finder.detect(picture)
            if faces:
                shape = faces[0].landmarks
                pose = head_pose(shape, 1, 1)
                views.append((i, turn, nod, pose.yaw, pose.pitch))
                seen.append((shape, irises.find(picture, shape)))
    measured = measure(np.stack([s for s, _ in seen]), np.stack([p for _, p in seen]))
    return pd.DataFrame(views, columns=["face", "turn", "nod", "yaw", "pitch"]).join(measured)


def limits(views: pd.DataFrame, spread: pd.Series) -> pd.DataFrame:
    """Up to which pose each measurement moves by at most `MOST`: `max_yaw`, `max_pitch`, degrees.

    Of turns to both sides, and of a measurement's left and right, the worse counts; between the
    angles of `VIEWS` it is interpolated, and rounded down; at most the largest of them counts.
    Degrees are those that `faces.parquet`
    shows.

    Parameters
    ----------
    views : DataFrame
        What `turn_faces` gives.
    spread : Series
        Standard deviation of each measurement between people.
    """
    straight = views[(views.turn == 0) & (views.nod == 0)].set_index("face")
    found = pd.DataFrame(index=list(NAMES), columns=["max_yaw", "max_pitch"], dtype=float)
    for column, shown, own, other, angles in (
        ("max_yaw", "yaw", "turn", "nod", YAWS),
        ("max_pitch", "pitch", "nod", "turn", PITCHES),
    ):
        moved, degrees = [pd.Series(0.0, index=list(NAMES))], [0.0]
        for angle in angles:
            sides = []
            for sign in (-1, 1):
                some = views[(views[own] == sign * angle) & (views[other] == 0)]
                names = list(NAMES)
                before = straight.loc[some.face, names].to_numpy()
                sides.append((some[names] - before).abs().mean() / spread)
            change = pd.concat(sides, axis=1).max(axis=1)
            moved.append(change.rename(_plain).groupby(level=0).max().reindex(map(_plain, NAMES)))
            moved[-1].index = list(NAMES)
            some = views[(views[own].abs() == angle) & (views[other] == 0)]
            level = straight.loc[some.face, shown].to_numpy()
            degrees.append(float((some[shown] - level).abs().mean()))
        table = pd.concat(moved, axis=1).to_numpy()
        for name, changes in zip(NAMES, table, strict=True):
            over = np.flatnonzero(changes > MOST)
            if len(over):
                at = over[0]
                share = (MOST - changes[at - 1]) / (changes[at] - changes[at - 1])
                found.loc[name, column] = np.floor(
                    degrees[at - 1] + share * (degrees[at] - degrees[at - 1])
                )
            else:
                found.loc[name, column] = np.floor(degrees[-1])
    return found


def _plain(name: str) -> str:
    """The name without its side."""
    return name.replace("_left", "").replace("_right", "")
