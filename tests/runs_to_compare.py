"""Made-up runs: tables of cross-validated predictions, by models that are trained in each fold."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from facestats.core import tables
from facestats.core.stats.folds import dealt_folds
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.labels.tables import SPLITS

PENALTY = 10.0


def ridge(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    square = x.T @ x + PENALTY * np.eye(x.shape[1])
    return y.mean() + others @ np.linalg.solve(square, x.T @ (y - y.mean()))


def run_of(
    features: np.ndarray,
    actual: np.ndarray,
    persons: np.ndarray | None = None,
    repeats: int = 1,
    folds: int = 5,
    target: str = "rating",
    model: str = "mlp",
    seed: int = 0,
) -> pd.DataFrame:
    """The table of a run whose only model is a ridge regression; persons are numbers."""
    n = len(actual)
    groups = np.arange(n) if persons is None else persons
    parts = []
    for repeat in range(repeats):
        fold, predicted = dealt_folds(groups, folds, (seed, repeat)), np.empty(n)
        for k in range(folds):
            inside = fold == k
            predicted[inside] = ridge(features[~inside], actual[~inside], features[inside])
        parts.append(rows(target, model, repeat, fold, groups, actual, predicted))
    return pd.concat(parts, ignore_index=True)


def rows(target, model, repeat, fold, groups, actual, predicted) -> pd.DataFrame:
    """Rows of numbers or classes."""
    n, classes = len(actual), np.asarray(actual).dtype == object
    nothing = {name: [None] * n for name in ("actual_class", "predicted_class")}
    numbers = {"actual": np.full(n, np.nan), "predicted": np.full(n, np.nan)}
    given = {"actual": actual, "predicted": predicted}
    if classes:
        nothing = {f"{name}_class": values for name, values in given.items()}
    else:
        numbers = given
    frame = pd.DataFrame(
        {
            "target": target,
            "model": model,
            "repeat": np.int32(repeat),
            "filename": [f"face_{i:04d}.jpg" for i in range(n)],
            "fold": np.asarray(fold, dtype=np.int32),
            "person_group": [f"person_{g}" for g in groups],
            **numbers,
            **nothing,
            "probability": np.nan,
            "answered": pd.array([None] * n, dtype="boolean"),
        }
    )
    return frame[list(CROSSVALIDATED.columns)]


def two_halves(n: int, seed: int, more: float = 0.0, faces: int = 1) -> tuple:
    """Features that tell as much, or `more` in the second half, and ratings of n persons.

    Returns
    -------
    (ndarray, ndarray), ndarray, ndarray
        Features of each half, ratings, persons.
    """
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(n), faces)
    x = rng.normal(size=(n, 10))[persons] + 0.3 * rng.normal(size=(n * faces, 10)) * (faces > 1)
    noise = rng.normal(size=n)[persons]
    y = 4 + 0.5 * x[:, :5].sum(axis=1) + (0.5 + more) * x[:, 5:].sum(axis=1) + noise
    return (x[:, :5], x[:, 5:]), y, persons


def made_run(folder: Path, table: pd.DataFrame, hidden: int = 64, val_loss: float = 0.5) -> None:
    """Write what a run leaves in the workspace and in DVC's cache."""

    def write(name: str, content: dict) -> None:
        (folder / name).write_text(yaml.safe_dump(content))

    for name in ("metrics", ".dvc"):
        (folder / name).mkdir(exist_ok=True)
    if not (folder / "dvc.yaml").exists():
        (folder / "dvc.yaml").write_text("stages: {}\n")
    outs = []
    faces = table["filename"].unique()
    splits = pd.DataFrame({"filename": faces, "split": ["val"] * 9 + ["train"] * (len(faces) - 9)})
    for content, schema in ((table, CROSSVALIDATED), (splits, SPLITS)):
        path = folder / schema.location
        tables.write(content, path, schema)
        data = path.read_bytes()
        md5 = hashlib.md5(data).hexdigest()
        kept = folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
        outs.append({"path": schema.location, "md5": md5})
    mlp = {"hidden": hidden, "loss": "mse"}
    write("params.yaml", {"mlp": mlp, "clusters": {"k": 3}})
    write(
        "dvc.lock",
        {
            "schema": "2.0",
            "stages": {
                "split": {"outs": outs[1:]},
                "crossvalidate": {
                    "deps": [dict(out) for out in outs[1:]],
                    "params": {"params.yaml": {"mlp": mlp}},
                    "outs": outs[:1],
                },
            },
        },
    )
    (folder / "metrics/summary.json").write_text(json.dumps({"best": {"val_loss": val_loss}}))
