"""Stage `finalize`: one table with all that a user filters by.

Reads   attributes_with_meta.parquet (attributes, head pose, measurements),
        attributes_with_clusters.parquet (the clusters), attractiveness_scores.parquet,
        trait_scores.parquet, labels.parquet (ratings, persons, what else people labelled),
        faces.parquet (which faces are copies), attributes_flags.parquet (doubts about the picture)
Writes  data/processed/metadata/attributes_final.parquet
Alone   dvc repro -sf finalize
"""

from facestats.run.stage import run_stage

from facestats.attributes.tables import FLAGS
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.stats.identity import IDENTITY
from facestats.core.tables.parts import sha256_table
from facestats.faces.tables import FACES
from facestats.geometry.tables import WITH_META
from facestats.groups.final import OF_CLUSTERS, join_final
from facestats.groups.tables import FINAL, FLAGS_SHA256
from facestats.labels.tables import LABELS
from facestats.scores.tables import SCORES
from facestats.traits.tables import TRAIT_SCORES


def main(_params, attributes, clusters, scores, traits, labels, faces, flags, final):
    read = {
        "attributes": tables.read_all(attributes, WITH_META),
        "clusters": tables.read(clusters, WITH_CLUSTERS, OF_CLUSTERS),
        "scores": tables.read(scores, SCORES),
        "traits": tables.read_all(traits, TRAIT_SCORES),
        "labels": tables.read_all(labels, LABELS),
        "flags": tables.read(flags, FLAGS),
    }
    table = join_final(read, tables.read(faces, FACES, IDENTITY).dropna(subset="filename"))
    doubts: dict[str, str] = {}
    for path in (attributes, scores, traits):
        doubts |= tables.read_doubts(path)
    of_flags = {FLAGS_SHA256: sha256_table(flags)}
    tables.write(table, final, FINAL, tables.doubts_metadata(doubts) | of_flags)
    doubtful = table["doubts"].notna().sum()
    return f"rows={len(table)} columns={len(table.columns)} doubtful={doubtful}"


if __name__ == "__main__":
    run_stage(main)
