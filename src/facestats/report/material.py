"""What the report and the model card are written from: the contents of a run's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facestats.attributes.tables import FLAGS
from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.files import read_json, without_apostrophe
from facestats.core.layout import METRICS_MANIFEST
from facestats.core.manifests import check_of_models
from facestats.core.tables.embeddings import Embeddings, EmbeddingTable, in_batches
from facestats.faces.tables import FACES
from facestats.groups.tables import FINAL
from facestats.report.text import as_plain

if TYPE_CHECKING:
    from facestats.params.project import Params

METRICS = (
    "age_check",
    "attractiveness",
    "attributes",
    "crossvalidated",
    "fairness",
    "labels",
    "traits",
)
OF_FINAL = [
    "filename",
    "cluster",
    "copy_rank",
    "attractiveness",
    "attractiveness_score",
    "rating",
]
OF_FACES = ["image", "status", "reason", "duplicate_of", "near_duplicate_of", "face_count"]
CURVES = ("reliability_curve",)  # plots of a few points, which may be one
DECIMALS = 6  # of a similarity: faces that differ in rounding alone go by name


@dataclass(frozen=True)
class Run:
    """The contents of the metric files and of `serving.json`.

    Attributes
    ----------
    attractiveness, attributes, fairness, labels, training, serving, age_check : dict
    crossvalidated, traits : dict
        Empty where they are not known.
    images : str
        The folder of photos, as `params.yaml` has it.
    drawn : bool
        Whether it is the built-in sample.
    metrics : Path
        The folder that plots lie in.
    points : mapping of str to int
        Number of points in a plot, where it is known.
    """

    attractiveness: dict
    attributes: dict
    fairness: dict
    labels: dict
    training: dict
    serving: dict
    age_check: dict
    images: str
    drawn: bool
    metrics: Path = Path("metrics")
    points: Mapping[str, int] = field(default_factory=dict)
    crossvalidated: dict = field(default_factory=dict)
    traits: dict = field(default_factory=dict)

    def plain(self) -> Run:
        """The same with texts that are free of markup; see `text.as_plain`."""
        return Run(**{name: as_plain(content) for name, content in vars(self).items()})


@dataclass(frozen=True)
class Material:
    """Parameters, metrics, tables and the folders that pictures come from.

    Attributes
    ----------
    params : Params
    run : Run
        What the model card is written from, too.
    clusters : dict
        `metrics/clusters.json`.
    faces : DataFrame
        The columns `OF_FACES` of `faces.parquet`.
    final : DataFrame
        The columns `OF_FINAL` and `<attribute>_final` of `attributes_final.parquet`.
    flags : DataFrame
        `attributes_flags.parquet`.
    proposed : list of str
        File names of `labels_template.csv`, in its order.
    examples : mapping of int to list of str
        Faces of each cluster by number, the most typical first.
    crops : Crops
    rejected, composites, metrics : Path
        Folders.
    doubts : mapping of str to str
        What is doubtful about the columns of `final`, by attribute, and about prompts in general
        (`zeroshot`).
    """

    params: Params
    run: Run
    clusters: dict
    faces: pd.DataFrame
    final: pd.DataFrame
    flags: pd.DataFrame
    proposed: list[str]
    examples: Mapping[int, list[str]]
    crops: Crops
    rejected: Path
    composites: Path
    metrics: Path
    doubts: Mapping[str, str] = field(default_factory=dict)


def read_run(metrics: Path, manifest: Path, images: Path, sample: Path) -> Run:
    """Read the metric files and `serving.json`.

    Parameters
    ----------
    metrics : Path
        Folder of the metrics.
    manifest : Path
        `serving.json`.
    images : Path
        Folder of the photos, as `params.yaml` has it.
    sample : Path
        Folder of the built-in sample.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        The metrics are of other models, as where one stage alone was run.
    """
    check_of_models(metrics / METRICS_MANIFEST.name, manifest)
    curves = {name: metrics / f"plots/{name}.csv" for name in CURVES}
    return Run(
        **{name: read_json(metrics / f"{name}.json") for name in METRICS},
        training=read_json(metrics / "train_attractiveness/metrics.json"),
        serving=read_json(manifest),
        images=without_folder(images.as_posix()),
        drawn=images.is_relative_to(sample),
        metrics=metrics,
        points={
            name: len(path.read_text(encoding="utf-8").splitlines()) - 1
            for name, path in curves.items()
            if path.is_file()
        },
    )


def read_material(
    params: Params,
    run: Run,
    embeddings: Path,
    metadata: Path,
    crops: Path,
    rejected: Path,
    composites: Path,
) -> Material:
    """Read what the page shows beside the metrics.

    Parameters
    ----------
    params : Params
    run : Run
    embeddings : Path
        `embeddings_clip.parquet`.
    metadata, crops, rejected, composites : Path
        Folders of the tables, the face crops, the photos that were left out, the composites.

    Returns
    -------
    Material
    """
    answered = sorted({"gender", "ethnicity", *params.attributes.targets, *params.zeroshot})
    columns = [*OF_FINAL, *(f"{name}_final" for name in answered)]
    columns += [f"{trait}_score" for trait in params.score.traits]
    final = tables.read(metadata / FINAL.name, FINAL, columns)
    examples: dict[int, list[str]] = {}
    if params.report.images:
        vectors = EmbeddingTable(embeddings)
        clusters = final[final["copy_rank"] == 1].set_index("filename")["cluster"]
        examples = typical_faces(vectors.names, vectors, clusters, params.report.examples)
    template = pd.read_csv(
        metadata / "labels_template.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )
    return Material(
        params,
        run,
        clusters=read_json(run.metrics / "clusters.json"),
        faces=tables.read(metadata / FACES.name, FACES, OF_FACES),
        final=final,
        flags=tables.read(metadata / FLAGS.name, FLAGS),
        proposed=template["filename"].map(without_apostrophe).tolist(),
        examples=examples,
        crops=Crops.of(crops),
        rejected=rejected,
        composites=composites,
        metrics=run.metrics,
        doubts=tables.read_doubts(metadata / FINAL.name),
    )


def without_folder(value: str) -> str:
    """A path that tells nothing of this machine: of an absolute one the last part."""
    return f"…/{Path(value).name}" if value.startswith(("/", "~")) else value


def typical_faces(
    names: pd.Index, embeddings: Embeddings, clusters: pd.Series, most: int
) -> dict[int, list[str]]:
    """Find the faces nearest to the middle of their cluster.

    Parameters
    ----------
    names : Index (n,)
        File names of the rows of `embeddings`.
    embeddings : ndarray (n, d) or EmbeddingTable
        Unit norm.
    clusters : Series
        Cluster number by file name; faces without one count for none.
    most : int
        Faces of a cluster at most.

    Returns
    -------
    dict
        File names by cluster, by cosine similarity to the mean of its embeddings, nearest first.
    """
    rows = clusters.reindex(names).to_numpy(dtype=float)
    numbers = np.unique(rows[~np.isnan(rows)])
    sums, at = np.zeros((len(numbers), _width(embeddings))), 0
    for batch in in_batches(embeddings):
        group = rows[at : at + len(batch)]
        for i, number in enumerate(numbers):
            sums[i] += batch[group == number].sum(axis=0, dtype=np.float64)
        at += len(batch)
    middles = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(float).tiny)
    near, at = np.full(len(rows), np.nan), 0
    for batch in in_batches(embeddings):
        group = rows[at : at + len(batch)]
        for number, middle in zip(numbers, middles, strict=True):
            near[at : at + len(batch)][group == number] = np.einsum(
                "ij,j->i", batch[group == number].astype(np.float64), middle
            )
        at += len(batch)
    table = pd.DataFrame({"name": names, "cluster": rows, "near": near.round(DECIMALS)}).dropna()
    table = table.sort_values(["cluster", "near", "name"], ascending=[True, False, True])
    return {
        int(number): group["name"].head(most).tolist() for number, group in table.groupby("cluster")
    }


def _width(embeddings: Embeddings) -> int:
    return embeddings.shape[1] if isinstance(embeddings, np.ndarray) else embeddings.dimension
