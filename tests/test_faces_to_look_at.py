"""Flags, proposals and clusters: the faces that deserve a look, and how they group."""


import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from facestats.attributes.clusters import cluster_faces
from facestats.attributes.flags import flag_faces
from facestats.attributes.model import AttributeModel
from facestats.attributes.proposals import COLUMNS, propose_labels
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
def test_at_most_n_are_proposed(candidates, n):
    template = propose_labels(**candidates, n=n)
    assert (len(template), template["filename"].is_unique) == (n, True)


def asked(x, sure, said=()):
    """Arguments to propose faces for `gender` alone; `said` are labelled by hand, `sure` is the probability of `a`."""
    n = len(x)
    source = np.where(np.isin(np.arange(n), list(said)), "manual", "model")
    clean = pd.DataFrame({"filename": names(n), "gender_final": "a", "gender_source": source, "ethnicity_final": "x",
                          "ethnicity_source": "label", "age_final": 30.0, "age_source": "label"})
    predictions = pd.DataFrame({"filename": names(n), "gender_prob_a": sure, "gender_prob_b": 1 - np.asarray(sure)})
    return {"embeddings": np.asarray(x, np.float32), "predictions": predictions, "clean": clean,
            "duplicates": pd.Series(np.zeros(n, bool)),
            "models": {"gender": AttributeModel("gender", "classification", classes=["a", "b"])}}


def test_of_alike_spread_faces_the_doubtful_ones_are_proposed():
    x = np.random.default_rng(1).normal(size=(200, 3))
    sure = np.where(np.arange(200) % 2, 0.5, 0.999)
    chosen = propose_labels(**asked(x, sure), n=20)["filename"]
    assert {int(name[1:4]) % 2 for name in chosen} == {1}


def test_a_face_labelled_already_makes_its_neighbours_less_instructive():
    x, labels = blobs({"cat": 50, "dog": 50, "owl": 50}, spread=0.3)
    template = propose_labels(**asked(x, np.full(150, 0.5), said=range(0, 50, 2)), n=6)
    assert set(labels[[int(name[1:4]) for name in template["filename"]]]) == {"dog", "owl"}


def test_groups_are_covered_before_any_model_is_there_and_a_lone_outlier_is_not_first():
    x, labels = blobs({"cat": 60, "dog": 60, "owl": 60}, spread=0.3)
    x = np.column_stack([x, np.zeros(180)])
    x[7] = (1, 1, 1, 50)
    arguments = asked(x, np.full(180, 0.5)) | {"models": {}}
    rows = [int(name[1:4]) for name in propose_labels(**arguments, n=4)["filename"]]
    assert set(labels[rows]) == {"cat", "dog", "owl"}
    assert 7 not in rows


def test_twins_of_labelled_and_of_proposed_faces_are_passed_over():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(30, 8)), 2, axis=0)  # each face twice, the second with a little noise
    x[1::2] += rng.normal(0, 0.01, (30, 8))
    arguments = asked(x, np.full(60, 0.5), said=[0, 3])
    persons = [int(name[1:4]) // 2 for name in propose_labels(**arguments, n=60)["filename"]]
    assert sorted(persons) == list(range(2, 30))


def test_proposals_do_not_depend_on_the_number_of_threads(candidates):
    x = np.random.default_rng(3).normal(size=(60, 96)).astype(np.float32)
    with threadpool_limits(1):
        alone = propose_labels(**(candidates | {"embeddings": x}), n=30)
    with threadpool_limits(4):
        pd.testing.assert_frame_equal(propose_labels(**(candidates | {"embeddings": x}), n=30), alone)


def test_alike_faces_alone_give_one_proposal(candidates):
    candidates["clean"][["age_source", "gender_source", "ethnicity_source"]] = "unknown"
    assert len(propose_labels(**(candidates | {"embeddings": np.ones((60, 4), np.float32)}), n=8)) == 1


def test_a_face_labelled_by_hand_is_not_proposed_again(candidates):
    candidates["clean"].loc[20, "gender_source"] = "manual"  # its age is still unknown, but somebody has seen it
    assert "f020.jpg" not in set(propose_labels(**candidates, n=1000)["filename"])


def test_one_missing_attribute_makes_a_face_a_candidate(candidates):
    candidates["clean"].loc[4, "age_source"] = "model"
    assert "f004.jpg" in set(propose_labels(**candidates, n=1000)["filename"])


# Clusters

def test_clusters_are_found_and_numbered_by_size():
    x, labels = blobs({"cat": 10, "dog": 40, "owl": 25}, spread=0.1)
    table = cluster_faces(names(75), x, k=3, components=2, seed=0).faces
    assert [labels[table["cluster"] == i].unique().tolist() for i in range(3)] == [["dog"], ["owl"], ["cat"]]
    assert cluster_faces(names(75), x, k=3, components=2, seed=0).faces.equals(table)


def test_fewer_faces_than_clusters_are_fine():
    table = cluster_faces(names(2), np.eye(2, 5, dtype=np.float32), k=6, components=32, seed=0).faces
    assert sorted(table["cluster"]) == [0, 1]
    assert table[["pc1", "pc2"]].notna().all(axis=None)
