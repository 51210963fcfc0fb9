"""Flags and proposals: the faces that deserve a look."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from facestats.attributes.flags import flag_faces
from facestats.attributes.model import AttributeModel
from facestats.attributes.proposals import COLUMNS, propose_labels
from facestats.attributes.resolution import predict_attributes
from facestats.attributes.training import train_classifier, train_regression
from facestats.core.doubts import doubtful_faces, drawn_share
from resources import blobs, names, text

# Flags


def quality(n, **columns):
    table = pd.DataFrame(
        {
            "filename": names(n),
            "face_count": 1,
            "confidence": 0.9,
            "presence": 1.0,
            "box": [np.array([0, 0, 200, 200.0])] * n,
            "yaw": 0.0,
            "pitch": 0.0,
            "sharpness": 0.05,
            "brightness": 0.5,
            "occlusion": 0.01,
            "drawing": 0.02,
            "duplicate_of": text([None] * n),
            "near_duplicate_of": text([None] * n),
            "copy_group": names(n),
        }
    )
    return table.assign(**columns)


def flag(faces, *answers, **unseen):
    doubts = doubtful_faces(faces.set_index("filename"), drawn_share(faces))
    return flag_faces(faces, doubts, *answers, **unseen)


def test_each_doubtful_face_is_flagged_with_its_value():
    table = quality(100)
    table.loc[3, "face_count"] = 2
    table.loc[4, "yaw"], table.loc[5, "pitch"], table.loc[6, "yaw"] = -31.0, 45.0, 30.0
    table.loc[7, "brightness"], table.loc[8, "brightness"] = 0.1, 0.9
    table.loc[9, "duplicate_of"], table.loc[10, "near_duplicate_of"] = "f000.jpg", "f001.jpg"
    table.loc[11, "sharpness"], table.loc[12, "occlusion"], table.loc[13, "drawing"] = (
        0.01,
        0.75,
        0.875,
    )
    table.loc[15, "presence"], table.at[16, "box"] = 0.5, np.array([10, 10, 50, 60.0])
    (
        table.loc[17, ["confidence", "presence", "yaw", "pitch", "occlusion", "drawing"]],
        table.at[17, "box"],
    ) = np.nan, None
    flags = flag(
        table, pd.DataFrame({"filename": names(100)}), pd.DataFrame({"filename": names(100)}), {}
    )
    result = {(row.filename, row.reason): row.value for row in flags.itertuples()}
    assert {k: v for k, v in result.items() if "duplicate" not in k[1]} == {
        ("f003.jpg", "several_faces"): 2,
        ("f004.jpg", "extreme_pose"): 31,
        ("f005.jpg", "extreme_pose"): 45,
        ("f007.jpg", "dark"): 0.1,
        ("f008.jpg", "bright"): 0.9,
        ("f011.jpg", "blurred"): 0.01,
        ("f012.jpg", "half_hidden"): 0.75,
        ("f013.jpg", "drawing"): 0.875,
        ("f015.jpg", "low_confidence"): 0.5,
        ("f016.jpg", "small_face"): 50,
        ("f017.jpg", "no_face"): 0,
    }
    assert {k for k in result if "duplicate" in k[1]} == {
        ("f009.jpg", "duplicate"),
        ("f010.jpg", "near_duplicate"),
    }
    assert np.isnan(result["f009.jpg", "duplicate"])


def test_a_doubtful_or_contradicted_answer_is_flagged():
    model = AttributeModel(
        "pet", "classification", object(), classes=["cat", "dog"], abstain_below=0.6
    )
    predictions = pd.DataFrame(
        {
            "filename": names(5),
            "pet_prob_cat": [0.55, 0.95, 0.95, 0.05, 0.79],
            "pet_prob_dog": [0.45, 0.05, 0.05, 0.95, 0.21],
        }
    )
    with_manual = pd.DataFrame(
        {"filename": names(5), "pet_said": text(["dog", "dog", "cat", None, "dog"])}
    )
    untrained = AttributeModel("hat", "classification")
    flags = flag(quality(5), predictions, with_manual, {"pet": model, "hat": untrained})
    assert [tuple(row) for row in flags.to_numpy()] == [("f001.jpg", "contradicts_pet", 0.95)], (
        "what people said is not doubtful"
    )
    nobody = with_manual.assign(pet_said=text([None] * 5))
    flags = flag(quality(5), predictions, nobody, {"pet": model, "hat": untrained})
    assert [tuple(row) for row in flags.to_numpy()] == [("f000.jpg", "low_confidence_pet", 0.55)]
    copied = quality(5, copy_group=["f000.jpg", "f000.jpg", "f002.jpg", "f003.jpg", "f004.jpg"])
    weak = predictions.assign(
        pet_prob_cat=[0.55, 0.52, 0.95, 0.05, 0.95], pet_prob_dog=[0.45, 0.48, 0.05, 0.95, 0.05]
    )
    flags = flag(copied, weak, nobody, {"pet": model})
    assert flags["filename"].tolist() == ["f001.jpg"], "of copies one is enough"
    flags = flag(
        copied, weak, nobody.assign(pet_said=text(["cat", None, None, None, None])), {"pet": model}
    )
    assert flags.empty, "a copy of a labelled face is no open question"
    model.abstain_below = np.inf  # it never answers: that says nothing about single faces
    flags = flag(
        quality(5),
        predictions.assign(pet_prob_cat=0.45, pet_prob_dog=[0.55, 0.55, 0.55, 0.55, 0.48]),
        nobody,
        {"pet": model},
    )
    assert flags.loc[flags["reason"] == "low_confidence_pet", "filename"].tolist() == ["f004.jpg"]
    model.abstain_below = 0.0  # it always answers, sure or not
    flags = flag(
        quality(5),
        predictions.assign(pet_prob_cat=0.45, pet_prob_dog=[0.55, 0.55, 0.55, 0.55, 0.48]),
        nobody,
        {"pet": model},
    )
    assert flags.loc[flags["reason"] == "low_confidence_pet", "filename"].tolist() == ["f004.jpg"]


def test_flags_stand_worst_first():
    table = quality(60, sharpness=[0.05] * 58 + [0.002, 0.001])
    table.loc[[3, 1, 2], "yaw"], table.loc[[5, 4], "brightness"] = [40.0, -50.0, 40.0], [0.1, 0.05]
    table.loc[7, "face_count"], table.loc[9, "near_duplicate_of"], table.loc[8, "brightness"] = (
        3,
        "f001.jpg",
        0.95,
    )
    model = AttributeModel(
        "pet", "classification", object(), classes=["cat", "dog"], abstain_below=0.7
    )
    sure = np.full(60, 0.75)
    sure[[20, 21, 22, 23]] = 0.95, 0.97, 0.6, 0.55
    predictions = pd.DataFrame(
        {"filename": names(60), "pet_prob_cat": sure, "pet_prob_dog": 1 - sure}
    )
    with_manual = pd.DataFrame(
        {"filename": names(60), "pet_said": text(["dog"] * 22 + [None] * 38)}
    )
    flags = flag(table, predictions, with_manual, {"pet": model})
    assert [
        (int(name[1:4]), reason) for name, reason in flags[["filename", "reason"]].to_numpy()
    ] == [
        (21, "contradicts_pet"),
        (20, "contradicts_pet"),
        (7, "several_faces"),
        (1, "extreme_pose"),
        (2, "extreme_pose"),
        (3, "extreme_pose"),
        (59, "blurred"),
        (58, "blurred"),
        (4, "dark"),
        (5, "dark"),
        (8, "bright"),
        (9, "near_duplicate"),
        (23, "low_confidence_pet"),
        (22, "low_confidence_pet"),
    ]


def with_wrong_labels(share=0.08):
    """Train faces of two kinds, some of them labelled as the other one: embeddings, labels, which
    are wrong.
    """
    rng = np.random.default_rng(0)
    x, labels = blobs({"cat": 150, "dog": 150}, spread=0.7)
    x = np.column_stack([x, rng.normal(size=(300, 20))]).astype(np.float32)
    wrong = rng.random(300) < share
    return (
        x,
        labels.mask(wrong, labels.map({"cat": "dog", "dog": "cat"})).set_axis(names(300)),
        wrong,
    )


@pytest.mark.long
def test_planted_label_errors_are_found_though_the_model_was_trained_on_them():
    x, labels, wrong = with_wrong_labels()
    trained = train_classifier("pet", x, labels, 5)
    with_manual = pd.DataFrame({"filename": names(300), "pet_said": labels.to_numpy()})
    _, predictions = predict_attributes(names(300), x, {"pet": trained.model})

    def flagged(**unseen):
        flags = flag(quality(300), predictions, with_manual, {"pet": trained.model}, **unseen)
        chosen = flags.loc[flags["reason"] == "contradicts_pet", "filename"]
        rows = np.isin(names(300), chosen)
        assert (flags["value"][: len(chosen)] >= 0.8).all()
        return (rows & wrong).sum() / wrong.sum(), (rows & wrong).sum() / max(rows.sum(), 1)

    recall, precision = flagged(
        out_of_fold={"pet": trained.out_of_fold.rename_axis("filename").reset_index()}
    )
    assert recall > 0.6
    assert precision > 0.9
    assert flagged()[0] < recall - 0.2


def test_a_number_that_people_surely_mistyped_is_flagged():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    age = pd.Series(40 + 10 * x[:, 0] + rng.normal(0, 3, 200), index=names(200))
    age.iloc[[11, 12]] += [60, -30]
    trained = train_regression("age", x, age, 5)
    _, predictions = predict_attributes(names(200), x, {"age": trained.model})
    flags = flag(
        quality(200),
        predictions,
        pd.DataFrame({"filename": names(200), "age_said": age.to_numpy()}),
        {"age": trained.model},
        {"age": trained.out_of_fold.rename_axis("filename").reset_index()},
    )
    assert flags["filename"][flags["reason"] == "contradicts_age"].tolist() == [
        "f011.jpg",
        "f012.jpg",
    ]
    assert flags["value"][0] == pytest.approx(60, abs=10)


def test_no_flags_are_a_table_too():
    empty = quality(0)
    flags = flag(empty, empty[["filename"]], empty[["filename"]], {})
    assert (list(flags.columns), len(flags)) == (["filename", "reason", "value"], 0)


# Proposals


@pytest.fixture
def candidates():
    """60 faces: the first 10 labelled throughout, the next 5 duplicates, some doubtful."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    best = np.linspace(0.99, 0.51, 60)
    predictions = pd.DataFrame(
        {"filename": names(60), "gender_prob_a": best, "gender_prob_b": 1 - best}
    )
    model = AttributeModel("gender", "classification", object(), classes=["a", "b"])
    source = np.where(np.arange(60) < 10, "label", "model")
    clean = pd.DataFrame(
        {
            "filename": names(60),
            "gender_final": "a",
            "gender_source": source,
            "ethnicity_final": "unknown",
            "ethnicity_source": source,
            "age_final": 33.333,
            "age_source": np.where(np.arange(60) < 10, "manual", "unknown"),
        }
    )
    return {
        "embeddings": x,
        "predictions": predictions,
        "clean": clean,
        "copies": pd.DataFrame(
            {
                "copy_group": names(60),
                "copy_rank": np.where((np.arange(60) >= 10) & (np.arange(60) < 15), 2, 1),
            }
        ),
        "models": {"gender": model},
    }


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


def test_what_is_said_of_one_copy_is_said_of_all(candidates):
    """Face 20 is the best copy of face 0, which is labelled, 30 that of 31, whose cells somebody
    left empty by hand, 40 that of 41, labelled in part.
    """
    copies, clean = candidates["copies"], candidates["clean"]
    copies["copy_rank"] = 1
    for best, other in ((20, 0), (30, 31), (40, 41)):
        copies.loc[other, ["copy_group", "copy_rank"]] = [names(60)[best], 2]
    clean.loc[0, "age_source"] = "label"
    clean.loc[31, ["gender_source", "ethnicity_source", "age_source"]] = [
        "manual",
        "unknown",
        "unknown",
    ]
    clean.loc[41, "gender_source"] = "label"
    chosen = set(propose_labels(**candidates, n=1000)["filename"])
    assert chosen == set(names(60)[10:]) - {names(60)[i] for i in (20, 30, 31, 41)}


def asked(x, sure, said=()):
    """Arguments to propose faces for `gender` alone.

    `said` are labelled by hand, `sure` is the probability of `a`.
    """
    n = len(x)
    source = np.where(np.isin(np.arange(n), list(said)), "manual", "model")
    clean = pd.DataFrame(
        {
            "filename": names(n),
            "gender_final": "a",
            "gender_source": source,
            "ethnicity_final": "x",
            "ethnicity_source": "label",
            "age_final": 30.0,
            "age_source": "label",
        }
    )
    predictions = pd.DataFrame(
        {"filename": names(n), "gender_prob_a": sure, "gender_prob_b": 1 - np.asarray(sure)}
    )
    return {
        "embeddings": np.asarray(x, np.float32),
        "predictions": predictions,
        "clean": clean,
        "copies": pd.DataFrame({"copy_group": names(n), "copy_rank": 1}),
        "models": {"gender": AttributeModel("gender", "classification", classes=["a", "b"])},
    }


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
    x = np.repeat(
        rng.normal(size=(30, 8)), 2, axis=0
    )  # each face twice, the second with a little noise
    x[1::2] += rng.normal(0, 0.01, (30, 8))
    arguments = asked(x, np.full(60, 0.5), said=[0, 3])
    persons = [int(name[1:4]) // 2 for name in propose_labels(**arguments, n=60)["filename"]]
    assert sorted(persons) == list(range(2, 30))


def test_proposals_do_not_depend_on_the_number_of_threads(candidates):
    x = np.random.default_rng(3).normal(size=(60, 96)).astype(np.float32)
    with threadpool_limits(1):
        alone = propose_labels(**(candidates | {"embeddings": x}), n=30)
    with threadpool_limits(4):
        pd.testing.assert_frame_equal(
            propose_labels(**(candidates | {"embeddings": x}), n=30), alone
        )


def test_alike_faces_alone_give_one_proposal(candidates):
    candidates["clean"][["age_source", "gender_source", "ethnicity_source"]] = "unknown"
    assert (
        len(propose_labels(**(candidates | {"embeddings": np.ones((60, 4), np.float32)}), n=8)) == 1
    )


def test_a_face_labelled_by_hand_is_not_proposed_again(candidates):
    candidates["clean"].loc[20, "gender_source"] = (
        "manual"  # its age is still unknown, but somebody has seen it
    )
    assert "f020.jpg" not in set(propose_labels(**candidates, n=1000)["filename"])


def test_one_missing_attribute_makes_a_face_a_candidate(candidates):
    candidates["clean"].loc[4, "age_source"] = "model"
    assert "f004.jpg" in set(propose_labels(**candidates, n=1000)["filename"])
