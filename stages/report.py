"""Stage `report`: all of a run on one HTML page that can be sent.

Reads   embeddings_clip.parquet (which faces are typical of a cluster), the face crops, faces.parquet, attributes_final.parquet,
        attributes_flags.parquet, labels_template.csv, metrics/, data/interim/rejected/, data/processed/composites/,
        models/serving.json; the name of the built-in sample's folder; all params, for it prints them
Writes  data/processed/report.html
Alone   dvc repro -sf report
"""

from facestats.run.stage import run_stage

from pathlib import Path

import pandas as pd

from facestats.attributes.tables import FLAGS
from facestats.core import tables
from facestats.core.files import read_json, without_apostrophe, write_text
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.groups.tables import FINAL
from facestats.report.material import Material, without_folder
from facestats.report.model_card import Run
from facestats.report.report import report
from facestats.report.typical import typical_faces

METRICS = ("age_check", "attractiveness", "attributes", "fairness", "labels")
OF_CLUSTERS = ["filename", "cluster", "copy_rank", "attractiveness_score", "rating"]
OF_FACES = ["image", "status", "reason", "duplicate_of", "near_duplicate_of", "face_count"]


def main(
    params,
    embeddings: Path,
    crops: Path,
    metadata: Path,
    metrics: Path,
    rejected: Path,
    composites: Path,
    manifest: Path,
    sample: Path,
    out: Path,
) -> str:
    images = Path(params.data.images)
    run = Run(
        **{name: read_json(metrics / f"{name}.json") for name in METRICS},
        training=read_json(metrics / "train_attractiveness/metrics.json"),
        serving=read_json(manifest),
        images=without_folder(images.as_posix()),
        drawn=images.is_relative_to(sample),
    )
    answered = sorted({"gender", "ethnicity", *params.attributes.targets, *params.zeroshot})
    final = tables.read(
        metadata / FINAL.name,
        FINAL,
        [*OF_CLUSTERS, *(f"{name}_final" for name in answered)],
    )
    vectors, options = EmbeddingTable(embeddings), params.report
    clusters = final[final["copy_rank"] == 1].set_index("filename")["cluster"]
    examples = (
        typical_faces(vectors.names, vectors, clusters, options.examples) if options.images else {}
    )
    template = pd.read_csv(
        metadata / "labels_template.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )
    page, album = report(
        Material(
            params,
            run,
            clusters=read_json(metrics / "clusters.json"),
            faces=tables.read(metadata / FACES.name, FACES, OF_FACES),
            final=final,
            flags=tables.read(metadata / FLAGS.name, FLAGS),
            proposed=template["filename"].map(without_apostrophe).tolist(),
            examples=examples,
            crops=crops,
            rejected=rejected,
            composites=composites,
            metrics=metrics,
            doubts=tables.read_doubts(metadata / FINAL.name),
        )
    )
    write_text(out, page)
    return f"MB={len(page.encode()) / 1e6:.1f} pictures_left_out={album.left_out}"


if __name__ == "__main__":
    run_stage(main)
