"""Stage `clusters`: groups of similar faces, and a map of them.

Reads   embeddings_clip.parquet, attributes_clean.parquet, faces.parquet (which faces are copies);
        params `clusters`
Writes  attributes_with_clusters.parquet, metrics/clusters.json, metrics/plots/clusters.csv and .png
Alone   dvc repro -sf clusters
"""

from facestats.run.stage import run_stage

from facestats.attributes.tables import CLEAN
from facestats.clusters.clustering import cluster_faces
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.figures.png import cluster_map
from facestats.core.files import write_metrics, write_plot_csv
from facestats.core.tables.embeddings import EmbeddingTable, sample_rows
from facestats.faces.tables import FACES

# Faces on the map, drawn at random where there are more: a browser does not show a million points.
PLOTTED = 20_000


def main(params, embeddings, attributes, faces, clusters, metrics, points, picture):
    vectors, options = EmbeddingTable(embeddings), params.clusters
    ranks = tables.read(faces, FACES, ["filename", "copy_rank"]).dropna().set_index("filename")
    is_best = ranks["copy_rank"].reindex(vectors.names) == 1
    clustering = cluster_faces(
        vectors.names, vectors, options.k, options.components, options.seed, is_best.to_numpy()
    )
    grouped = clustering.faces
    table = tables.read_all(attributes, CLEAN).merge(grouped, on="filename")
    tables.write(table, clusters, WITH_CLUSTERS)
    chosen_by = "params.yaml" if isinstance(options.k, int) else "silhouette"
    counts = clustering.metrics(chosen_by, table[table["filename"].map(is_best)])
    write_metrics(metrics, counts)
    plotted = grouped[sample_rows(len(grouped), PLOTTED, options.seed)]
    write_plot_csv(points, plotted[["pc1", "pc2", "cluster"]].round(5))
    cluster_map(plotted, picture, len(grouped))
    return f"faces={len(grouped)} clusters={counts['k']} ({chosen_by})"


if __name__ == "__main__":
    run_stage(main)
