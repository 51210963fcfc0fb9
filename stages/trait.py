"""Stage `trait@<name>`: holistic, geometric and combined score of a further rated trait.

Reads   embeddings_clip.parquet, the face crops (only with `geometry.appearance`), faces.parquet,
        labels.parquet, splits.parquet, age_check.parquet; params `mlp`, `geometry`,
        `score.weights`
Writes  data/interim/traits/<name>/ (regressor.pt, geometry.safetensors, blend.json,
        training.json, scores.parquet). For the main trait, the first of `score.traits`, the other
        stages have all that, and the folder has training.json alone.
Alone   dvc repro -sf trait@trustworthy
"""

from facestats.run.stage import StageItem, run_stage, warn

import torch

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.geometry.shapes import LandmarkTable
from facestats.traits.fitting import fit_trait, read_rows


def main(params, trait: StageItem, embeddings, crops, faces, labels, splits, age_check, traits):
    if tables.file_metadata(labels).get("trait") == trait:
        write_json(traits / trait / "training.json", {"main": True})
        return f"{trait}: the main trait"
    torch.set_num_threads(1)  # sums in another order give other bits
    vectors, ages = EmbeddingTable(embeddings), tables.read(age_check, AGE_CHECK)
    fitted = fit_trait(
        trait,
        (params.mlp, params.geometry, params.score.model_dump()["weights"]),
        vectors,
        LandmarkTable(faces),
        crops,
        read_rows(trait, vectors.names, labels, splits, faces, ages),
        ages,
        tables.rating_scale(labels),
    )
    warn(*fitted.warnings)
    fitted.write(traits / trait)
    return fitted.summary()


if __name__ == "__main__":
    run_stage(main, guarded=False)
