"""Stage `report`: all of a run on one HTML page that can be sent.

Reads   embeddings_clip.parquet (which faces are typical of a cluster), the face crops,
        faces.parquet, attributes_final.parquet, attributes_flags.parquet, labels_template.csv,
        metrics/, data/interim/rejected/, data/processed/composites/, models/serving.json; the name
        of the built-in sample's folder; all params, for it prints them
Writes  data/processed/report.html
Alone   dvc repro -sf report
"""

from facestats.run.stage import run_stage

from pathlib import Path

from facestats.core.files import write_text
from facestats.report.document import report
from facestats.report.material import read_material, read_run


def main(
    params,
    embeddings,
    crops,
    metadata,
    metrics,
    rejected,
    composites,
    manifest,
    sample,
    out,
):
    run = read_run(metrics, manifest, Path(params.data.images), sample)
    material = read_material(params, run, embeddings, metadata, crops, rejected, composites)
    page, album = report(material)
    write_text(out, page)
    return f"MB={len(page.encode()) / 1e6:.1f} pictures_left_out={album.left_out}"


if __name__ == "__main__":
    run_stage(main)
