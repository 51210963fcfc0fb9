"""Stage `train_attractiveness`: the regressor from embedding to rating.

Reads   embeddings_clip.parquet, faces.parquet, labels.parquet, splits.parquet, age_check.parquet (ratings of children teach nothing, and
        faces that get no score are no reference for others); params `mlp`
Writes  models/attractiveness_regressor.pt, out_of_fold.parquet,
        metrics/train_attractiveness/ (dvclive; epoch 0 is the ridge regression alone)
Alone   dvc repro -sf train_attractiveness
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from dvclive import Live
from scmrepo.exceptions import SCMError

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.files import rounded
from facestats.core.fingerprint import sha256_file
from facestats.core.stats.identity import IDENTITY, known_minors, same_faces
from facestats.core.stats.scale import reference_distribution
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import InputError, number_of
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS
from facestats.scores.folds import out_of_fold as predict_out_of_fold
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import Regressor, save_untrained
from facestats.scores.tables import SCORES_OUT_OF_FOLD
from facestats.scores.training import MIN_TRAIN, MIN_VAL, too_few, train_regressor


def main(
    params,
    embeddings: Path,
    faces: Path,
    labels: Path,
    splits: Path,
    age_check: Path,
    regressor: Path,
    out_of_fold: Path,
    metrics: Path,
) -> str:
    torch.set_num_threads(1)  # sums in another order give other bits
    vectors = EmbeddingTable(embeddings)
    ratings = (
        tables.read(labels, LABELS, ["filename", "rating"])
        .set_index("filename")["rating"]
        .reindex(vectors.names)
    )
    split = tables.read(splits, SPLITS).set_index("filename")["split"].reindex(vectors.names)
    scale = tables.rating_scale(labels)
    checked = tables.read(age_check, AGE_CHECK)
    young = known_minors(checked).reindex(vectors.names)
    scored = checked.set_index("filename")["score_withheld"].isna().reindex(vectors.names)
    n_young, ratings = int((ratings.notna() & young).sum()), ratings.mask(young)
    if n_young:
        warn(
            f"the ratings of {number_of(n_young, 'face')} that are too young for a score teach nothing (score.min_age)"
        )
    chosen = {name: (ratings.notna() & (split == name)).to_numpy() for name in ("train", "val")}
    counts = {f"n_{name}": int(rows.sum()) for name, rows in chosen.items()}
    found = tables.read(faces, FACES, IDENTITY).dropna(subset="filename")
    people = tables.read(labels, LABELS, ["filename", "person"]).set_index("filename")["person"]
    groups = same_faces(found, people).reindex(vectors.names)
    honest = pd.DataFrame(
        {"filename": pd.Series(dtype="str"), "fold": [], "attractiveness_raw": []}
    )
    with _live(metrics) as live:
        model, why = _model(params.mlp, vectors, ratings.to_numpy(), chosen, scale, live)
        if model is not None and params.mlp.folds and not params.mlp.pretrained:
            honest, problems = _out_of_fold(params.mlp, vectors, ratings.to_numpy(), chosen, groups)
            for problem in problems:
                warn(f"mlp.folds: {problem}; its faces are scored by the main model")
        honest = honest[honest["filename"].map(scored).to_numpy(bool)]
        counts |= {"n_out_of_fold": len(honest), "n_under_age": n_young}
        live.summary |= {"trained": model is not None, "why": why, **counts}
        if params.mlp.pretrained:
            live.summary["pretrained_sha256"] = sha256_file(params.mlp.pretrained)
    tables.write(honest, out_of_fold, SCORES_OUT_OF_FOLD)
    if model is None:
        save_untrained(regressor, why)
        warn(f"attractiveness is not trained: {why}")
        return "trained=false"
    model.scale = model.scale or scale
    # What the table shows: honest predictions where there are some. The model flatters and so spreads out faces that it has learned.
    shown = pd.Series(model.predict(vectors), index=vectors.names)
    shown.update(honest.set_index("filename")["attractiveness_raw"])
    model.reference = reference_distribution(
        shown[scored].to_numpy() if scored.any() else shown.to_numpy()
    )
    model.save(regressor)
    return " ".join(f"{k}={v}" for k, v in counts.items())


def _live(metrics: Path) -> Live:
    try:
        return Live(
            str(metrics), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False
        )
    except SCMError as error:
        raise InputError(
            f"git can't say which commit this run is based on ({error}); commit once, `git add -A && git commit -m start`, and run again"
        ) from None


def _out_of_fold(
    options,
    vectors: EmbeddingTable,
    ratings: np.ndarray,
    chosen: dict[str, np.ndarray],
    groups: pd.Series,
) -> tuple[pd.DataFrame, list[str]]:
    """Honest predictions of the rated faces of train and val; the others take no part."""
    rows = chosen["train"] | chosen["val"]
    return predict_out_of_fold(
        vectors.take(rows),
        ratings[rows],
        groups[rows],
        stop_share=chosen["val"].sum() / rows.sum(),
        **options.model_dump(),
    )


def _model(
    options,
    vectors: EmbeddingTable,
    ratings: np.ndarray,
    chosen: dict[str, np.ndarray],
    scale: tuple[float, float] | None,
    live: Live,
) -> tuple[Regressor | None, str | None]:
    """The trained (or somebody's) model, or None and the reason."""
    if options.pretrained:
        model = load_pretrained(Path(options.pretrained), vectors.dimension, scale)
        print(
            f"{options.pretrained}: layers of {model.dimension}, {', '.join(map(str, [*model.network.hidden, 1]))} numbers, ReLU between them"
        )
        return model, None
    train, val = chosen["train"], chosen["val"]
    if train.sum() < MIN_TRAIN or val.sum() < MIN_VAL:
        return None, too_few(train.sum(), val.sum())
    best = {"epoch": 0, "val_loss": float("inf")}

    def log(epoch: int, train_loss: float, val_loss: float) -> None:
        live.step = epoch
        live.log_metric("train/loss", rounded(train_loss))
        live.log_metric("val/loss", rounded(val_loss))
        live.make_summary()
        if val_loss < best["val_loss"]:
            best.update(epoch=epoch, val_loss=val_loss)

    try:
        model = train_regressor(
            vectors.take(train),
            ratings[train],
            vectors.take(val),
            ratings[val],
            on_epoch=log,
            **options.model_dump(),
        )
        # What was kept; `val.loss` is the last epoch's.
        live.summary |= rounded(
            {"best": best, "correction": model.size, "calibration": model.calibration.kind}
        )
        return model, None
    except InputError as error:
        return None, str(error)


if __name__ == "__main__":
    run_stage(main)
