"""Stage `finalize`: one table with all that a user filters by.

Reads   attributes_with_meta.parquet (attributes, head pose, measurements),
        attributes_with_clusters.parquet (the clusters), attractiveness_scores.parquet,
        labels.parquet (ratings, persons), faces.parquet (which faces are copies),
        attributes_flags.parquet (doubts about the picture)
Writes  data/processed/metadata/attributes_final.parquet
Alone   dvc repro -sf finalize
"""

from facestats.run.stage import run_stage

import pandas as pd

from facestats.attributes.tables import FLAGS
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.doubts import named_doubts
from facestats.core.stats.identity import IDENTITY, same_faces
from facestats.faces.tables import FACES
from facestats.geometry.tables import WITH_META
from facestats.groups.tables import FINAL
from facestats.labels.tables import LABELS
from facestats.scores.tables import SCORES


def main(_params, attributes, clusters, scores, labels, faces, flags, final):
    table = tables.read_all(attributes, WITH_META)
    known = tables.read(labels, LABELS, ["filename", "person", "rating", "rating_n"])
    identities = tables.read(faces, FACES, IDENTITY).dropna(subset="filename")
    groups = same_faces(identities, known.set_index("filename")["person"])
    for other in (
        tables.read(clusters, WITH_CLUSTERS, ["filename", "cluster", "pc1", "pc2"]),
        tables.read(scores, SCORES).drop(columns="image"),
        known.drop(columns="person"),
        identities.drop(columns="sha256"),
    ):
        table = table.merge(other, on="filename", how="left", validate="one_to_one")
    table["person_group"] = table["filename"].map(pd.Series(pd.factorize(groups)[0], groups.index))
    table["doubts"] = table["filename"].map(named_doubts(tables.read(flags, FLAGS)))
    doubts = tables.read_doubts(attributes) | tables.read_doubts(scores)
    tables.write(table, final, FINAL, tables.doubts_metadata(doubts))
    doubtful = table["doubts"].notna().sum()
    return f"rows={len(table)} columns={len(table.columns)} doubtful={doubtful}"


if __name__ == "__main__":
    run_stage(main)
