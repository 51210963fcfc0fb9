"""The geometric scores on the OMI faces, each face predicted by models that never saw it.

    python -m benchmarks.geometry --omi ../shared/omi [--out docs]

Prints, for 10-fold cross-validation (people are faces there), Pearson's r with its 95 % bootstrap
interval and the mean absolute error of the z-score, of shape, of appearance, and of both; how well
shape and appearance say age and gender; what the parts of the way from a photo to a score cost; and
writes all of it into `geometry.md` below --out, between its two markers. Everything is fitted in
each fold anew: mean shape, components, penalty. The mean shape that pixels are sampled in is that
of all faces: no rating is looked at.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.labelling_report import write_block
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from facestats.core.stats.regression import with_intervals
from facestats.faces.preprocess import PreprocessConfig, preprocess_folder
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import GeometryModel, features
from facestats.geometry.training import COORDINATES, make_pipeline, sampler_for, train_pipeline
from facestats.importers.omi import MEANS, import_omi
from facestats.landmarker.fetch import fetch_landmarker
from facestats.machine.pool import count_workers
from facestats.params.project import load_params

ROOT = Path(__file__).resolve().parents[1]
START = "<!-- figures: written by `python -m benchmarks.geometry` -->"
FOLDS, SEED = 10, 0
HEADER = "| what | r | 95 % interval | mean absolute error |\n|---|---|---|---|\n"


def prepare(omi: Path, work: Path) -> tuple[pd.DataFrame, list[Path]]:
    """Rows of the table of faces and their crops, as the pipeline makes them."""
    params = load_params(ROOT / "params.yaml")
    import_omi(omi, work)
    fetch_landmarker(params.landmarker.source, work / "landmarker")
    config = PreprocessConfig(**params.preprocess.cutting())
    faces = preprocess_folder(work / "raw", work / "faces", config, work / "landmarker")
    faces = faces[faces["landmarks"].notna()]
    return faces, [work / "faces" / name for name in faces["filename"]]


def held_out(x: np.ndarray, y: np.ndarray, parts: tuple[str, ...]) -> np.ndarray:
    """What pipelines of the other folds say of each face.

    `parts` of the features that count: shape, appearance.
    """
    predicted = np.empty(len(y))
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(x):
        pipeline = make_pipeline(len(train), appearance="appearance" in parts)
        if "shape" not in parts:
            pipeline.set_params(features__shape="drop")
        with threadpool_limits(1):
            predicted[test] = pipeline.fit(x[train], y[train]).predict(x[test])
    return predicted


def line(name: str, y: np.ndarray, predicted: np.ndarray, unit: str = "") -> str:
    """A row of the table; no error for a prediction in other units than the ratings."""
    metrics = with_intervals(y, predicted, 1000, SEED)
    r = metrics["pearson"]
    error = f"{metrics['mae']['value']:.2f}{unit}" if unit else "–"
    return f"| {name} | {r['value']:.3f} | {r['low']:.3f} to {r['high']:.3f} | {error} |\n"


def seconds(call: Callable, times: int, clock: Callable[[], float]) -> float:
    """Median seconds of a call by a clock."""
    taken = []
    for _ in range(times):
        started = clock()
        call()
        taken.append(clock() - started)
    return float(np.median(taken))


def costs(x: np.ndarray, y: np.ndarray, landmarks: np.ndarray, crops: list[Path]) -> str:
    """What scoring costs: a photo, and a face of many."""
    text = "| | shape | shape and appearance |\n|---|---|---|\n"
    measured = fit_zscore(measure(landmarks))
    samplers = (None, sampler_for(landmarks))
    models = [
        GeometryModel(
            train_pipeline(x if sampler else x[:, :COORDINATES], y)[0], None, measured, sampler
        )
        for sampler in samplers
    ]
    one = [
        1000
        * seconds(
            lambda model=model: model.predict(landmarks[:1], crops[:1]), 50, time.perf_counter
        )
        for model in models
    ]
    many = [
        1000
        * seconds(lambda model=model: model.predict(landmarks, crops), 3, time.process_time)
        / len(crops)
        for model in models
    ]
    text += f"| ms for one photo, once it has landmarks | {one[0]:.1f} | {one[1]:.1f} |\n"
    return (
        text + f"| ms of processor time a face of {len(crops)} | {many[0]:.2f} | {many[1]:.2f} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--omi",
        type=Path,
        required=True,
        help=f"folder with images/, {MEANS} and attribute_ratings.zip",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "docs/methods",
        help="folder of geometry.md (default: docs/methods)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faces, crops = prepare(options.omi, Path(folder))
        landmarks = np.stack(faces["landmarks"].to_list()).reshape(len(faces), -1, 3)
        x = features(landmarks, sampler_for(landmarks), crops)
        means = pd.read_csv(options.omi / MEANS, dtype={"stimulus": "str"}).assign(
            image=lambda table: table["stimulus"] + ".jpg"
        )
        means = means.set_index("image").loc[faces["image"]]
        y = means["attractive"].to_numpy()
        text = HEADER + line(
            "z-score: symmetry and golden ratio",
            y,
            fit_zscore(measure(landmarks))(measure(landmarks)),
        )
        for name, parts in (
            ("shape", ("shape",)),
            ("appearance", ("appearance",)),
            ("shape and appearance", ("shape", "appearance")),
        ):
            features_used = x if "appearance" in parts else x[:, :COORDINATES]
            text += line(name, y, held_out(features_used, y, parts), " of 100")
        for name, unit in (("gender", " of 100"), ("age", " years")):
            values = means[name].to_numpy()
            text += line(
                f"{name}, by shape and appearance",
                values,
                held_out(x, values, ("shape", "appearance")),
                unit,
            )
        text += f"\n{len(y)} faces, {FOLDS} folds.\n\n" + costs(x, y, landmarks, crops)
    text += f"\nPython {platform.python_version()}, processors: {count_workers(len(crops))}.\n"
    print(text)
    write_block(options.out / "geometry.md", text, START)


if __name__ == "__main__":
    main()
