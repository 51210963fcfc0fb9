"""Stage `clusters`: groups of alike faces, and a map of them.

Reads embeddings_clip.parquet, attributes_clean.parquet, faces.parquet (which faces are copies);
params `clusters` Writes attributes_with_clusters.parquet, metrics/clusters.json,
metrics/plots/clusters.csv, metrics/plots/clusters.png Alone dvc repro -sf clusters
"""

from facestats.run.stage import run_stage

from pathlib import Path

from facestats.attributes.tables import CLEAN
from facestats.clusters.clustering import agreement, cluster_faces
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.figures.png import cluster_map
from facestats.core.files import write_metrics, write_plot_csv
from facestats.core.tables.embeddings import EmbeddingTable, sample_rows
from facestats.faces.tables import FACES

# Faces on the map, drawn at random where there are more: a browser does not show a million points.
PLOTTED = 20_000


def main(
    params,
    embeddings: Path,
    attributes: Path,
    faces: Path,
    clusters: Path,
    metrics: Path,
    points: Path,
    picture: Path,
) -> str:
    vectors = EmbeddingTable(embeddings)
    options = params.clusters
    rank = (
        tables.read(faces, FACES, ["filename", "copy_rank"])
        .dropna()
        .set_index("filename")["copy_rank"]
        .reindex(vectors.names)
    )
    found = cluster_faces(
        vectors.names,
        vectors,
        options.k,
        options.components,
        options.seed,
        counts=(rank == 1).to_numpy(),
    )
    grouped, k = found.faces, found.faces["cluster"].nunique()
    table = tables.read_all(attributes, CLEAN).merge(grouped, on="filename")
    tables.write(table, clusters, WITH_CLUSTERS)
    chosen = "params.yaml" if isinstance(options.k, int) else "silhouette"
    write_metrics(
        metrics,
        {
            "n": len(grouped),
            "k": k,
            "k_from": chosen,
            "silhouette": {str(number): value for number, value in found.silhouette.items()},
            "attributes": agreement(table[table["filename"].map(rank) == 1]),
        },
    )
    plotted = grouped[sample_rows(len(grouped), PLOTTED, options.seed)]
    write_plot_csv(points, plotted[["pc1", "pc2", "cluster"]].round(5))
    cluster_map(plotted, picture, len(grouped))
    return f"faces={len(grouped)} clusters={k} ({chosen})"


if __name__ == "__main__":
    run_stage(main)
