"""Stage `train_attractiveness`: the regressor from embedding to rating, and the facts that serving needs.

Reads   embeddings_clip.parquet, labels.parquet, splits.parquet; params `mlp`, `preprocess`
Writes  models/attractiveness_regressor.pt, models/serving.json, metrics/train_attractiveness/ (dvclive)
Alone   python stages/train_attractiveness.py data/processed/embeddings/embeddings_clip.parquet \\
            data/processed/metadata/labels.parquet data/processed/metadata/splits.parquet \\
            models/attractiveness_regressor.pt models/serving.json metrics/train_attractiveness
"""

from pathlib import Path

import numpy as np
import torch
from dvclive import Live

from facestats import tables
from facestats.attractiveness.mlp import Regressor, load_pretrained, save_untrained
from facestats.attractiveness.scores import reference_distribution
from facestats.attractiveness.training import MIN_TRAIN, MIN_VAL, train_regressor
from facestats.embeddings import EmbeddingTable
from facestats.errors import InputError
from facestats.files import write_json
from facestats.fingerprint import sha256_file
from facestats.stage import run_stage, warn


def main(params, embeddings: Path, labels: Path, splits: Path, out: Path, serving: Path, metrics: Path) -> str:
    torch.set_num_threads(1)  # sums in another order give other bits
    vectors = EmbeddingTable(embeddings)
    ratings = tables.read(labels, tables.LABELS, ["filename", "rating"]).set_index("filename")["rating"].reindex(vectors.names)
    split = tables.read(splits, tables.SPLITS).set_index("filename")["split"].reindex(vectors.names)
    said = tables.file_metadata(labels)
    scale = (float(said["rating_low"]), float(said["rating_high"])) if "rating_low" in said else None
    chosen = {name: (ratings.notna() & (split == name)).to_numpy() for name in ("train", "val")}
    counts = {f"n_{name}": int(rows.sum()) for name, rows in chosen.items()}
    with Live(str(metrics), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False) as live:
        model, why = _model(params.mlp, vectors, ratings.to_numpy(), chosen, scale, live)
        live.summary |= {"trained": model is not None, "why": why, **counts}
        if params.mlp.pretrained:
            live.summary["pretrained_sha256"] = sha256_file(params.mlp.pretrained)
    write_json(serving, {
        "crop": params.preprocess.model_dump(),
        "clip": {k: vectors.metadata[k] for k in ("variant", "revision", "weights_sha256", "precision", "dimension")},
        "trained": model is not None, "why": why,
    })
    if model is None:
        save_untrained(out, why)
        warn(f"attractiveness is not trained: {why}")
        return "trained=false"
    model.scale = model.scale or scale
    model.reference = reference_distribution(model.predict(vectors))
    model.save(out)
    return " ".join(f"{k}={v}" for k, v in counts.items())


def _model(options, vectors: EmbeddingTable, ratings: np.ndarray, chosen: dict[str, np.ndarray],
           scale: tuple[float, float] | None, live: Live) -> tuple[Regressor | None, str | None]:
    """The trained (or somebody's) model, or None and the reason."""
    if options.pretrained:
        return load_pretrained(Path(options.pretrained), vectors.dimension, scale), None
    train, val = chosen["train"], chosen["val"]
    if train.sum() < MIN_TRAIN or val.sum() < MIN_VAL:
        return None, (f"{train.sum()} rated faces in train and {val.sum()} in val; "
                      f"{MIN_TRAIN} and {MIN_VAL} are needed")

    best = {"epoch": 0, "val_loss": float("inf")}

    def log(epoch: int, train_loss: float, val_loss: float) -> None:
        live.step = epoch
        live.log_metric("train/loss", train_loss)
        live.log_metric("val/loss", val_loss)
        live.make_summary()
        if val_loss < best["val_loss"]:
            best.update(epoch=epoch, val_loss=val_loss)

    try:
        model = train_regressor(vectors.take(train), ratings[train], vectors.take(val), ratings[val], on_epoch=log,
                                **options.model_dump())
        live.summary["best"] = best  # the weights that were kept; `val.loss` is the last epoch's
        return model, None
    except InputError as error:
        return None, str(error)


if __name__ == "__main__":
    run_stage(main)
