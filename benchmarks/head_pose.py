"""What head pose does to the measurements, corrected or not, and how they relate to ratings.

    python -m benchmarks.head_pose [--omi ../shared/omi] [--faces 24] [--out docs/methods]

Run it from the root of a project that has run once: its faces are the drawn ones. Writes the
figures of the first 30 measurements into `measurements.md` below --out, between its markers.
`benchmarks.measurements` has those of all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from benchmarks.labelling_report import write_block
from benchmarks.turned_pictures import VIEWS, turned
from tqdm import tqdm

from facestats.core import tables
from facestats.errors import InputError
from facestats.faces.landmarks import Landmarker
from facestats.faces.quality import head_pose
from facestats.faces.tables import FACES
from facestats.geometry.anatomy import Face
from facestats.geometry.feature_ratios import MEASUREMENTS
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.pose import CAMERA, frontalize, is_frontal

FIGURES = "<!-- figures: written by `python -m benchmarks.head_pose` -->"
NAMES = [measurement.name for measurement in MEASUREMENTS]
WAYS = {
    "as in the picture": None,
    "turned, far camera": np.inf,
    **{f"turned, camera at {d:g}": d for d in (15.0, CAMERA, 7.0)},
}
CHOSEN = f"turned, camera at {CAMERA:g}"
ANGLES = {
    "yaw 10°": (0, 10),
    "yaw 20°": (0, 20),
    "yaw 30°": (0, 30),
    "pitch 10°": (1, 10),
    "pitch 20°": (1, 20),
}
STEADY = (
    8  # degrees of yaw and pitch: faces among which the standard deviation between people is taken
)
SEEN = ("happy", "gender", "age", "weight", "attractive")
PLAIN = dict.fromkeys(NAMES, 1) | {"golden_deviation": -1}
FOLKLORE = {
    "symmetry_score": 1,
    "golden_deviation": -1,
    "eye_face_ratio": 1,
    "smile_intensity": 1,
    "lip_height_width_ratio": 1,
    "jaw_ratio": -1,
    "nose_width_ratio": -1,
    "philtrum_length_ratio": -1,
}  # written down before a rating was looked at


def table(header: tuple[str, ...], rows: list) -> str:
    return "\n".join(
        f"| {' | '.join(map(str, row))} |" for row in [header, ["---"] * len(header), *rows]
    )


def measured_by(way: float | None, shapes: np.ndarray) -> pd.DataFrame:
    """Measurements with the camera at a distance, or (None) turned in the picture's plane only."""
    front = frontalize(shapes * (1, 1, 0)) if way is None else frontalize(shapes, way)
    face = Face(front)
    return pd.DataFrame({m.name: m.compute(face) for m in MEASUREMENTS})


def poses(shapes: np.ndarray) -> pd.DataFrame:
    angles = [head_pose(shape, 1, 1) for shape in shapes]
    return pd.DataFrame(
        {"yaw": [pose.yaw for pose in angles], "pitch": [pose.pitch for pose in angles]}
    )


def by_pose(shapes: np.ndarray) -> list[tuple]:
    """One row a way: mean |r| of the measurements with |yaw|, yaw and pitch, and two single r."""
    pose, rows = poses(shapes), []
    for name, way in WAYS.items():
        measured = measured_by(way, shapes)
        mean_r = [
            measured.corrwith(column).abs().mean()
            for column in (pose.yaw.abs(), pose.yaw, pose.pitch)
        ]
        eyes, symmetry = (
            (measured.eye_width_left - measured.eye_width_right).corr(pose.yaw),
            measured.symmetry_score.corr(pose.yaw.abs()),
        )
        rows.append(
            (
                name,
                *(f"{r:.2f}" for r in (*mean_r, eyes, symmetry)),
                f"{measured.symmetry_score.mean():.3f}",
            )
        )
    return rows


def turn_pictures(
    omi: Path, names: np.ndarray, shapes: np.ndarray, models: Path
) -> tuple[pd.DataFrame, np.ndarray]:
    """Landmarks (n, 468, 3) detected in turned pictures, and the face, yaw and pitch of each."""
    landmarker, views, shapes_seen = Landmarker(models), [], []
    for name, shape in tqdm(list(zip(names, shapes, strict=True)), desc="turning", disable=None):
        rgb = cv2.cvtColor(cv2.imread(str(omi / "images" / name)), cv2.COLOR_BGR2RGB)
        for yaw, pitch in VIEWS:
            faces = landmarker.detect(turned(rgb, shape, yaw, pitch))
            if not faces:
                raise SystemExit(f"{name}, turned by {yaw}° and {pitch}°: no face found")
            views.append((name, yaw, pitch))
            shapes_seen.append(faces[0].landmarks)
    return pd.DataFrame(views, columns=["face", "yaw", "pitch"]), np.stack(shapes_seen).astype(
        np.float64
    )


def movement(
    views: pd.DataFrame, shapes: np.ndarray, people: np.ndarray, way: float | None
) -> pd.DataFrame:
    """Mean absolute change of each measurement by angle, in standard deviations between people."""
    measured, sd = measured_by(way, shapes), measured_by(way, people).std()
    straight = measured[(views.yaw == 0) & (views.pitch == 0)].set_axis(
        views.face[(views.yaw == 0) & (views.pitch == 0)]
    )
    change = (measured - straight.loc[views.face].to_numpy()).abs() / sd
    return pd.DataFrame(
        {
            name: change[(views[("yaw", "pitch")[axis]].abs() == angle)].mean()
            for name, (axis, angle) in ANGLES.items()
        }
    )


def figures(omi: Path, drawn: Path, models: Path, n: int) -> str:
    archive = np.load(omi / "landmarks_mediapipe.npz")
    names, shapes = archive["filename"], archive["landmarks"].astype(np.float64)
    means = pd.read_csv(omi / "attribute_means.csv", dtype={"stimulus": "str"}).set_index(
        "stimulus"
    )
    means = means.loc[[name.removesuffix(".jpg") for name in names]].reset_index()
    faces = tables.read(drawn, FACES, ["filename", "landmarks"]).dropna()
    sample = np.stack(faces["landmarks"]).reshape(-1, 468, 3).astype(np.float64)
    pose = poses(shapes)
    frontal = is_frontal(pose.yaw, pose.pitch)
    steady = (pose.abs() <= STEADY).all(axis=1).to_numpy()
    straight = np.flatnonzero((pose.yaw.abs() < 4) & (pose.pitch.abs() < 6))[:n]
    views, landmarks = turn_pictures(omi, names[straight], shapes[straight], models)
    moved = {name: movement(views, landmarks, shapes[steady], way) for name, way in WAYS.items()}
    seen = poses(landmarks).groupby([views.yaw, views.pitch]).mean()
    asked = [
        f"{angle}° as {abs(seen.loc[(angle, 0), 'yaw'] - seen.loc[(-angle, 0), 'yaw']) / 2:.0f}°"
        for angle in (10, 20, 30)
    ]
    asked += [
        (
            f"{angle}° as "
            f"{abs(seen.loc[(0, angle), 'pitch'] - seen.loc[(0, -angle), 'pitch']) / 2:.0f}°"
        )
        for angle in (10, 20)
    ]
    measured = measure(shapes)[NAMES]
    details = [
        (
            f"`{name}`",
            f"{measured[name].mean():.3f}",
            f"{measured[name].std():.3f}",
            *(f"{measured[name].corr(means[column]):.2f}" for column in SEEN),
            *(f"{moved[CHOSEN].loc[name, angle]:.2f}" for angle in ANGLES),
        )
        for name in NAMES
    ]
    score = fit_zscore(measured)(measured)
    header = (
        "",
        "mean r, yaw either way",
        "mean r, yaw",
        "mean r, pitch",
        "eye widths' difference, yaw",
        "symmetry, yaw either way",
        "mean symmetry",
    )
    return "\n".join(
        [
            f"**Turned pictures.** {len(straight)} OMI faces that look straight ahead, "
            "turned by `benchmarks/turned_pictures.py`, landmarks found anew. Mean absolute change "
            "of the 30 measurements, in standard deviations between people (the "
            f"{steady.sum()} OMI faces within {STEADY}° of straight ahead). `faces.parquet` "
            f"would show a yaw of {', '.join(asked[:3])}, a pitch of {', '.join(asked[3:])}.",
            "",
            table(
                ("", *ANGLES),
                [
                    (name, *(f"{value:.2f}" for value in change.mean()))
                    for name, change in moved.items()
                ],
            ),
            "",
            (
                "**Different people.** Correlation (absolute, mean of the 30) with the pose "
                f"that `faces.parquet` gives, {len(shapes)} OMI faces:"
            ),
            "",
            table(header, by_pose(shapes)),
            "",
            f"The same on the {len(sample)} drawn faces:",
            "",
            table(header, by_pose(sample)),
            "",
            f"`frontal` holds for {frontal.mean():.0%} of the OMI faces.",
            "",
            "**Each measurement.** OMI: mean and standard deviation, r with mean ratings "
            "(`gender`: 100 is masculine), and by how much it moves when the head turns "
            f"({CHOSEN}), in standard deviations:",
            "",
            table(("column", "mean", "sd", *SEEN, *ANGLES), details),
            "",
            f"**`geometry_zscore`.** r with `attractive` on the {len(shapes)} OMI faces: "
            f"{np.corrcoef(score, means['attractive'])[0, 1]:.2f} (the frontal "
            f"{frontal.sum()}: "
            f"{np.corrcoef(score[frontal], means['attractive'][frontal])[0, 1]:.2f}). Other "
            "means of z-scores: all 30, nothing but `golden_deviation` counted against a "
            f"face: {_mean_z(measured, PLAIN, means):.2f}; eight, each in the direction "
            f"that folklore gives it: {_mean_z(measured, FOLKLORE, means):.2f}. These alone: "
            + ", ".join(
                f"`{name}` {sign * measured[name].corr(means['attractive']):.2f}"
                for name, sign in FOLKLORE.items()
            )
            + ".",
        ]
    )


def _mean_z(measured: pd.DataFrame, signs: dict[str, int], means: pd.DataFrame) -> float:
    """r of `attractive` with the mean of signed z-scores."""
    z = (measured - measured.mean()) / measured.std()
    return sum(sign * z[name] for name, sign in signs.items()).corr(means["attractive"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--omi",
        type=Path,
        default=Path("../shared/omi"),
        help="the OMI faces (default: %(default)s)",
    )
    parser.add_argument(
        "--faces", type=int, default=24, help="pictures to turn (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/methods"),
        help="folder of measurements.md (default: %(default)s)",
    )
    options = parser.parse_args()
    page = options.out / "measurements.md"
    try:
        if not options.omi.is_dir():
            raise SystemExit(f"{options.omi} is missing: the figures are left as they were")
        block = figures(
            options.omi,
            Path("data/processed/metadata/faces.parquet"),
            Path("models/landmarker"),
            options.faces,
        )
        write_block(page, block, FIGURES)
    except InputError as error:
        raise SystemExit(str(error)) from None
    print(block)


if __name__ == "__main__":
    main()
