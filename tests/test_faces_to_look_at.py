"""Flags, proposals and clusters: the faces that deserve a look, and how they group."""


import numpy as np
import pandas as pd
import pytest

from facestats.attributes.clusters import cluster_faces
from facestats.attributes.flags import flag_faces
from facestats.attributes.proposals import COLUMNS, propose_labels
from facestats.attributes.training import AttributeModel
from resources import blobs, names, text

# Flags

def quality(n, **columns):
    table = pd.DataFrame({"filename": names(n), "face_count": 1, "yaw": 0.0, "pitch": 0.0,
                          "sharpness": np.arange(1.0, n + 1), "brightness": 0.5,
                          "duplicate_of": text([None] * n), "near_duplicate_of": text([None] * n)})
    return table.assign(**columns)


def test_each_doubtful_face_is_flagged_with_its_value():
    table = quality(100)
    table.loc[3, "face_count"] = 2
    table.loc[4, "yaw"], table.loc[5, "pitch"], table.loc[6, "yaw"] = -31.0, 45.0, 30.0
    table.loc[7, "brightness"], table.loc[8, "brightness"] = 0.1, 0.9
    table.loc[9, "duplicate_of"], table.loc[10, "near_duplicate_of"] = "f000.jpg", "f001.jpg"
    flags = flag_faces(table, pd.DataFrame({"filename": names(100)}), pd.DataFrame({"filename": names(100)}), {})
    found = {(row.filename, row.reason): row.value for row in flags.itertuples()}
    assert {k: v for k, v in found.items() if "duplicate" not in k[1]} == {
        ("f003.jpg", "several_faces"): 2, ("f004.jpg", "extreme_pose"): 31, ("f005.jpg", "extreme_pose"): 45,
        ("f007.jpg", "dark"): 0.1, ("f008.jpg", "bright"): 0.9, ("f000.jpg", "blurred"): 1, ("f001.jpg", "blurred"): 2}
    assert {k for k in found if "duplicate" in k[1]} == {("f009.jpg", "duplicate"), ("f010.jpg", "near_duplicate")}
    assert np.isnan(found["f009.jpg", "duplicate"])


def test_a_doubtful_or_contradicted_answer_is_flagged():
    model = AttributeModel("pet", "classification", object(), classes=["cat", "dog"], abstain_below=0.6)
    predictions = pd.DataFrame({"filename": names(5), "pet_prob_cat": [0.55, 0.95, 0.95, 0.05, 0.8],
                                "pet_prob_dog": [0.45, 0.05, 0.05, 0.95, 0.2]})
    said = pd.DataFrame({"filename": names(5), "pet_said": text(["dog", "dog", "cat", None, "dog"])})
    untrained = AttributeModel("hat", "classification")
    flags = flag_faces(quality(5, sharpness=[9.0, 9, 9, 9, 1]), predictions, said, {"pet": model, "hat": untrained})
    assert [tuple(row) for row in flags[flags["reason"] != "blurred"].to_numpy()] == [
        ("f000.jpg", "low_confidence_pet", 0.55), ("f001.jpg", "contradicts_pet", 0.95)]


def test_no_flags_are_a_table_too():
    empty = quality(0)
    flags = flag_faces(empty, empty[["filename"]], empty[["filename"]], {})
    assert (list(flags.columns), len(flags)) == (["filename", "reason", "value"], 0)


# Proposals

@pytest.fixture
def candidates():
    """60 faces: the first 10 labelled throughout, the next 5 duplicates, some doubtful."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    best = np.linspace(0.99, 0.51, 60)
    predictions = pd.DataFrame({"filename": names(60), "gender_prob_a": best, "gender_prob_b": 1 - best})
    model = AttributeModel("gender", "classification", object(), classes=["a", "b"])
    source = np.where(np.arange(60) < 10, "label", "model")
    clean = pd.DataFrame({"filename": names(60), "gender_final": "a", "gender_source": source,
                          "ethnicity_final": "unknown", "ethnicity_source": source, "age_final": 33.333,
                          "age_source": np.where(np.arange(60) < 10, "manual", "unknown")})
    return {"embeddings": x, "predictions": predictions, "clean": clean,
            "duplicates": pd.Series((np.arange(60) >= 10) & (np.arange(60) < 15)), "models": {"gender": model}}


def test_proposals_are_new_faces_none_twice(candidates):
    template = propose_labels(**candidates, n=1000)
    assert list(template.columns) == COLUMNS
    assert sorted(template["filename"]) == list(names(60)[15:])
    assert template["id"].tolist() == list(range(1, 46))
    assert template.loc[0, ["current_gender", "current_age"]].tolist() == ["a", 33.3]
    assert template.filter(like="proposed_").isna().all(axis=None)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_at_most_n_are_proposed_the_most_doubtful_first(candidates, n):
    template = propose_labels(**candidates, n=n)
    assert len(template) == n
    assert template["filename"].is_unique
    assert set(template["filename"]) <= set(names(60)[-5 * n:] if n else [])
    if n:
        assert template.loc[0, "filename"] == "f059.jpg"


def test_faces_that_look_alike_to_the_model_are_not_proposed_twice(candidates):
    candidates["embeddings"] = np.zeros((60, 4), np.float32)
    assert propose_labels(**candidates, n=8)["filename"].nunique() == 8


def test_proposals_spread_over_the_embeddings(candidates):
    x = np.zeros((60, 4), np.float32)
    x[45:50] = np.eye(5, 4) * 10 - 5  # five places far apart, and one crowd
    template = propose_labels(**(candidates | {"embeddings": x}), n=6)
    assert set(names(60)[45:50]) <= set(template["filename"])


def test_one_missing_attribute_makes_a_face_a_candidate(candidates):
    candidates["clean"].loc[4, "age_source"] = "model"
    assert "f004.jpg" in set(propose_labels(**candidates, n=1000)["filename"])


# Clusters

def test_clusters_are_found_and_numbered_by_size():
    x, labels = blobs({"cat": 10, "dog": 40, "owl": 25}, spread=0.1)
    table = cluster_faces(names(75), x, k=3, components=2, seed=0)
    assert [labels[table["cluster"] == i].unique().tolist() for i in range(3)] == [["dog"], ["owl"], ["cat"]]
    assert cluster_faces(names(75), x, k=3, components=2, seed=0).equals(table)


def test_fewer_faces_than_clusters_are_fine():
    table = cluster_faces(names(2), np.eye(2, 5, dtype=np.float32), k=6, components=32, seed=0)
    assert sorted(table["cluster"]) == [0, 1]
    assert table[["pc1", "pc2"]].notna().all(axis=None)
