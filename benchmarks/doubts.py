"""How often plain photographs are doubted, and how often spoilt ones and drawings: the rates of docs/doubts.md.

    python -m benchmarks.doubts [--every 8] [--drawings FOLDER …]
    python -m benchmarks.doubts --fit --drawings FOLDER …     # also fits src/facestats/faces/look_weights.py anew

Photographs come from ../shared (3dsk, OMI), drawings from data/sample and the folders named: the portraits of Debian's wesnoth-1.16-data and
flare-game, the faces of fonts-noto-color-emoji. Every nth photograph is spoilt in each way; all are looked at as they are.
"""

from __future__ import annotations

import argparse
import textwrap
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facestats.doubts import DRAWN, FACTS, HIDDEN, doubtful_faces
from facestats.errors import ImageError
from facestats.faces import look_weights
from facestats.faces.crop import FaceCrop, PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker
from facestats.faces.looks import drawn_features, hidden_features, sample_points
from facestats.faces.quality import GREY_SIZE, face_region, fine_detail

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
LONGEST = 800  # px to which a photograph is brought before it is spoilt
FOLDS = 5
COVERS = {"skin": (205, 160, 135), "black": (18, 18, 20), "white": (238, 238, 238), "grey": (128, 128, 128), "blue": (60, 90, 160)}
Photo = np.ndarray
Change = Callable[[Photo, np.ndarray, np.random.Generator], Photo]  # a photo, its face's landmarks in px, random numbers


def _exposed(light: float) -> Change:
    return lambda photo, points, rng: np.clip(255 * (photo / 255) * light ** (1 / 2.2), 0, 255).astype(np.uint8)


def _clipped(factor: float) -> Change:
    return lambda photo, points, rng: np.clip(photo * factor, 0, 255).astype(np.uint8)


def _blurred(share: float) -> Change:
    return lambda photo, points, rng: cv2.GaussianBlur(photo, (0, 0), share * np.ptp(points[:, 0]))


def _moved(share: float) -> Change:
    def change(photo, points, rng):
        length = max(3, round(share * np.ptp(points[:, 0])))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1
        turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.integers(0, 180)), 1)
        kernel = cv2.warpAffine(kernel, turn, (length, length))
        return cv2.filter2D(photo, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return change


def _small(wide: int) -> Change:
    def change(photo, points, rng):
        factor = wide / np.ptp(points[:, 0])
        small = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return change


def _covered(side: str, colour: str) -> Change:
    def change(photo, points, rng):
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        share = {"left": (-0.3, -0.3, 0.5, 1.3), "right": (0.5, -0.3, 1.3, 1.3), "top": (-0.3, -0.4, 1.3, 0.45), "bottom": (-0.3, 0.52, 1.3, 1.3),
                 "mouth": (0.15, 0.6, 0.85, 1.05)}[side]
        left, top = (max(0, int(low + part * (high - low))) for low, high, part in ((x0, x1, share[0]), (y0, y1, share[1])))
        right, bottom = (int(low + part * (high - low)) for low, high, part in ((x0, x1, share[2]), (y0, y1, share[3])))
        out = photo.copy()
        part = out[top:bottom, left:right]
        base = COVERS[colour] if colour in COVERS else rng.integers(10, 245, 3)
        streaks = rng.normal(0, 22, (1, part.shape[1], 1)) if colour == "hair" else 0
        base = (50, 35, 25) if colour == "hair" else base
        part[:] = np.clip(np.array(base) + streaks + rng.normal(0, 4, (*part.shape[:2], 1)), 0, 255)
        return out
    return change


_MASK = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 5)
_EYES = ((33, 133), (362, 263))


def _masked(colour: str) -> Change:
    def change(photo, points, rng):
        base = COVERS[colour] if colour in COVERS else rng.integers(10, 245, 3)
        return cv2.fillPoly(photo.copy(), [points[list(_MASK)].astype(np.int32)], tuple(map(int, base)), cv2.LINE_AA)
    return change


def _glasses(dark: bool) -> Change:
    def change(photo, points, rng):
        out, thick = photo.copy(), max(2, int(0.025 * np.ptp(points[:, 0])))
        for corners in _EYES:
            (x, y), wide = points[list(corners)].mean(axis=0), np.ptp(points[list(corners), 0])
            cv2.ellipse(out, (int(x), int(y + 0.1 * wide)), (int(0.93 * wide), int(0.72 * wide)), 0, 0, 360, (20, 18, 20),
                        -1 if dark else thick, cv2.LINE_AA)
        return cv2.line(out, points[133].astype(int).tolist(), points[362].astype(int).tolist(), (20, 18, 20), thick)
    return change


def _grey(photo, points, rng):
    return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _background(shade: int) -> Change:
    def change(photo, points, rng):
        mask = np.zeros(photo.shape[:2], np.uint8)
        (x, y), high = points.mean(axis=0), np.linalg.norm(points[10] - points[152])
        cv2.ellipse(mask, (int(x), int(y - 0.08 * high)), (int(0.62 * high), int(0.85 * high)), 0, 0, 360, 255, -1)
        soft = cv2.GaussianBlur(mask, (0, 0), 0.02 * high)[..., None] / 255
        return (photo * soft + shade * (1 - soft)).astype(np.uint8)
    return change


def _compressed(photo, points, rng):
    return cv2.imdecode(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)


def _noisy(photo, points, rng):
    return np.clip(photo + rng.normal(0, 10, photo.shape), 0, 255).astype(np.uint8)


def _painted(photo, points, rng):
    return cv2.stylization(photo, sigma_s=60, sigma_r=0.45)


def _cartoon(photo, points, rng):
    for _ in range(4):
        photo = cv2.bilateralFilter(photo, 9, 30, 7)
    edges = cv2.adaptiveThreshold(cv2.medianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 5), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
    return cv2.bitwise_and(photo // 32 * 32 + 16, photo // 32 * 32 + 16, mask=edges)


HARMLESS: dict[str, Change] = {"grey": _grey, "white background": _background(252), "black background": _background(3), "JPEG quality 30": _compressed,
                               "noise": _noisy, "a quarter of the light": _exposed(0.25), "glasses": _glasses(False), "100 px wide": _small(100)}
SPOILT: dict[str, tuple[str, Change]] = {
    **{f"{light:g} of the light": ("dark", _exposed(light)) for light in (0.05, 0.02, 0.01)},
    **{f"{factor:g} times as bright": ("bright", _clipped(factor)) for factor in (1.5, 2.0, 3.0)},
    **{f"blur {100 * share:g} % of the width": ("blurred", _blurred(share)) for share in (0.005, 0.01, 0.02, 0.03)},
    **{f"motion {100 * share:g} %": ("blurred", _moved(share)) for share in (0.06, 0.1, 0.2)}, "24 px enlarged": ("blurred", _small(24)),
    **{f"{side} half {colour}": ("half_hidden", _covered(side, colour)) for side in ("left", "right", "top", "bottom")
       for colour in ("hair", "any colour", *COVERS)},
    "hand before the mouth": ("half_hidden", _covered("mouth", "skin")), "dark glasses": ("half_hidden", _glasses(True)),
    **{f"mask {colour}": ("half_hidden", _masked(colour)) for colour in ("any colour", "black", "white", "blue")},
    "painted": ("drawing", _painted), "cartoon": ("drawing", _cartoon)}


class Faces:
    """Crops with what they show: `kind`, `source`, `name`, `facts`, features of both models."""

    def __init__(self):
        self.landmarker, self.rows, self.hidden, self.drawn = Landmarker(ROOT / "models/landmarker"), [], [], []

    def add(self, photo: Photo, kind: str, source: str, name: str) -> FaceCrop | None:
        try:
            crop = crop_face(np.ascontiguousarray(photo), PreprocessConfig(), self.landmarker)
        except ImageError:
            return None
        region = face_region(crop.landmarks, GREY_SIZE)
        if region is None:
            return None
        points = sample_points(crop.rgb, crop.landmarks)
        self.hidden.append(hidden_features(points))
        self.drawn.append(drawn_features(crop.grey, fine_detail(crop.grey)[0], region, points))
        self.rows.append({"kind": kind, "source": source, "name": name} | crop.facts())
        return crop


def photographs() -> Iterator[tuple[str, Path]]:
    yield from (("3dsk", path) for path in sorted(SHARED.glob("3dsk/*male/*.jpg")))
    yield from (("omi", path) for path in sorted(SHARED.glob("omi/images/*.jpg")))


def read(path: Path) -> Photo:
    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "P"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def collect(every: int, drawings: list[Path]) -> Faces:
    faces = Faces()
    for number, (source, path) in enumerate(tqdm(list(photographs()), "photographs")):
        photo = read(path)
        faces.add(photo, "plain", source, path.stem)
        if number % every:
            continue
        factor = min(1.0, LONGEST / max(photo.shape[:2]))
        photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        found = faces.landmarker.detect(photo)
        if not found:
            continue
        points = found[0].landmarks[:, :2] * photo.shape[1::-1]
        for kind, change in (HARMLESS | {name: change for name, (_, change) in SPOILT.items()}).items():
            faces.add(change(photo, points, np.random.default_rng(zlib.crc32(f"{path.stem}{kind}".encode()))), kind, source, path.stem)
    for folder in (ROOT / "data/sample/images", *drawings):
        for path in tqdm(sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".jpg", ".png", ".webp")), folder.name):
            try:
                faces.add(read(path), "drawn", folder.name if folder.name != "images" else "sample", path.stem)
            except (OSError, Image.DecompressionBombError):  # the sample holds broken files as well
                continue
    return faces


def fit(faces: Faces) -> str:
    """Both models anew, as the text of `look_weights.py`; 1 % of the plain photographs, left out of training, lie above 0.5."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind, source = (np.array([row[key] for row in faces.rows]) for key in ("kind", "source"))
    fold = np.array([zlib.crc32(row["name"].encode()) % FOLDS for row in faces.rows])
    about = {name: reason for name, (reason, _) in SPOILT.items()}
    reason = np.array([about.get(name, "drawing" if name == "drawn" else "") for name in kind])
    text = '"""Weights of the two models in `looks.py`, written by `python -m benchmarks.doubts --fit`.\n\n' \
           '`CELLS`: the cell of the grid over the face that each landmark lies in; `HIDDEN` and `DRAWN`: logistic regressions, constant last.\n"""\n'
    weights = {"CELLS": look_weights.CELLS}
    for name, wanted, threshold, features, strength in (("HIDDEN", "half_hidden", HIDDEN, faces.hidden, 0.1),
                                                        ("DRAWN", "drawing", DRAWN, faces.drawn, 3.0)):
        x, y = np.array(features), reason == wanted
        used = y | np.isin(reason, ["", "blurred"] if name == "HIDDEN" else ["", "blurred", "half_hidden"])
        weight = np.where(kind == "plain", 1.0, 3.0)
        for group in np.unique(source[y] + kind[y]):
            weight[y & (np.char.add(source, kind) == group)] = (y & (np.char.add(source, kind) == group)).sum() ** -0.5
        weight[y] *= weight[used & ~y].sum() / weight[y].sum()

        def trained(rows, x=x, y=y, weight=weight, strength=strength):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=6000))
            return model.fit(x[rows], y[rows], logisticregression__sample_weight=weight[rows])

        unseen = np.full(len(x), np.nan)
        for number in range(FOLDS):
            unseen[fold == number] = trained(used & (fold != number)).decision_function(x[fold == number])
        limit = max(np.quantile(unseen[(kind == "plain") & (source == one)], 0.99) for one in ("3dsk", "omi"))
        told = pd.Series(unseen > limit + np.log(threshold / (1 - threshold)))[used]
        shares = told.groupby(np.char.add(np.char.add(source[used], " "), kind[used])).mean()
        print(f"{name}, share told of faces left out of training:\n{shares.round(3).to_string()}")
        scaler, model = trained(used)
        slopes = model.coef_[0] / scaler.scale_
        weights[name] = [float(f"{v:.5g}") for v in (*slopes, model.intercept_[0] - slopes @ scaler.mean_ - limit)]
    for name, values in weights.items():
        text += f"\n{name} = (\n" + textwrap.indent(textwrap.fill(", ".join(map(repr, values)), 104), "    ") + ",\n)\n"
    return text


def rates(faces: Faces) -> pd.DataFrame:
    """Share of each source and kind that each doubt is about."""
    table = pd.DataFrame(faces.rows)
    doubted = pd.DataFrame({reason: table.index.isin(values.index) for reason, values, _ in doubtful_faces(table[FACTS], 0.0)})
    doubted["any"] = doubted.drop(columns="several_faces").any(axis=1)
    shares = doubted.groupby([table["kind"], table["source"]], sort=False).mean()
    return shares.assign(n=table.groupby(["kind", "source"], sort=False).size())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=8, help="every nth photograph is spoilt (default: %(default)s)")
    parser.add_argument("--drawings", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--fit", action="store_true", help="fit the models of faces/looks.py anew and write their weights")
    options = parser.parse_args()
    everything = collect(options.every, options.drawings)
    if options.fit:
        (ROOT / "src/facestats/faces/look_weights.py").write_text(fit(everything), encoding="utf-8")
        print("look_weights.py is written; run again without --fit for the rates")
        return
    with pd.option_context("display.width", 250, "display.max_columns", None, "display.max_rows", None):
        print(rates(everything).round(3).to_string())


if __name__ == "__main__":
    main()
