"""Stage `train_attractiveness`: the regressor from embedding to rating.

Reads   embeddings_clip.parquet, faces.parquet, labels.parquet, splits.parquet, age_check.parquet
        (ratings of children are not used, and faces that get no score are no reference for
        others); params `mlp`
Writes  models/attractiveness_regressor.pt, out_of_fold.parquet, metrics/train_attractiveness/
        (dvclive; epoch 0 is the ridge regression alone)
Alone   dvc repro -sf train_attractiveness
"""

from facestats.run.stage import run_stage, warn

import torch

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.fingerprint import sha256_file
from facestats.core.stats.identity import IDENTITY, training_rows
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS
from facestats.scores.fitting import fit_regressor
from facestats.scores.live import TrainingLog
from facestats.scores.tables import SCORES_OUT_OF_FOLD


def main(params, embeddings, faces, labels, splits, age_check, regressor, out_of_fold, metrics):
    torch.set_num_threads(1)  # sums in another order give other bits
    vectors, options = EmbeddingTable(embeddings), params.mlp
    rows = training_rows(
        tables.read_for(vectors.names, labels, LABELS, ["rating", "person"]),
        tables.read_for(vectors.names, splits, SPLITS)["split"],
        tables.read(faces, FACES, IDENTITY).dropna(subset="filename"),
        tables.read(age_check, AGE_CHECK),
    )
    with TrainingLog(metrics) as log:
        fitted = fit_regressor(options, vectors, rows, tables.rating_scale(labels), log.on_epoch)
        own = {"pretrained_sha256": sha256_file(options.pretrained)} if options.pretrained else {}
        log.summarise(fitted.facts(log.best) | own)
    warn(*fitted.warnings)
    if fitted.note:
        print(fitted.note)
    tables.write(fitted.out_of_fold, out_of_fold, SCORES_OUT_OF_FOLD)
    fitted.save(regressor)
    return fitted.summary()


if __name__ == "__main__":
    run_stage(main)
