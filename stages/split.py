"""Stage `split`: who trains, who stops the training, who is measured.

Reads   faces.parquet, labels.parquet; params `split`
Writes  data/processed/metadata/splits.parquet
Alone   dvc repro -sf split
"""

from facestats.run.stage import run_stage, warn

from facestats.core import tables
from facestats.core.stats.identity import IDENTITY
from facestats.core.tables.known import read_known
from facestats.faces.tables import FACES
from facestats.labels.splits import (
    exclusion_warning,
    labelled_faces,
    official_splits,
    split_faces,
    split_report,
    straddling_warning,
    strata_of,
)
from facestats.labels.tables import LABELS, SPLITS


def main(params, faces, labels, splits):
    accepted = tables.read(faces, FACES, IDENTITY).dropna(subset="filename")
    known = read_known(labels, LABELS)
    persons, labelled, options = known["person"], labelled_faces(known), params.split
    official = official_splits(known) if options.official else None
    strata = strata_of(known, options.stratify, tables.rating_scale(labels))
    shares = options.val, options.test, options.seed
    table = split_faces(accepted, persons, labelled, *shares, official, strata)
    tables.write(table, splits, SPLITS)
    if message := exclusion_warning(table, accepted, persons, labelled):
        warn(message)
    if options.official and (message := straddling_warning(table, persons)):
        warn(message)
    return split_report(table, accepted)


if __name__ == "__main__":
    run_stage(main)
