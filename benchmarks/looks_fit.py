"""Fit the two models of `faces/looks.py`: is part of a face hidden, and is it drawn?

`python -m benchmarks.doubts --fit` runs this."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from benchmarks.photo_changes import COVERED, DRAWINGS, HARMLESS, SPOILT, Change, Photo, mixed
from PIL import Image
from tqdm import tqdm

from facestats.core.doubts import DRAWN, HIDDEN, MIN_JUDGED
from facestats.errors import ImageError
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker
from facestats.faces.looks import drawn_features, hidden_features, layer_features, sample_points
from facestats.faces.quality import GREY_SIZE, face_region, fine_detail
from facestats.sample.draw import draw_face
from facestats.sample.traits import draw_traits

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 512  # px to which a picture is brought before it is changed
FOLDS = 3
DRAWN_BY_CODE = 240  # other people than those of data/sample, in other sizes
ALL = (
    HARMLESS
    | COVERED
    | DRAWINGS
    | {name: change for name, (_, change) in SPOILT.items()}
    | {"mixed": mixed}
)
# How many changes of each sort a picture gets: a photograph of OMI, any other photograph, a
# drawing.
SHARES = {
    "omi": {"harmless": 1, "mixed": 1, "covered": 1, "drawn": 1, "worn": 2},
    "": {"harmless": 4, "mixed": 1, "covered": 5, "drawn": 2, "spoilt": 1, "worn": 4},
    "drawing": {"harmless": 1, "mixed": 1},
}
WEIGHTS = {
    "omi": 1.0,
    "sample": 1.0,
    "3dsk": 3.0,
    "others": 5.0,
}  # of a face that is not to be told; drawings in packages: 0.3
FALSE = 0.01  # share of harmless photographs that may lie above the threshold
CHANGED_OF_OMI = (
    2  # of so many photographs of OMI one is changed; the others are only looked at as they are
)
SORTS = {
    "harmless": list(HARMLESS),
    "mixed": ["mixed"],
    "covered": list(COVERED),
    "drawn": list(DRAWINGS),
    "spoilt": list(SPOILT),
    "worn": ["dark glasses", "hand before the mouth", "hand before an eye", "glasses"],
}


@dataclass(frozen=True)
class Picture:
    """A picture to learn from: `sort` is "omi" or "" for photographs, "drawing" for drawings.

    `seed` stands for one that is drawn here.
    """

    sort: str
    source: str
    name: str
    path: Path | None = None
    seed: int = 0


def pictures(photographs: list[tuple[str, Path]], drawings: list[Path]) -> Iterator[Picture]:
    for source, path in photographs:
        yield Picture("omi" if source == "omi" else "", source, path.stem, path)
    for seed in range(DRAWN_BY_CODE):
        yield Picture("drawing", "sample", f"drawn {seed}", seed=seed + 10_000)
    for folder in drawings:
        for path in sorted(
            path for path in folder.rglob("*") if path.suffix in (".jpg", ".png", ".webp")
        ):
            yield Picture(
                "drawing",
                path.relative_to(folder.parent).parts[0],
                f"{folder.name} {path.stem}",
                path,
            )


def read(path: Path) -> Photo:
    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "P"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _drawn(seed: int) -> Photo:
    rng = np.random.default_rng(seed)
    return draw_face(draw_traits(rng), int(rng.choice([192, 256, 256, 384, 512])), rng).image


def _random(picture: Picture, kind: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{picture.source} {picture.name} {kind}".encode()))


def _kinds(picture: Picture) -> list[str]:
    rng = _random(picture, "kinds")
    if picture.sort == "omi" and rng.integers(CHANGED_OF_OMI):
        return []
    return [
        str(kind)
        for sort, count in SHARES[picture.sort].items()
        for kind in rng.choice(SORTS[sort], count, replace=False)
    ]


def _face(photo: Photo, landmarker: Landmarker):
    try:
        crop = crop_face(np.ascontiguousarray(photo), PreprocessConfig(), landmarker)
    except ImageError:
        return None
    region = face_region(crop.landmarks, GREY_SIZE)
    if region is None:
        return None
    points = sample_points(crop.rgb, crop.landmarks)
    mesh = layer_features(crop.layers)
    drawn = np.concatenate(
        [drawn_features(crop.grey, fine_detail(crop.grey)[0], region, points), mesh]
    )
    side = float(max(crop.box[2] - crop.box[0], crop.box[3] - crop.box[1]))
    return {
        "side": side,
        "hidden": np.concatenate([hidden_features(points), mesh]).astype(np.float32),
        "drawn": drawn.astype(np.float32),
    }


def changed(
    photo: Photo, landmarker: Landmarker, kinds: dict[str, tuple[Change, np.random.Generator]]
) -> Iterator[tuple[str, Photo]]:
    """A photo, brought to one size and to the surroundings of its face, in each of the changes."""
    factor = min(1.0, LONGEST / max(photo.shape[:2]))
    photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    faces = landmarker.detect(photo)
    if faces:
        points = faces[0].landmarks[:, :2] * photo.shape[1::-1]
        for kind, (change, rng) in kinds.items():
            yield kind, change(photo, points, rng)


_state: dict = {}  # of a worker


def _rows(picture: Picture) -> list[dict]:
    if not _state:
        cv2.setNumThreads(1)
        _state["landmarker"] = Landmarker(ROOT / "models/landmarker")
    try:
        photo = read(picture.path) if picture.path else _drawn(picture.seed)
    except (OSError, Image.DecompressionBombError):
        return []
    landmarker, facts = (
        _state["landmarker"],
        {"sort": picture.sort, "source": picture.source, "name": picture.name},
    )
    plain = _face(photo, landmarker)
    if plain is None:
        return []
    kinds = {kind: (ALL[kind], _random(picture, kind)) for kind in _kinds(picture)}
    rows = [facts | {"kind": "plain"} | plain]
    for kind, other in changed(photo, landmarker, kinds):
        face = _face(other, landmarker)
        if face is not None:
            rows.append(facts | {"kind": kind} | face)
    return rows


class Examples:
    """Features of both models (`hidden`, `drawn`), and `table`: sort, source, name, kind, side."""

    def __init__(self, rows: list[dict]):
        self.table = pd.DataFrame(
            [{key: row[key] for key in ("sort", "source", "name", "kind", "side")} for row in rows]
        )
        self.hidden, self.drawn = (
            np.stack([row[name] for row in rows]) for name in ("hidden", "drawn")
        )


def collect(photographs: list[tuple[str, Path]], drawings: list[Path], jobs: int) -> Examples:
    inputs = list(pictures(photographs, drawings))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        chunks = tqdm(pool.map(_rows, inputs, chunksize=4), "pictures", len(inputs), mininterval=10)
        return Examples([row for rows in chunks for row in rows])


def available_jobs() -> int:
    return len(os.sched_getaffinity(0))


# ---- the fit


@dataclass(frozen=True)
class _Model:
    """One regression a family of what is to be told; a face's score is the highest of theirs."""

    name: str
    threshold: float
    pixels: int  # how many of the features are of pixels; the others are the mesh's
    pixel_scale: float  # pixels say what the mesh does not, and are fewer
    strength: float  # C of the logistic regressions
    families: dict[
        str, tuple[str, ...]
    ]  # the kinds of each; the last one has those that no other has


MODELS = (
    _Model(
        "drawn",
        DRAWN,
        67,
        2.0,
        0.01,
        {
            "sample": ("sample",),
            "painted": ("flare", "naev", "wesnoth"),
            "ink": ("pencil", "line drawing", "halftone"),
            "flat": ("cartoon", "few colours", "painting", "pixel art", "mosaic"),
            "brush": ("oil", "brush strokes"),
            "vector": (),
        },
    ),
    _Model(
        "hidden",
        HIDDEN,
        108,
        3.0,
        0.01,
        {
            "glasses": ("dark glasses",),
            "hand": ("card before the mouth", "hand before the mouth", "hand before an eye"),
            "mask": tuple(kind for kind in COVERED if kind.startswith("mask")),
            "half": (),
        },
    ),
)
DARK_GLASSES = (
    "31",
    "131",
    "169",
    "363",
    "376",
    "391",
    "553",
    "685",
    "917",
    "942",
)  # faces of OMI that wear some
# Of a photograph with smooth skin and one enlarged from 24 px nobody could say for sure what they
# are.
NOT_LEARNT = ("rendered", "24 px enlarged")


def _kind(table: pd.DataFrame) -> np.ndarray:
    """Kind of a face: the folder of a drawing, the change made to a photograph."""
    return np.where(table["sort"] == "drawing", table["source"], table["kind"]).astype(str)


def _person(row) -> str:
    """The person; folders other than OMI and 3dsk may show one several times: `name1`, `name2`."""
    return (
        row.name
        if row.sort == "drawing" or row.source in ("omi", "3dsk")
        else row.name.split("_")[0].rstrip("0123456789")
    )


class _Fit:
    """The regressions of one model over examples."""

    def __init__(self, examples: Examples, model: _Model):
        table = examples.table
        self.model, self.table, self.kind = model, table, _kind(table)
        features = getattr(examples, model.name).astype(np.float64)
        self.mean, self.spread = features.mean(axis=0), features.std(axis=0) + 1e-3
        self.spread[: model.pixels] /= model.pixel_scale
        self.features = (features - self.mean) / self.spread
        drawing, made = (
            (table["sort"] == "drawing").to_numpy(),
            table["kind"].isin(DRAWINGS).to_numpy(),
        )
        learnt = ~table["kind"].isin(NOT_LEARNT).to_numpy()
        if model.name == "drawn":
            self.positive, self.used = drawing | made, learnt | drawing
        else:
            worn = (
                (table["source"] == "omi")
                & table["name"].isin(DARK_GLASSES)
                & ~table["kind"].isin([*COVERED, *DRAWINGS])
            ).to_numpy()
            self.kind[worn] = "dark glasses"
            self.positive, self.used = (
                table["kind"].isin(COVERED).to_numpy() | worn,
                drawing | (~made & learnt),
            )
        self.positive = self.positive & self.used
        self.origin = np.where(
            table["source"].isin(["omi", "3dsk"]) | drawing, table["source"], "others"
        )
        self.judged = (table["side"] >= MIN_JUDGED).to_numpy()
        self.harmless = (
            self.judged
            & ~drawing
            & ~self.positive
            & table["kind"].isin(["plain", "mixed", *HARMLESS]).to_numpy()
        )
        *named, last = model.families
        self.family = np.full(len(table), last, dtype=object)
        for name in named:
            self.family[np.isin(self.kind, model.families[name])] = name
        self.family[~self.positive] = ""
        self.fold = np.array(
            [zlib.crc32(_person(row).encode()) % FOLDS for row in table.itertuples()]
        )

    def regression(self, family: str, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Slopes and constant of one family against all that is not to be told."""
        from sklearn.linear_model import LogisticRegression

        target = self.family == family
        rows = rows & self.used & (target | ~self.positive)
        weight = pd.Series(self.origin).map(WEIGHTS).fillna(0.3).to_numpy(copy=True)
        for kind in np.unique(
            self.kind[target & rows]
        ):  # by the root of their number, so that none rules
            members = target & rows & (self.kind == kind)
            weight[members] = members.sum() ** -0.5
        weight[target] *= weight[rows & ~target].sum() / weight[target & rows].sum()
        model = LogisticRegression(C=self.model.strength, max_iter=400).fit(
            self.features[rows], target[rows], sample_weight=weight[rows]
        )
        return model.coef_[0], float(model.intercept_[0])

    def limit(self, score: np.ndarray, share: float) -> float:
        """What a share of the harmless photographs of no source exceeds."""
        return max(
            float(np.quantile(score[self.harmless & (self.origin == one)], 1 - share))
            for one in ("omi", "3dsk", "others")
        )

    def run(self) -> np.ndarray:
        """Fit weights (families, features + 1) and print the rates on held-out faces."""
        by_family = {
            family: np.full(len(self.table), np.nan)
            for family in np.unique(self.family[self.positive])
        }
        for family, score in by_family.items():
            for number in range(FOLDS):
                slopes, constant = self.regression(family, self.fold != number)
                score[self.fold == number] = self.features[self.fold == number] @ slopes + constant
        limits = {
            family: self.limit(score, FALSE / len(by_family)) for family, score in by_family.items()
        }
        score = np.max([by_family[family] - limits[family] for family in by_family], axis=0)
        limit = self.limit(score, FALSE)
        told = pd.Series(score > limit)[self.judged]
        shares = told.groupby([self.origin[told.index], self._changes()[told.index]]).agg(
            ["mean", "size"]
        )
        print(
            f"{self.model.name}, share told of faces left out of training:\n"
            f"{shares.round(3).to_string()}"
        )
        print(
            f"{self.model.name}, share told of kinds left out of training:\n"
            f"{self.kinds_left_out(by_family, limits, limit).round(3).to_string()}"
        )
        logit = np.log(self.model.threshold / (1 - self.model.threshold))
        weights = []
        for family in by_family:
            slopes, constant = self.regression(family, np.full(len(self.table), True))
            slopes = slopes / self.spread
            weights.append(
                [*slopes, constant - slopes @ self.mean - limits[family] - limit + logit]
            )
        return np.array(weights, np.float32)

    def _changes(self) -> np.ndarray:
        return np.where(self.table["sort"] == "drawing", self.table["kind"], self.kind)

    def kinds_left_out(
        self, by_family: dict[str, np.ndarray], limits: dict[str, float], limit: float
    ) -> pd.Series:
        shares = {}
        for kind in np.unique(self.kind[self.positive]):
            here = self.positive & (self.kind == kind)
            family = self.family[here][0]
            scores = [
                by_family[other][here] - limits[other] for other in by_family if other != family
            ]
            if (self.positive & (self.family == family) & ~here).any():
                slopes, constant = self.regression(family, ~here)
                scores.append(self.features[here] @ slopes + constant - limits[family])
            shares[kind] = float((np.max(scores, axis=0) > limit)[self.judged[here]].mean())
        return pd.Series(shares)


def fit(examples: Examples, models: tuple[_Model, ...]) -> dict[str, np.ndarray]:
    """Both models anew.

    Of the harmless photographs of each source, left out of training, one in a hundred lies above
    the threshold.
    """
    return {model.name: _Fit(examples, model).run() for model in models}
