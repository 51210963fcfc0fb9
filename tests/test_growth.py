"""Many faces: reading in batches equals reading at once, and memory stays bounded."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from benchmarks import dvc_cost, growth, made_up
from PIL import Image
from scipy.stats import rankdata

from facestats.attributes import proposals
from facestats.attributes.proposals import propose_labels
from facestats.attributes.resolution import predict_attributes
from facestats.attributes.training import train_classifier, train_regression
from facestats.clip.tables import embeddings_schema
from facestats.clusters import clustering as clusters
from facestats.clusters.clustering import cluster_faces
from facestats.composites.averaging import average_faces
from facestats.composites.members import Members
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.stats.regression import _Ranks
from facestats.core.tables import embeddings, parquet
from facestats.core.tables.embeddings import EmbeddingTable, in_batches, sample_rows
from facestats.crossvalidation import baselines
from facestats.errors import TableError
from facestats.geometry.measurements import measure
from facestats.groups.tables import MEMBER_LANDMARKS
from facestats.labels.splits import split_faces
from facestats.prompts.zeroshot import PromptClassifier, probability_table
from facestats.scores import scoring
from facestats.scores.network import Ensemble
from facestats.scores.regressor import Regressor
from facestats.scores.scoring import score_table, write_index
from resources import ROOT, blobs, names, text

N, D = 500, 12


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of 64 rows, decoded 10 rows at a time, in row groups of 100."""
    monkeypatch.setattr(embeddings, "BATCH", 64)
    monkeypatch.setattr(proposals, "BATCH", 64)
    monkeypatch.setattr(parquet, "READ_BYTES", 10 * D * 4)
    monkeypatch.setattr(parquet, "GROUP_BYTES", 100 * D * 4)


@pytest.fixture
def matrix():
    x = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def table(matrix, tmp_path, small_batches):
    path = tmp_path / "embeddings_clip.parquet"
    tables.write(
        pd.DataFrame({"filename": names(N), "key": "k"}),
        path,
        embeddings_schema(D),
        {"variant": "v"},
        vectors={"embedding": matrix},
    )
    assert pq.ParquetFile(path).num_row_groups == 5
    return EmbeddingTable(path)


# Tables


def test_batches_are_the_matrix_in_order(table, matrix):
    batches = list(in_batches(table))
    assert [len(batch) for batch in batches] == [64] * 7 + [52]
    assert np.concatenate(batches).tobytes() == matrix.tobytes()
    assert [len(batch) for batch in in_batches(matrix)] == [len(batch) for batch in batches]
    assert (len(table), table.dimension, table.metadata) == (N, D, {"variant": "v"})
    assert list(table.names) == list(names(N))


def test_some_rows_are_read_alone(table, matrix):
    chosen = np.arange(N) % 7 == 3
    assert table.take(chosen).tobytes() == matrix[chosen].tobytes()
    assert table.take(np.zeros(N, bool)).shape == (0, D)


@pytest.mark.parametrize(
    ("column", "said"),
    [("filename", "column filename is missing"), ("embedding", "column embedding is missing")],
)
def test_a_file_without_a_column_is_named(tmp_path, column, said):
    pq.write_table(
        pa.table({"filename": ["a"], "embedding": [[1.0]], "key": ["k"]}).drop_columns(column),
        tmp_path / "e.parquet",
    )
    with pytest.raises(TableError, match=said):
        EmbeddingTable(tmp_path / "e.parquet")


def test_vectors_in_a_matrix_and_as_objects_give_the_same_bytes(tmp_path, matrix):
    order = np.random.default_rng(1).permutation(N)
    frame = pd.DataFrame({"filename": names(N)[order], "key": "k"})
    schema = embeddings_schema(D)
    tables.write(
        frame.assign(embedding=list(matrix[order]))[list(schema.columns)],
        tmp_path / "objects.parquet",
        schema,
    )
    tables.write(frame, tmp_path / "matrix.parquet", schema, vectors={"embedding": matrix[order]})
    assert (tmp_path / "objects.parquet").read_bytes() == (tmp_path / "matrix.parquet").read_bytes()
    assert tables.read_embeddings(tmp_path / "matrix.parquet")[1].tobytes() == matrix.tobytes()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((3, D + 1), np.float32), f"expected {D} columns"),
        (np.zeros((2, D), np.float32), "has 2 rows, the table 3"),
        (np.zeros(3 * D, np.float32), "shape"),
    ],
)
def test_a_matrix_that_does_not_fit_is_refused(tmp_path, given, said):
    with pytest.raises(TableError, match=f"column embedding.*{said}"):
        tables.write(
            pd.DataFrame({"filename": names(3), "key": "k"}),
            tmp_path / "e.parquet",
            embeddings_schema(D),
            vectors={"embedding": given},
        )
    assert not list(tmp_path.iterdir())


def test_columns_of_vectors_are_what_arrow_makes_of_them():
    kind = pa.list_(pa.float32(), 4)
    for given in (
        [np.arange(4.0), None, [5, 6, 7, np.nan]],
        [np.ones((2, 2), np.float32), np.eye(2)],
        [None, None],
        [],
    ):
        expected = pa.array(
            [None if v is None else np.ravel(v).astype(np.float32) for v in given], type=kind
        )
        result = parquet.vector_column(pd.Series(given, dtype=object), kind)
        result.validate(full=True)
        assert str(result) == str(expected)
    for wrong in ([np.zeros(3), np.zeros(5)], [np.zeros(5)], [np.zeros(4), "four"]):
        with pytest.raises(ValueError, match=r"expected 4|dimension"):
            parquet.vector_column(pd.Series(wrong, dtype=object), kind)


def test_only_the_groups_that_hold_wanted_rows_are_decoded(table, monkeypatch, matrix):
    decoded = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, group, columns: (
            (decoded.append(group) if "embedding" in columns else None)
            or plain(self, group, columns=columns)
        ),
    )
    rows = tables.read(
        table.path,
        embeddings_schema(D),
        ["embedding", "filename"],
        only=["f250.jpg", "f007.jpg", "stranger"],
    )
    assert rows["filename"].tolist() == ["f007.jpg", "f250.jpg"]
    assert np.stack(rows["embedding"]).tobytes() == matrix[[7, 250]].tobytes()
    assert decoded == [0, 2]
    assert tables.read(table.path, embeddings_schema(D), only=[]).empty


# Stages in batches


def test_scores_in_batches_are_those_of_all_at_once(table, matrix):
    torch.manual_seed(0)
    model = Regressor(
        Ensemble(D, [8]),
        torch.zeros(D),
        torch.ones(D),
        4.0,
        1.0,
        (1.0, 7.0),
        np.linspace(2, 6, 50),
        slopes=torch.linspace(-1, 1, D, dtype=torch.float64),
    )
    arguments = (model, pd.Series(["test"] * N))
    scores = score_table(table.names, table, *arguments)
    pd.testing.assert_frame_equal(scores, score_table(table.names, matrix, *arguments))
    alone = [model.predict(matrix[i : i + 1])[0] for i in range(0, N, 50)]
    assert scores["attractiveness_raw"][::50].to_numpy() == pytest.approx(alone, abs=1e-5)


@pytest.mark.long
def test_predictions_in_batches_are_those_of_all_at_once(table, matrix, monkeypatch):
    answers = text(np.where(matrix[:, 0] > 0, "cat", "dog"))
    models = {
        "pet": train_classifier("pet", matrix, answers, 2).model,
        "age": train_regression("age", matrix, pd.Series(matrix[:, 1]), 2).model,
    }
    models["pet"].abstain_below = 0.6
    prompts = {"hat": PromptClassifier(["with", "without"], matrix[:2], 10.0)}
    in_parts = [
        *predict_attributes(table.names, table, models),
        probability_table(table.names, table, prompts),
    ]
    monkeypatch.setattr(embeddings, "BATCH", N)
    at_once = [
        *predict_attributes(table.names, matrix, models),
        probability_table(table.names, matrix, prompts),
    ]
    for one, other in zip(in_parts, at_once, strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-9)
    assert set(in_parts[0]["pet"]) == {"cat", "dog", "unknown"}


def test_clusters_fitted_on_a_sample_hold_all_faces(tmp_path, monkeypatch, small_batches):
    x, kinds = blobs({"cat": 300, "dog": 200, "owl": 100}, spread=0.2)
    whole = cluster_faces(names(600), x, k=3, components=2, seed=0).faces
    monkeypatch.setattr(clusters, "FITTED", 90)
    sampled = cluster_faces(names(600), x, k=3, components=2, seed=0).faces
    assert (
        sampled["cluster"].tolist()
        == whole["cluster"].tolist()
        == kinds.map({"cat": 0, "dog": 1, "owl": 2}).tolist()
    )
    assert sampled["pc1"].corr(whole["pc1"]) > 0.99
    tables.write(
        pd.DataFrame({"filename": names(600), "key": "k"}),
        tmp_path / "e.parquet",
        embeddings_schema(3),
        vectors={"embedding": x},
    )
    pd.testing.assert_frame_equal(
        cluster_faces(
            names(600), EmbeddingTable(tmp_path / "e.parquet"), k=3, components=2, seed=0
        ).faces,
        sampled,
    )


def test_proposals_come_from_a_sample_where_there_are_many_faces(table, matrix, monkeypatch):
    clean = pd.DataFrame({"filename": names(N)})
    for target, value in (("gender", "x"), ("ethnicity", "x"), ("age", 30.0)):
        clean[f"{target}_final"], clean[f"{target}_source"] = (
            value,
            np.where(np.arange(N) < 100, "label", "unknown"),
        )
    arguments = {
        "predictions": clean,
        "clean": clean,
        "copies": pd.DataFrame({"copy_group": [f"{i}" for i in range(N)], "copy_rank": 1}),
        "models": {},
        "n": 20,
    }
    proposed = propose_labels(matrix, **arguments)["filename"]
    assert list(propose_labels(table, **arguments)["filename"]) == list(proposed)
    monkeypatch.setattr(proposals, "CANDIDATES", 40)
    sampled = set(propose_labels(table, **arguments)["filename"])
    assert len(sampled) == 20
    assert sampled <= set(names(N)[100:][sample_rows(400, 40)])


def test_the_index_of_rows_is_the_json_that_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "BLOCK", 3)
    for some in (["a.jpg", 'b "c",\n.jpg', "ü/😀.jpg", "\\d.jpg"], ["one.jpg"], []):
        write_json(tmp_path / "index.json", {name: row for row, name in enumerate(some)})
        write_index(tmp_path / "blocks.json", text(some))
        assert (tmp_path / "blocks.json").read_text() == (tmp_path / "index.json").read_text()
        assert list(json.loads((tmp_path / "blocks.json").read_text())) == some


def test_the_ridge_baseline_of_many_faces_is_that_of_all_of_them(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 6)).astype(np.float32)
    y = x[:, 0] + rng.normal(size=900)
    whole = baselines.baseline_predictions(x[:800], y[:800], x[800:])["ridge"]
    monkeypatch.setattr(baselines, "CHOSEN_ON", 200)
    sampled = baselines.baseline_predictions(x[:800], y[:800], x[800:])["ridge"]
    alone = baselines.baseline_predictions(x[:200], y[:200], x[800:])["ridge"]
    assert np.abs(sampled - whole).max() < 0.02 < np.abs(alone - whole).max()


def test_ranks_of_a_resample_are_those_of_sorting_it():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=200), rng.integers(0, 5, 200).astype(float)):
        ranks = _Ranks(values)
        for _ in range(5):
            pick = rng.integers(0, 200, 200)
            assert ranks(pick).tolist() == rankdata(values[pick]).tolist()


def test_persons_are_dealt_out_by_the_hash_that_always_was():
    # sha256 of "7\0person ann" begins with 0x2e61 (0.18 of 2**64), of "7\0bytes 01" with 0xaf4d
    # (0.68), of "7\0person bob" with 0x0e98 (0.06)
    faces = pd.DataFrame(
        {
            "filename": ["a", "b", "c"],
            "sha256": ["00", "01", "02"],
            "copy_group": ["a", "b", "c"],
            "copy_rank": 1,
        }
    )
    persons = pd.Series(["ann", None, "bob"], index=["a", "b", "c"], dtype="str")
    nobody = pd.Series(False, index=persons.index)
    assert split_faces(faces, persons, nobody, val=0.3, test=0.1, seed=7)["split"].tolist() == [
        "val",
        "train",
        "test",
    ]


# Memory


def peak(call) -> int:
    """Most bytes that Python and NumPy hold during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_scoring_never_holds_all_embeddings(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "BATCH", 512)
    model = Regressor(Ensemble(64, [8]), torch.zeros(64), torch.ones(64), 4.0, 1.0)
    x = np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32)
    tables.write(
        pd.DataFrame({"filename": np.arange(40_000).astype(str), "key": "k"}),
        tmp_path / "e.parquet",
        embeddings_schema(64),
        vectors={"embedding": x},
    )
    table = EmbeddingTable(tmp_path / "e.parquet")
    assert peak(lambda: model.predict(table)) < x.nbytes / 5
    assert (
        peak(lambda: table.take(np.ones(len(table), bool))) > x.nbytes
    )  # what a whole read would have held


@pytest.mark.thorough
@pytest.mark.long
def test_an_average_of_many_faces_holds_no_more_than_one_of_few(tmp_path):
    size = 96
    image = tmp_path / "face.jpg"
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    ).save(image)
    shape = np.random.default_rng(1).random((N_LANDMARKS * 3,), dtype=np.float32)

    def members(n: int) -> Members:
        folder = tmp_path / str(n)
        for name in names(n):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).hardlink_to(image)
        tables.write(
            pd.DataFrame({"filename": names(n), "yaw": 0.0}),
            folder / "landmarks.parquet",
            MEMBER_LANDMARKS,
            vectors={"landmarks": np.tile(shape, (n, 1))},
        )
        pd.DataFrame({"filename": names(n), "person": range(n), "rating": np.nan}).to_csv(
            tmp_path / f"{n}.csv", index=False
        )
        return Members(tmp_path / f"{n}.csv", folder)

    few, many = members(10), members(400)
    average_faces(few)
    for align in ("none", "eyes", "warp"):
        more = peak(lambda align=align: average_faces(many, align)) - peak(
            lambda align=align: average_faces(few, align)
        )
        assert (
            more < 390 * 1000
        )  # its names; the landmarks of a face are 5,600 bytes, its pixels 110,000


# The benchmarks


@pytest.mark.long
def test_the_growth_benchmark_runs_the_commands_of_the_pipeline():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    commands = [
        growth.command_of(stage, key, params)
        for stage, key in [*growth.STAGES, ("composite", growth.COMPOSITE)]
    ]
    assert all((ROOT / command[1]).is_file() for command in commands)
    assert not any("$" in word for command in commands for word in command)
    assert commands[-1][-6:] == [
        *("--members", "data/interim/members"),
        *("--composites", "data/processed/composites"),
        *("--name", "women"),
    ]


def test_exponents_are_those_of_the_work_beyond_the_start_up():
    row = {
        growth.START: growth.Cost(5, 2, 1),
        10: growth.Cost(5, 3, 1),
        100: growth.Cost(5, 22, 1),
        1000: growth.Cost(5, 2.1, 1),
    }
    assert growth.exponent(row, 10, 100) == "1.30"
    assert growth.exponent(row, 100, 1000) == "–"


def test_a_made_up_face_is_the_same_among_few_and_among_many():
    few, many = (list(made_up._blocks(n)) for n in (100, made_up.BLOCK + 5))
    assert few[0][1].tobytes() == many[0][1][:100].tobytes()
    assert [len(block[1]) for block in many] == [made_up.BLOCK, 5]
    assert np.linalg.norm(few[0][1], axis=1) == pytest.approx(np.ones(100), abs=1e-6)


def test_made_up_landmarks_can_be_measured_and_tell_of_the_face():
    latent = np.random.default_rng(0).normal(size=(300, made_up.LATENT))
    shapes = made_up.shapes(latent)
    assert 0 < shapes.reshape(-1, 3)[:, :2].min() < shapes.reshape(-1, 3)[:, :2].max() < 1
    assert made_up.shapes(latent[:5]).tobytes() == shapes[:5].tobytes()
    measured = measure(shapes.reshape(len(shapes), -1, 3))
    assert measured.notna().all(axis=None)
    assert np.corrcoef(measured["jaw_ratio"], latent[:, 3])[0, 1] > 0.8
    assert abs(np.corrcoef(measured["jaw_ratio"], latent[:, 5])[0, 1]) < 0.3


@pytest.mark.thorough
def test_what_dvc_costs_is_measured_on_real_rebuilds(tmp_path):
    repository = dvc_cost.Repository(tmp_path / "r", "hardlink", 12, 5)
    costs = dvc_cost.cost(repository, 1)
    assert all(seconds > 0 for seconds in costs.values())
    assert repository.n == 13
    assert len(list((repository.folder / "data/faces").glob("*/*.jpg"))) == 13
    assert repository.disk() < 1.5  # linked, not copied


def test_whatever_training_leaves_to_later_stages_comes_along_to_sizes_without_training():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    texts = {name: facts.get("do", facts) for name, facts in stages["stages"].items()}
    known = {f"${{{name}}}": value for entry in stages["vars"] for name, value in entry.items()}

    def paths(stage: str, *kinds: str) -> set[str]:
        listed = [
            entry if isinstance(entry, str) else next(iter(entry))
            for kind in kinds
            for entry in texts[stage].get(kind, [])
        ]
        for name, value in known.items():
            listed = [path.replace(name, value) for path in listed]
        return set(listed)

    left = set().union(*(paths(stage, "outs", "metrics", "plots") for stage in growth.TRAINING))
    read = set().union(*(paths(stage, "deps") for stage, _ in growth.STAGES))
    needed = {
        path for path in left if any(path == dep or path.startswith(f"{dep}/") for dep in read)
    }
    assert "models/attractiveness_regressor.pt" in needed
    assert {
        path
        for path in needed
        if not any(path == model or path.startswith(f"{model}/") for model in growth.MODELS)
    } == set()
