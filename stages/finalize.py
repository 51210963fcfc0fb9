"""Stage `finalize`: one table with all that a user filters by.

Reads   attributes_with_meta.parquet (attributes, head pose, measurements),
        attributes_with_clusters.parquet (the clusters), attractiveness_scores.parquet,
        trait_scores.parquet, labels.parquet (ratings, persons, what else people labelled),
        faces.parquet (which faces are copies), attributes_flags.parquet (doubts about the picture)
Writes  data/processed/metadata/attributes_final.parquet
Alone   dvc repro -sf finalize
"""

from facestats.run.stage import run_stage

from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.tables.parts import sha256_table
from facestats.core.tables.steps import Source, in_step
from facestats.geometry.tables import WITH_META
from facestats.groups.final import OF_CLUSTERS, Pictures, join_final, read_persons
from facestats.groups.tables import FINAL, FLAGS_SHA256
from facestats.labels.tables import LABELS
from facestats.scores.tables import SCORES
from facestats.traits.tables import TRAIT_SCORES


def main(_params, attributes, clusters, scores, traits, labels, faces, flags, final):
    pictures = Pictures(faces, read_persons(labels), flags)
    with_doubts = attributes, scores, traits
    doubts = dict(one for path in with_doubts for one in tables.read_doubts(path).items())
    facts = tables.doubts_metadata(doubts) | {FLAGS_SHA256: sha256_table(flags)}
    read = in_step(
        attributes=Source(attributes, WITH_META),
        clusters=Source(clusters, WITH_CLUSTERS, OF_CLUSTERS),
        scores=Source(scores, SCORES, [*SCORES.columns]),
        traits=Source(traits, TRAIT_SCORES),
        labels=Source(labels, LABELS),
        of_pictures=pictures.blocks(),
    )
    rows, columns = tables.write_blocks(map(join_final, read), final, FINAL, facts)
    return f"rows={rows} columns={columns} doubtful={pictures.doubtful}"


if __name__ == "__main__":
    run_stage(main)
