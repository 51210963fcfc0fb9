"""Stage `split`: who trains, who stops the training, who is measured.

Reads   faces.parquet, labels.parquet (`person`); params `split`
Writes  data/processed/metadata/splits.parquet
Alone   python stages/split.py data/processed/metadata/faces.parquet data/processed/metadata/labels.parquet \\
            data/processed/metadata/splits.parquet
"""

from facestats.stage import run_stage

from pathlib import Path

from facestats import tables
from facestats.data.splits import split_faces


def main(params, faces: Path, labels: Path, out: Path) -> str:
    accepted = tables.read(faces, tables.FACES, ["filename", "sha256", "duplicate_of", "near_duplicate_of"])
    persons = tables.read(labels, tables.LABELS, ["filename", "person"]).set_index("filename")["person"]
    options = params.split
    table = split_faces(accepted[accepted["filename"].notna()], persons, options.val, options.test, options.seed)
    tables.write(table, out, tables.SPLITS)
    return " ".join(f"{name}={n}" for name, n in sorted(table["split"].value_counts().items()))


if __name__ == "__main__":
    run_stage(main)
