"""All measurements: which pose spoils them, and how they relate to what people rate.

    python -m benchmarks.measurements [--shared ../shared] [--faces 16] [--turned FILE]

Run it from the root of a project that has `models/landmarker`. Prints the tables and writes
docs/measurements.md. It needs the OMI and 3DSK faces below --shared, and commits none of them.
Turning the pictures takes a minute a face; --turned keeps what came of it, for the next time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.measurement_claims import CLAIMS, MEN, MOST_TURNED, WOMEN, shape_columns, verdict
from benchmarks.measurement_page import page, table
from benchmarks.turned_measurements import limits, turn_faces
from tqdm import tqdm

from facestats.core.files import write_text
from facestats.errors import ImageError
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.irises import Irises
from facestats.faces.landmarks import Landmarker
from facestats.geometry.anatomy import LEFT_CONTOUR, RIGHT_CONTOUR
from facestats.geometry.columns import SKIN, measure_faces
from facestats.geometry.measurements import MEASUREMENTS, NAMES, measure
from facestats.photos.decode import to_photo

STEADY = 8  # degrees of yaw and pitch: OMI faces among which people's spread is taken
SETS = ("OMI", "3DSK")
COLUMNS = (*NAMES, *SKIN)
PAGE = Path("docs/measurements.md")


def read_faces(shared: Path) -> pd.DataFrame:
    """Every face with a rating: `path`, `set`, `sex`, `rating`, and OMI's `masculine`."""
    omi = pd.read_csv(shared / "omi/attribute_means.csv", dtype={"stimulus": str})
    omi["path"] = [shared / "omi/images" / f"{name}.jpg" for name in omi["stimulus"]]
    omi = omi[[path.is_file() for path in omi["path"]]]
    ratings = pd.read_csv(shared / "3dsk/raw_3dsk_info.csv")
    ratings = ratings[ratings["trait"] == "att"]
    studio = ratings.groupby(["face_gender", "face_id"])["rating"].mean().reset_index()
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "path": omi["path"],
                    "set": "OMI",
                    "sex": np.where(omi["gender"] < 50, WOMEN, MEN),
                    "rating": omi["attractive"],
                    "masculine": omi["gender"],
                }
            ),
            pd.DataFrame(
                {
                    "path": [
                        shared / "3dsk" / sex / f"{name}.jpg"
                        for sex, name in zip(studio["face_gender"], studio["face_id"], strict=True)
                    ],
                    "set": "3DSK",
                    "sex": studio["face_gender"].map({"female": WOMEN, "male": MEN}),
                    "rating": studio["rating"],
                }
            ),
        ],
        ignore_index=True,
    )


def measure_photos(faces: pd.DataFrame, models: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Pose and measurements of each photo as the pipeline has them, and its landmarks."""
    landmarker, irises, crops, rows = Landmarker(models), Irises(models), [], []
    config = PreprocessConfig()
    for path in tqdm(faces["path"], desc="measuring", unit="photo", disable=None):
        try:
            crop = crop_face(path, config, landmarker)
        except ImageError:
            crops.append((np.full((468, 3), np.nan), b""))
            rows.append({})
            continue
        crops.append((crop.landmarks, crop.jpeg(config.quality)))
        rows.append(crop.facts())
    facts = pd.DataFrame(rows).reindex(columns=["yaw", "pitch", "occlusion"])
    landmarks = np.stack([each for each, _ in crops])
    yaw, pitch, occlusion = facts.to_numpy(float).T
    jpegs = [jpeg for _, jpeg in crops]
    measured = measure_faces(landmarks, jpegs, yaw, pitch, occlusion, irises)
    return facts.join(measured), landmarks


def correlation(x: pd.Series, y: pd.Series) -> tuple[float, float, float]:
    """Pearson r with its 95 % interval by Fisher's z; NaN below ten faces."""
    both = x.notna() & y.notna()
    n, r = int(both.sum()), x[both].corr(y[both])
    if n < 10:
        return np.nan, np.nan, np.nan
    z, half = np.arctanh(r), 1.96 / np.sqrt(n - 3)
    return r, float(np.tanh(z - half)), float(np.tanh(z + half))


def by_group(faces: pd.DataFrame, column: str) -> dict[tuple[str, str], tuple]:
    """r of a column with the rating, by set and sex."""
    return {
        (name, sex): correlation(rows[column].astype(float), rows["rating"])
        for (name, sex), rows in faces.groupby(["set", "sex"])
    }


def shown(found: tuple[float, float, float]) -> str:
    """R and its interval; bold where this excludes 0."""
    r, low, high = found
    if np.isnan(r):
        return "–"
    text = f"{r:.2f} ({low:.2f} to {high:.2f})"
    return f"**{text}**" if low * high > 0 else text


def ratings_table(faces: pd.DataFrame, spoiled: pd.DataFrame) -> str:
    """Each measurement: beyond which pose it is spoiled, and r with ratings by set and sex."""
    groups = [(name, sex) for name in SETS for sex in (WOMEN, MEN)]
    n = faces.groupby(["set", "sex"]).size()
    rows = []
    for name in COLUMNS:
        found = by_group(faces, name)
        pose = (
            [f"{spoiled.loc[name, c]:.0f}°" for c in spoiled] if name in spoiled.index else ["", ""]
        )
        rows.append((f"`{name}`", *pose, *(shown(found[group]) for group in groups)))
    head = (f"{name}, {n[name, sex]} {sex}" for name, sex in groups)
    return table(("measurement", "yaw", "pitch", *head), rows)


def claims_table(faces: pd.DataFrame) -> str:
    """Each claim, and what the ratings say of it for either sex."""
    rows = []
    for claim in CLAIMS:
        some = faces
        if claim.column == "symmetry_score":
            some = faces[faces["yaw"].abs() <= MOST_TURNED]
        found = by_group(some, claim.column)
        for sex, sign in ((WOMEN, claim.women), (MEN, claim.men)):
            if sign:
                each = [found[name, sex] for name in SETS]
                rows.append(
                    (
                        claim.text,
                        sex,
                        f"{'+' if sign > 0 else '−'} `{claim.column}`",
                        *map(shown, each),
                        verdict(sign, each),
                    )
                )
    return table(("claim", "of", "expects", *SETS, "borne out"), rows)


def pupils_text(shared: Path, models: Path) -> str:
    """How right the distance between the pupils is, against pupils marked by hand (3DSK)."""
    landmarker, irises, config = Landmarker(models), Irises(models), PreprocessConfig()
    ratios = []
    for path in sorted((shared / "3dsk").glob("*/*.jpg")):
        crop = crop_face(path, config, landmarker)
        if crop.landmarks is None or crop.photo_landmarks is None:
            continue
        photo = crop.photo_landmarks[[33, 263], :2] * (crop.width, crop.height)
        face = crop.landmarks[:, :2].astype(np.float64)
        scale = np.linalg.norm(photo[1] - photo[0]) / np.linalg.norm(face[263] - face[33])
        lines = path.with_suffix(".tem").read_text(encoding="utf-8").splitlines()
        by_hand = np.array([line.split() for line in lines[1:3]], dtype=float)
        pupils = irises.find(to_photo(crop.jpeg(config.quality)).rgb, crop.landmarks)
        contours = [face[list(eye)].mean(axis=0) for eye in (RIGHT_CONTOUR, LEFT_CONTOUR)]
        ratios.append(
            [
                scale * np.linalg.norm(b - a) / np.linalg.norm(by_hand[1] - by_hand[0])
                for a, b in (pupils, contours)
            ]
        )
    mean, sd = np.mean(ratios, axis=0), np.std(ratios, axis=0)
    return (
        "Pupils are the centres of the irises, which MediaPipe's iris model finds. The distance "
        f"between them is {mean[0]:.1%} of that between pupils marked by hand, give or take "
        f"{sd[0]:.1%} (standard deviation, {len(ratios)} faces of 3DSK); between the middles of "
        f"the eyes' contours it is {mean[1]:.1%}, give or take {sd[1]:.1%}."
    )


def light_text(faces: pd.DataFrame, shared: Path) -> str:
    """How skin colour relates to what OMI's raters call black."""
    omi = faces[faces["set"] == "OMI"]
    means = pd.read_csv(shared / "omi/attribute_means.csv", dtype={"stimulus": str})
    black = means.set_index("stimulus")["black"].loc[[path.stem for path in omi["path"]]]
    seen = omi["skin_ita"].set_axis(black.index)
    some, rest = seen[black > 60].dropna(), seen[black < 10].dropna()
    return (
        f"Of OMI's faces, {len(some)} are rated black and have angles from {some.min():.0f}° to "
        f"{some.max():.0f}° (median {some.median():.0f}°), {len(rest)} are not and have angles "
        f"from {rest.min():.0f}° to {rest.max():.0f}° (median {rest.median():.0f}°); r is "
        f"{seen.corr(black):.2f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shared", type=Path, default=Path("../shared"), help="folder of the faces"
    )
    parser.add_argument("--models", type=Path, default=Path("models/landmarker"))
    parser.add_argument(
        "--faces", type=int, default=16, help="faces to turn (default: %(default)s)"
    )
    parser.add_argument("--turned", type=Path, help="file of turned faces, made if it is missing")
    options = parser.parse_args()
    missing = [n for n in ("omi", "3dsk") if not (options.shared / n).is_dir()]
    if missing:
        raise SystemExit(f"{options.shared} has no {' and no '.join(missing)}")
    if options.turned and options.turned.is_file():
        views = pd.read_parquet(options.turned)
    else:
        views = turn_faces(options.shared / "omi", options.models, options.faces)
        if options.turned:
            views.to_parquet(options.turned)
    faces = read_faces(options.shared)
    measured, landmarks = measure_photos(faces, options.models)
    faces = faces.join(measured)
    faces = faces.join(shape_columns(faces, np.nan_to_num(landmarks)))
    steady = (faces["set"] == "OMI") & (faces[["yaw", "pitch"]].abs() <= STEADY).all(axis=1)
    spread = measure(landmarks[steady.to_numpy()]).std()
    spoiled = limits(views, spread)
    stale = [
        f"{m.name}: ({pose.max_yaw:.0f}, {pose.max_pitch:.0f}), the code has "
        f"({m.max_yaw:g}, {m.max_pitch:g})"
        for m in MEASUREMENTS
        for pose in [spoiled.loc[m.name]]
        if np.isfinite(m.max_yaw) and (m.max_yaw, m.max_pitch) != tuple(pose)
    ]
    print(*stale, sep="\n")
    text = page(
        ratings_table(faces, spoiled),
        claims_table(faces),
        views["face"].nunique(),
        pupils_text(options.shared, options.models),
        light_text(faces, options.shared),
    )
    write_text(PAGE, text)
    print(text)


if __name__ == "__main__":
    main()
