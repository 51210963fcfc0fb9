"""Stage `clusters`: groups of similar faces, and a map of them.

Reads   embeddings_clip.parquet, attributes_clean.parquet, faces.parquet (which faces are copies);
        params `clusters`
Writes  attributes_with_clusters.parquet, metrics/clusters.json, metrics/plots/clusters.csv and .png
Alone   dvc repro -sf clusters
"""

from facestats.run.stage import run_stage

from facestats.clusters.clustering import cluster_faces
from facestats.clusters.joining import Joined, best_copies
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.figures.png import cluster_map
from facestats.core.files import write_metrics, write_plot_csv
from facestats.core.tables.embeddings import EmbeddingTable, sample_rows

# Faces on the map, drawn at random where there are more: a browser does not show a million points.
PLOTTED = 20_000


def main(params, embeddings, attributes, faces, clusters, metrics, points, picture):
    vectors, options = EmbeddingTable(embeddings), params.clusters
    is_best = best_copies(vectors.names, faces)
    clustering = cluster_faces(
        vectors.names, vectors, options.k, options.components, options.seed, is_best
    )
    grouped = clustering.faces
    joined = Joined(attributes, grouped, is_best)
    tables.write_blocks(joined.blocks(), clusters, WITH_CLUSTERS)
    chosen_by = "params.yaml" if isinstance(options.k, int) else "silhouette"
    counts = clustering.metrics(chosen_by, joined.compared())
    write_metrics(metrics, counts)
    plotted = grouped[sample_rows(len(grouped), PLOTTED, options.seed)]
    write_plot_csv(points, plotted[["pc1", "pc2", "cluster"]].round(5))
    cluster_map(plotted, picture, len(grouped))
    return f"faces={len(grouped)} clusters={counts['k']} ({chosen_by})"


if __name__ == "__main__":
    run_stage(main)
