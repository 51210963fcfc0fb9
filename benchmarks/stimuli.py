"""Do models that know nothing of the composites see what stimuli were made to show?

    python benchmarks/stimuli.py ../shared/3dsk --root . [--faces 10] [--out slopes.csv]

The 3DSK faces are halved. Composites of the best and worst rated third, and the direction of the
geometric score, come from one half, and so do the faces that are moved. Two models of the other
half rate them: the geometric score (shape and pixels), and a ridge regression of CLIP embeddings.
The slope of the predicted rating (standard deviations of the ratings within a sex) against the
amount has an interval over the faces (bootstrap).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import facestats
from facestats.composites.averaging import average_faces
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import GeometryModel, features
from facestats.geometry.training import sampler_for, train_pipeline
from facestats.pairs.built import Built
from facestats.stimuli.changes import along
from facestats.stimuli.moving import move_face
from facestats.stimuli.photo import read_face
from facestats.stimuli.score import score_direction

AMOUNTS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def read(folder: Path, models) -> pd.DataFrame:
    """Each face with its landmarks, embedding, crop and mean rating, standardised within a sex."""
    ratings = pd.read_csv(folder / "raw_3dsk_info.csv").query("trait == 'att'")
    mean = ratings.groupby(["face_gender", "face_id"])["rating"].mean()
    rows = []
    for (sex, name), rating in mean.items():
        path = folder / sex / f"{name}.jpg"
        crop = models.crop(path)
        rows.append(
            {
                "filename": f"{sex}/{name}",
                "image": path,
                "sex": sex,
                "rating": rating,
                "landmarks": crop.landmarks,
                "crop": models.jpeg(crop),
                "embedding": models.embed(crop),
                "yaw": crop.pose.yaw,
            }
        )
    table = pd.DataFrame(rows)
    by_sex = table.groupby("sex")["rating"]
    table["rating"] = (table["rating"] - by_sex.transform("mean")) / by_sex.transform("std")
    # alternately by rating, so that both halves hold the best and the worst
    table["half"] = table.groupby("sex")["rating"].rank().astype(int) % 2
    return table


def geometric(table: pd.DataFrame) -> GeometryModel:
    landmarks = np.stack(table["landmarks"])
    sampler = sampler_for(landmarks)
    x = features(landmarks, sampler, table["crop"])
    pipeline, why = train_pipeline(x, table["rating"].to_numpy())
    return GeometryModel(pipeline, why, fit_zscore(measure(landmarks)), sampler, len(table))


def composite(name: str, table: pd.DataFrame, folder: Path) -> Built:
    paths = []
    for row in table.itertuples():
        path = folder / (row.filename.replace("/", "_") + ".jpg")
        path.write_bytes(row.crop)
        paths.append(path)
    average = average_faces(table.assign(path=paths))
    return Built(name, average.image, average.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", default=None)
    parser.add_argument("--faces", type=int, default=10, help="of each half")
    parser.add_argument("--out", type=Path, default=Path("slopes.csv"))
    parser.add_argument("--pictures", type=Path, help="keep the stimuli in this folder")
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for crops")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    models = facestats.load(options.root)
    table, rows = read(options.folder, models), []
    for half in (0, 1):
        own, other = table[table["half"] == half], table[table["half"] != half]
        judge = geometric(other)
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 21)))
        ridge.fit(np.stack(other["embedding"]), other["rating"])
        high = pd.concat([g.nlargest(len(g) // 3, "rating") for _, g in own.groupby("sex")])
        low = pd.concat([g.nsmallest(len(g) // 3, "rating") for _, g in own.groupby("sex")])
        of, minus = (composite(n, g, options.scratch) for n, g in (("high", high), ("low", low)))
        women, men = (
            composite(sex, own[own["sex"] == sex], options.scratch) for sex in ("female", "male")
        )
        direction = score_direction(
            geometric(own),
            np.stack(own["landmarks"]),
            own["crop"],
            pd.DataFrame({"female": (own["sex"] == "female").to_numpy(float)}),
        )
        ways = {
            "attractiveness": lambda photo, a, of=of, minus=minus: along(photo, of, minus, a, a),
            "shape alone": lambda photo, a, of=of, minus=minus: along(photo, of, minus, a, 0),
            "colour alone": lambda photo, a, of=of, minus=minus: along(photo, of, minus, 0, a),
            "dimorphism": lambda photo, a, of=women, minus=men: along(photo, of, minus, a, a),
            "score": lambda photo, a, d=direction: d.change(photo, a, a),
        }
        chosen = own.groupby("sex", group_keys=False).sample(options.faces // 2, random_state=0)
        for row in chosen.itertuples():
            with Image.open(row.image) as image:  # half the size is still above that of the crops
                small = image.convert("RGB").reduce(2)
            photo = read_face(small, models.landmarker)
            for way, change in ways.items():
                for amount in AMOUNTS:
                    picture = move_face(photo, change(photo, amount)) if amount else small
                    if options.pictures:
                        name = f"{way}/{row.filename.replace('/', '_')}_{amount:+.1f}.png"
                        (options.pictures / name).parent.mkdir(parents=True, exist_ok=True)
                        picture.save(options.pictures / name)
                    crop = models.crop(picture)
                    rows.append(
                        {
                            "face": row.filename,
                            "way": way,
                            "amount": amount,
                            "geometric": judge.predict(crop.landmarks[None], [models.jpeg(crop)])[
                                0
                            ],
                            "clip": ridge.predict(models.embed(crop)[None])[0],
                        }
                    )
            print(row.filename, flush=True)
    scores = pd.DataFrame(rows)
    scores.to_csv(options.out, index=False)
    report(scores)


def report(scores: pd.DataFrame) -> None:
    """Print mean slopes with 95 % intervals over faces, and how many faces have one above 0."""
    random = np.random.default_rng(0)
    for way, part in scores.groupby("way", sort=False):
        for judge in ("geometric", "clip"):
            slopes = np.array(
                [np.polyfit(one["amount"], one[judge], 1)[0] for _, one in part.groupby("face")]
            )
            means = random.choice(slopes, (5000, len(slopes))).mean(axis=1)
            low, high = np.percentile(means, [2.5, 97.5])
            print(
                f"{way:15} {judge:10} {slopes.mean():+.3f} ({low:+.3f} to {high:+.3f}), "
                f"{(slopes > 0).mean():.0%} of {len(slopes)} faces above 0"
            )


if __name__ == "__main__":
    main()
