"""The regressor against ridge regression on several feature sets, over random splits.

    python -m benchmarks.regressors [--omi ../shared/omi] [--clip tiny] [--splits 5] [--out docs]

Run it from the root of a project that has run once (its embeddings are the feature set `sample`).
Prints the mean Pearson r on held-out faces and writes the table into `regressor.md` below --out,
between its two markers. Each split holds out a fifth of the faces, and deals out the others to
train and val as the pipeline does (15 % of all are val). Everybody learns from train; the regressor
stops and calibrates on val. Made-up features are drawn anew for each split.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from benchmarks.labelling_report import write_block
from benchmarks.regressor_features import MADE_UP, Rated, made_up, omi_faces, sample_faces
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from facestats.params.project import load_params
from facestats.scores.training import train_regressor

ROOT = Path(__file__).resolve().parents[1]
START = "<!-- figures: written by `python -m benchmarks.regressors` -->"
VAL, TEST = 0.15, 0.2
PENALTIES = np.logspace(-4, 5, 37)
HEADER = (
    "| features | faces × features | regressor | ridge, standardised | ridge, as they are | "
    "plain MLP | least difference | CPU seconds |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def compare(data: Rated, seed: int, mlp: dict) -> tuple[np.ndarray, float]:
    """Pearson r of four models on one split, and CPU seconds of the regressor's training.

    The models: the regressor, both ridge regressions and scikit-learn's MLP.
    """
    x, y = np.asarray(data[0], dtype=np.float64), data[1]
    order = np.random.default_rng(seed).permutation(len(x))
    test, val, train = np.split(order, [round(TEST * len(x)), round((TEST + VAL) * len(x))])
    started = time.process_time()
    model = train_regressor(x[train], y[train], x[val], y[val], **mlp)
    seconds = time.process_time() - started
    others = (
        make_pipeline(StandardScaler(), RidgeCV(PENALTIES)),
        RidgeCV(PENALTIES),
        make_pipeline(StandardScaler(), MLPRegressor(random_state=0)),
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        predictions = [
            model.predict(x[test]),
            *(other.fit(x[train], y[train]).predict(x[test]) for other in others),
        ]
    return np.array([np.corrcoef(one, y[test])[0, 1] for one in predictions]), seconds


def row(name: str, data: Callable[[int], Rated], splits: int, mlp: dict) -> str:
    """One line of the table."""
    splits_done = [
        compare(data(seed), seed, mlp) for seed in tqdm(range(splits), desc=name, disable=None)
    ]
    regressor, standardised, raw, plain = np.mean([rs for rs, _ in splits_done], axis=0)
    shape = " × ".join(f"{n:,}" for n in data(0)[0].shape)
    return (
        f"| {name} | {shape} | {regressor:.3f} | {standardised:.3f} | {raw:.3f} | "
        f"{plain:.3f} "
        f"| {regressor - max(standardised, raw):+.4f} | "
        f"{np.mean([seconds for _, seconds in splits_done]):.1f} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--omi",
        type=Path,
        help="folder with images/, attribute_means.csv and attribute_ratings.zip",
    )
    parser.add_argument(
        "--clip",
        default="tiny",
        help="a variant for the OMI faces, as clip.variant (default: %(default)s)",
    )
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "docs/methods",
        help="folder of regressor.md (default: docs/methods)",
    )
    options = parser.parse_args()
    params = load_params(ROOT / "params.yaml")
    sets: dict[str, Callable[[int], Rated]] = {}
    fixed = {"sample, `tiny`": sample_faces(ROOT)} | (
        omi_faces(options.omi, options.clip, params) if options.omi else {}
    )
    for name, data in fixed.items():
        sets[name] = lambda seed, data=data: data
    for kind in MADE_UP:
        sets[kind] = lambda seed, kind=kind: made_up(kind, seed)
    print(HEADER, end="", flush=True)
    table = HEADER
    for name, data in sets.items():
        table += row(name, data, options.splits, params.mlp.model_dump())
        print(table.splitlines()[-1], flush=True)
    write_block(options.out / "regressor.md", table, START)


if __name__ == "__main__":
    main()
