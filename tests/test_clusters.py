"""Clusters: found, numbered, as many as stand apart, and compared with what is known of the
faces.
"""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc_render import VegaRenderer
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from facestats.attributes.tables import CLEAN
from facestats.clip.tables import embeddings_schema
from facestats.clusters import clustering as clusters
from facestats.clusters.clustering import agreement, cluster_faces
from facestats.clusters.joining import Joined, best_copies
from facestats.clusters.params import Clusters
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.figures.png import cluster_map
from facestats.core.tables import blocks
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import ParamsError, TableError
from facestats.faces.tables import FACES
from facestats.params.project import load_params
from resources import ROOT, blobs, names, text


def test_clusters_are_found_and_numbered_by_size():
    x, labels = blobs({"cat": 10, "dog": 40, "owl": 25}, spread=0.1)
    table = cluster_faces(names(75), x, k=3, components=2, seed=0).faces
    assert [labels[table["cluster"] == i].unique().tolist() for i in range(3)] == [
        ["dog"],
        ["owl"],
        ["cat"],
    ]
    assert cluster_faces(names(75), x, k=3, components=2, seed=0).faces.equals(table)


def test_copies_are_assigned_and_neither_shape_nor_order_the_clusters():
    x, labels = blobs({"cat": 10, "dog": 40, "owl": 25}, spread=0.1)
    alone = cluster_faces(names(75), x, k=3, components=2, seed=0)
    of_a_cat = np.flatnonzero(labels == "cat")[0]
    copied = np.concatenate([np.repeat(x[[of_a_cat]], 60, axis=0), x])
    together = cluster_faces(
        names(135), copied, k=3, components=2, seed=0, counts=np.arange(135) >= 60
    )
    assert together.silhouette == alone.silhouette
    shown = ["cluster", "pc1", "pc2"]
    pd.testing.assert_frame_equal(
        together.faces.loc[60:, shown].reset_index(drop=True), alone.faces[shown]
    )
    assert (together.faces["cluster"][:60] == alone.faces["cluster"][of_a_cat]).all()


def test_as_many_clusters_as_stand_apart_are_chosen_from_a_range():
    x, _ = blobs({"cat": 20, "dog": 40, "owl": 25}, spread=0.2)
    clustering = cluster_faces(names(85), x, k=[2, 6], components=3, seed=0)
    assert list(clustering.silhouette) == [2, 3, 4, 5, 6]
    assert max(clustering.silhouette, key=clustering.silhouette.get) == 3
    assert clustering.faces["cluster"].nunique() == 3
    assert clustering.silhouette[3] == pytest.approx(
        silhouette_score(x, clustering.faces["cluster"]), abs=1e-6
    )  # three components are all
    assert (
        cluster_faces(names(85), x, k=5, components=3, seed=0).faces["cluster"].nunique() == 5
    )  # fixed


def test_silhouettes_of_a_sample_choose_as_those_of_all(monkeypatch):
    x, _ = blobs({"cat": 200, "dog": 400, "owl": 250}, spread=0.2)
    monkeypatch.setattr(clusters, "COMPARED", 90)
    clustering = cluster_faces(names(850), x, k=[2, 6], components=3, seed=0)
    assert clustering.faces["cluster"].nunique() == 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("n", "k"), [(1, [2, 4]), (2, 6), (2, [4, 12]), (3, [2, 12]), (5, [4, 12])]
)
def test_fewer_faces_than_clusters_are_fine(n, k):
    clustering = cluster_faces(names(n), np.eye(n, 5, dtype=np.float32), k=k, components=32, seed=0)
    assert clustering.faces["cluster"].nunique() <= n
    assert clustering.faces[["pc1", "pc2"]].notna().all(axis=None)
    assert set(clustering.silhouette) <= set(range(1, n + 1))


@pytest.mark.filterwarnings("error")
def test_faces_that_are_all_alike_are_one_cluster():
    clustering = cluster_faces(
        names(9), np.ones((9, 4), np.float32), k=[2, 4], components=3, seed=0
    )
    assert (clustering.faces["cluster"] == 0).all()
    assert clustering.silhouette == {2: None, 3: None, 4: None}


@pytest.mark.long
def test_clusters_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32)
    clustering = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            clustering.append(cluster_faces(names(400), x, k=[4, 8], components=16, seed=0))
    pd.testing.assert_frame_equal(clustering[0].faces, clustering[1].faces, check_exact=True)
    assert clustering[0].silhouette == clustering[1].silhouette


def test_agreement_is_one_for_the_same_and_zero_for_chance():
    rng = np.random.default_rng(0)
    cluster = np.repeat([0, 1, 2], 100)
    table = pd.DataFrame(
        {
            "cluster": cluster,
            "gender_final": text(["unknown"] * 150 + ["a"] * 50 + ["b"] * 100),
            "ethnicity_final": text([*"xyz"])[rng.integers(0, 3, 300)].to_numpy(),
            "age_final": np.repeat([5.0, 25, 80], 100),
            "height_final": np.where(cluster == 0, np.nan, cluster * 10.0 + rng.normal(size=300)),
            "hat_final": "unknown",
        }
    )
    clustering = agreement(table)
    value = {name: entry["adjusted_mutual_information"] for name, entry in clustering.items()}
    assert {name: entry["n"] for name, entry in clustering.items()} == {
        "age": 300,
        "ethnicity": 300,
        "gender": 150,
        "hat": 0,
        "height": 200,
    }
    assert value["age"] == value["gender"] == pytest.approx(1)
    assert value["ethnicity"] == pytest.approx(0, abs=0.02)
    assert 0.4 < value["height"] < 1  # two clusters against five fifths
    assert value["hat"] is None
    json.dumps(clustering)


@pytest.mark.long
def test_attributes_are_joined_block_by_block_and_compared_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 7)
    rng, n = np.random.default_rng(0), 60
    said = {name: text(rng.choice([*"zyx"], n)) for name in ("gender", "ethnicity", "eye color")}
    said["ethnicity"][:9] = "unknown"
    ages = pd.Series(rng.normal(30, 20, n).round(1)).mask(rng.random(n) < 0.2)
    columns = {"filename": names(n), "image": names(n)}
    for name, values in {**said, "age": ages}.items():
        columns |= {f"{name}_final": values, f"{name}_source": "label"}
    attributes = pd.DataFrame(columns).astype({"eye color_final": "str"})
    attributes.loc[attributes.index < 30, "eye color_final"] = None
    tables.write(attributes, tmp_path / "attributes.parquet", CLEAN)
    grouped = pd.DataFrame(
        {"filename": names(n), "cluster": rng.integers(0, 4, n), "pc1": 0.5, "pc2": 0.25}
    ).iloc[3:]
    is_best = rng.random(len(grouped)) < 0.8
    whole = tables.read_all(tmp_path / "attributes.parquet", CLEAN).merge(grouped, on="filename")
    joined = Joined(tmp_path / "attributes.parquet", grouped, is_best)
    tables.write_blocks(joined.blocks(), tmp_path / "joined.parquet", WITH_CLUSTERS)
    tables.write(whole, tmp_path / "whole.parquet", WITH_CLUSTERS)
    assert (tmp_path / "joined.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    found = agreement(joined.compared())
    assert found == agreement(whole[is_best])
    assert found["eye color"]["n"] < found["ethnicity"]["n"] < found["gender"]["n"]


def test_copies_that_are_not_the_best_are_told(tmp_path):
    faces = pd.DataFrame(None, range(6), [*FACES.columns]).assign(
        image=names(6), filename=[*names(5), None], copy_rank=[1, 2, 1, 1, 3, None]
    )
    tables.write(faces, tmp_path / "faces.parquet", FACES)
    found = best_copies(names(5)[::-1], tmp_path / "faces.parquet")
    assert found.tolist() == [False, True, True, False, True]


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_embedding_that_is_not_finite_is_named(tmp_path, value):
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    x[17, 2] = value
    tables.write(
        pd.DataFrame({"filename": names(30), "key": "k"}),
        tmp_path / "e.parquet",
        embeddings_schema(4),
        vectors={"embedding": x},
    )
    table = EmbeddingTable(tmp_path / "e.parquet")
    with pytest.raises(TableError, match=r"e\.parquet.*f017\.jpg is not finite"):
        cluster_faces(table.names, table, 3, 2, 0)
    with pytest.raises(TableError, match=r"f017\.jpg is not finite"):
        table.take(np.ones(30, bool))


@pytest.mark.parametrize("k", [1, [1, 4], [6, 4], [4], 2.5, "auto"])
def test_impossible_numbers_of_clusters_are_refused(k, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text().replace("k: [4, 12]", f"k: {k}"))
    with pytest.raises(ParamsError, match=r"clusters\.k"):
        load_params(path)
    assert Clusters(k=[4, 4]).k == [4, 4]


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("k", [3, 12, 25])
def test_the_map_tells_all_clusters_apart_and_gives_the_same_bytes(tmp_path, monkeypatch, k):
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    points = pd.DataFrame(
        {"pc1": rng.normal(size=100), "pc2": rng.normal(size=100), "cluster": np.arange(100) % k}
    )
    seen = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *args, **options: seen.append(figure) or savefig(figure, *args, **options),
    )
    for name in ("a.png", "b.png"):
        cluster_map(points, tmp_path / name, 1000)
    drawn = seen[0].axes[0].collections
    assert len({tuple(patch.get_facecolor()[0]) for patch in drawn}) == len(drawn) == k
    assert f"1,000 faces in {k} clusters, 100 of them shown" in seen[0].axes[0].get_title()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_dvcs_map_is_coloured_by_cluster():
    """As `dvc plots show` renders it: the colour stands for the cluster, not for the revision."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["clusters"]
    plot = next(
        entry
        for item in stage["plots"]
        for name, entry in item.items()
        if name.endswith("clusters.csv")
    )
    points = [
        {"pc1": "0.1", "pc2": "0.2", "cluster": str(i), "rev": "workspace"} for i in range(12)
    ]
    shown = {key: plot[key] for key in ("x", "y", "x_label", "y_label", "title")}
    filled = VegaRenderer(
        points, "clusters", template=str(ROOT / plot["template"]), **shown
    ).get_filled_template()
    encoding = filled["spec"]["encoding"]
    assert [encoding[axis]["field"] for axis in ("x", "y", "color")] == ["pc1", "pc2", "cluster"]
    assert filled["data"]["values"] == points
    assert "<DVC" not in json.dumps(filled)
