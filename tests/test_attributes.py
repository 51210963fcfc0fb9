"""Attributes: what a model may say, whose word counts, and which faces are worth a look."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.attributes.model import AttributeModel, load_models
from facestats.attributes.resolution import predict_attributes, resolve, target_kinds
from facestats.attributes.training import train_classifier, train_regression
from facestats.attributes.zeroshot import fill_gaps, zeroshot_models
from facestats.core.stats.groups import age_bucket
from facestats.errors import LabelError, ModelError, ParamsError
from facestats.params.project import check_params
from facestats.prompts.zeroshot import PromptClassifier
from resources import blobs, names, text

PARAMS = Path(__file__).parents[1] / "params.yaml"


def classifier(x, labels, target="pet", minimum=5, abstain=0.5, weight=None):
    model = train_classifier(target, x, labels, minimum, 1.0, weight).model
    model.abstain_below = abstain
    return model


def labels_table(index, **columns):
    return pd.DataFrame(
        {k: v if isinstance(v, pd.Series) else text(v) for k, v in columns.items()}
    ).set_index(index)


# Training


def test_a_classifier_learns_and_says_its_classes_in_order():
    x, labels = blobs({"owl": 30, "cat": 30, "dog": 30})
    model = classifier(x, labels)
    assert (model.classes, model.n_train, model.why) == (["cat", "dog", "owl"], 90, None)
    assert list(model.predict(np.array([[3, 0, 0], [0, 3, 0], [0, 0, 3]], np.float32))) == [
        "cat",
        "dog",
        "owl",
    ]
    share = model.predict_proba(x)
    assert share.shape == (90, 3)
    assert np.allclose(share.sum(axis=1), 1)


def test_unknown_is_never_a_class():
    x, labels = blobs({"cat": 20, "dog": 20, "owl": 20})
    labels[labels == "owl"] = "unknown"
    labels[:5] = None
    model = classifier(x, labels)
    assert (model.classes, model.n_train, model.left_out) == (["cat", "dog"], 35, {})


def test_a_rare_class_is_left_out_and_named():
    x, labels = blobs({"cat": 20, "dog": 20, "owl": 4})
    model = classifier(x, labels, minimum=5)
    assert (model.classes, model.left_out, model.n_train) == (["cat", "dog"], {"owl": 4}, 40)
    assert classifier(x, labels, minimum=4).classes == ["cat", "dog", "owl"]
    assert classifier(*blobs({"cat": 5, "dog": 5}), minimum=5).trained


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (
            {"cat": 20, "owl": 4},
            "1 classes with at least 5 labelled train faces, 2 are needed (found cat: 20, owl: 4)",
        ),
        ({}, "0 classes with at least 5 labelled train faces, 2 are needed (found no label)"),
    ],
)
def test_fewer_than_two_classes_train_nothing_and_say_why(counts, why):
    x, labels = blobs({"cat": 20, "owl": 4})
    if not counts:
        labels[:] = None
    model = classifier(x, labels)
    assert (model.trained, model.why, model.classes) == (False, why, [])


@pytest.mark.long
def test_a_balanced_classifier_finds_more_of_the_rare_class():
    x, labels = blobs({"cat": 300, "dog": 12}, spread=2.0)
    result = {
        weight: (classifier(x, labels, weight=weight).predict(x) == "dog").sum()
        for weight in (None, "balanced")
    }
    assert result["balanced"] > 2 * result[None]


def test_a_regression_reads_numbers_written_as_text():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = 40 + 10 * x[:, 0]
    labels = text([f"{v:.3f}" for v in y])
    labels[:50] = None
    labels[50:60] = "unknown"
    model = train_regression("height", x, labels, 5, 0.1).model
    assert model.n_train == 140
    assert np.abs(model.predict(x) - y).max() < 0.2


@pytest.mark.parametrize("value", ["tall", "inf", "nan "])
def test_a_regression_label_that_is_no_number_is_named(value):
    labels = text(["1", "2", value, "4"])
    labels.index = names(4)
    with pytest.raises(LabelError) as error:
        train_regression("height", np.zeros((4, 3)), labels, 2, 1.0)
    for part in ("attributes.targets.height", "f002.jpg", repr(value), "a number"):
        assert part in str(error.value)


def test_too_few_numbers_train_nothing_and_say_why():
    model = train_regression(
        "age", np.zeros((4, 3)), pd.Series([1.0, np.nan, 3.0, np.nan]), 3
    ).model
    assert (model.trained, model.why) == (False, "2 labelled train faces, 3 are needed")


def test_standard_targets_keep_the_kind_that_their_columns_have():
    raw = yaml.safe_load(PARAMS.read_text())
    raw["attributes"]["targets"]["age"] = {"kind": "classification"}
    with pytest.raises(ParamsError, match=r"targets\.age\.kind must be regression"):
        check_params(raw)


# Files


def test_a_model_file_gives_back_the_same_model(tmp_path):
    x, labels = blobs({"cat": 20, "dog": 20, "owl": 3})
    model = classifier(x, labels, abstain=0.7)
    model.save(tmp_path / "sub" / "pet_clf.safetensors")
    again = AttributeModel.load(tmp_path / "sub" / "pet_clf.safetensors")
    assert again.predict_proba(x).tobytes() == model.predict_proba(x).tobytes()
    assert {k: v for k, v in vars(again).items() if k != "pipeline"} == {
        "target": "pet",
        "kind": "classification",
        "why": None,
        "classes": ["cat", "dog"],
        "left_out": {"owl": 3},
        "calibration": model.calibration,
        "wanted_precision": None,
        "abstain_below": 0.7,
        "threshold_from": None,
        "penalty": 1.0,
        "penalty_from": "params.yaml",
        "n_train": 40,
        "pretrained": None,
    }
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["pet_clf.safetensors"]


@pytest.mark.long
def test_training_twice_gives_the_same_bytes(tmp_path):
    x, labels = blobs({"cat": 20, "dog": 20})
    for i in range(2):
        fresh = pd.Series(["".join(list(v)) for v in labels], dtype="object" if i else "str")
        classifier(x, fresh).save(tmp_path / f"{i}.safetensors")
        train_regression("age", x, pd.Series(np.arange(40.0)), 5).model.save(tmp_path / f"{i}.age")
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    assert (tmp_path / "0.age").read_bytes() == (tmp_path / "1.age").read_bytes()


def test_a_folder_of_models_is_read_by_target(tmp_path):
    x, labels = blobs({"cat": 20, "dog": 20})
    for target in ("zebra", "ant"):
        classifier(x, labels, target).save(tmp_path / f"{target}_clf.safetensors")
    classifier(x, labels, "removed").save(tmp_path / "removed_clf.safetensors")
    assert list(load_models(tmp_path, ["zebra", "ant"])) == ["ant", "zebra"]
    with pytest.raises(ModelError, match="no such model"):
        load_models(tmp_path, ["bee"])


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"\x80\x04\x95\x29", b"\x1f\x8b\x08zzz"]
)
def test_a_missing_or_foreign_model_file_is_named(tmp_path, content):
    path = tmp_path / "pet_clf.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ModelError, match="pet_clf") as error:
        AttributeModel.load(path)
    assert "dvc repro" in str(error.value)


# Predictions


def test_a_model_abstains_below_the_threshold_and_only_there():
    x, labels = blobs({"cat": 40, "dog": 40}, spread=1.5)
    model = classifier(x, labels, abstain=0.9)
    attributes, predictions = predict_attributes(names(80), x, {"pet": model})
    best = model.predict_proba(x).max(axis=1)
    assert 0 < (best < 0.9).sum() < 80
    assert ((attributes["pet"] == "unknown") == (best < 0.9)).all()
    answered = attributes["pet"] != "unknown"
    assert (attributes["pet"][answered] == model.predict(x)[answered]).all()
    assert np.allclose(predictions["pet_prob_dog"], model.predict_proba(x)[:, 1])


def test_a_probability_at_the_threshold_is_an_answer():
    class Coin:
        def predict_proba(self, x):
            return np.full((len(x), 2), 0.5)

    model = AttributeModel(
        "pet", "classification", Coin(), classes=["cat", "dog"], abstain_below=0.5
    )
    assert list(predict_attributes(names(2), np.zeros((2, 3)), {"pet": model})[0]["pet"]) == [
        "cat",
        "cat",
    ]


def test_with_nothing_trained_everything_is_unknown():
    untrained = {
        "pet": AttributeModel("pet", "classification", why="no label"),
        "height": AttributeModel("height", "regression", why="no label"),
        "age": AttributeModel("age", "regression", why="no label"),
    }
    attributes, predictions = predict_attributes(names(2), np.zeros((2, 3)), untrained)
    assert (
        list(attributes.columns)
        == list(predictions.columns)
        == ["filename", "gender", "ethnicity", "age", "height", "pet"]
    )
    assert (attributes[["gender", "ethnicity", "pet"]] == "unknown").all(axis=None)
    assert attributes[["age", "height"]].isna().all(axis=None)
    with_manual, clean = resolve(attributes, pd.DataFrame(index=names(2)), target_kinds(untrained))
    assert (clean.filter(like="_source") == "unknown").all(axis=None)
    assert with_manual.filter(like="_said").isna().all(axis=None)
    assert clean["age_final"].isna().all()


def test_the_users_own_targets_go_the_same_way():
    x, labels = blobs({"cat": 20, "dog": 20})
    models = {
        "pet": classifier(x, labels),
        "height": train_regression("height", x, text(["180.5"] * 40), 5).model,
    }
    labelled = labels_table(
        names(40),
        pet=["owl"] + [None] * 39,
        pet_source=["label"] + [None] * 39,
        height=[None, "150"] + [None] * 38,
        height_source=[None, "manual"] + [None] * 38,
    )
    attributes, _ = predict_attributes(names(40), x, models)
    assert attributes["height"].to_numpy() == pytest.approx(180.5)
    with_manual, clean = resolve(attributes, labelled, target_kinds(models))
    assert clean.loc[0, ["pet_final", "pet_source"]].tolist() == ["owl", "label"]
    assert clean.loc[1, ["pet_final", "pet_source"]].tolist() == ["cat", "model"]
    assert clean.loc[1, ["height_final", "height_source"]].tolist() == [150.0, "manual"]
    assert clean.loc[2, "height_source"] == "model"
    assert with_manual.loc[0, "pet_said"] == "owl"


def test_people_win_over_the_model_and_the_model_over_nothing():
    attributes = pd.DataFrame(
        {
            "filename": names(4),
            "gender": ["male", "male", "male", "unknown"],
            "ethnicity": ["unknown"] * 4,
            "age": [50.0, 50.0, 50.0, np.nan],
        }
    )
    labels = labels_table(
        names(4),
        gender=["female", "female", None, None],
        gender_source=["manual", "label", None, None],
        age=pd.Series([np.nan, 0.0, np.nan, np.nan]),
        age_source=[None, "label", None, None],
    )
    # rows are found by name, in whatever order the labels come
    with_manual, clean = resolve(
        attributes,
        labels.iloc[::-1],
        {"gender": "classification", "ethnicity": "classification", "age": "regression"},
    )
    assert clean["gender_final"].tolist() == ["female", "female", "male", "unknown"]
    assert clean["gender_source"].tolist() == ["manual", "label", "model", "unknown"]
    assert clean["age_final"].fillna(-1).tolist() == [50, 0, 50, -1]
    assert clean["age_source"].tolist() == ["model", "label", "model", "unknown"]
    assert (clean["ethnicity_source"] == "unknown").all()
    assert with_manual["gender"].tolist() == ["male", "male", "male", "unknown"]
    assert with_manual["gender_said"].notna().tolist() == [True, True, False, False]


# Zero-shot


def prompts(classes, scale=1.0):
    """Classes along the axes."""
    return PromptClassifier(classes, np.eye(len(classes), 3, dtype=np.float32), scale)


def test_prompts_answer_where_no_model_was_trained_and_nowhere_else():
    x, labels = blobs({"cat": 20, "dog": 20})
    shy = classifier(x, labels, "gender", abstain=1.1)  # never sure enough
    trained = {
        "gender": shy,
        "ethnicity": AttributeModel("ethnicity", "classification", why="no label"),
        "age": AttributeModel("age", "regression", why="no label"),
    }
    zeroshot = zeroshot_models(
        {
            "hat": prompts(["red", "blue"], 9.0),
            "gender": prompts(["cat", "dog"]),
            "age": prompts(["18-29", "60+"]),
            "ethnicity": prompts(["a", "b"]),
        },
        target_kinds(trained),
        0.9,
    )
    models = fill_gaps(trained, zeroshot)
    assert {name: model.source for name, model in models.items()} == {
        "gender": "model",
        "ethnicity": "zeroshot",
        "age": "zeroshot",
        "hat": "zeroshot",
    }
    points = np.array([[1, 0, 0], [0, 1, 0], [0.7, 0.7, 0]], np.float32)
    attributes, predictions = predict_attributes(names(3), points, models)
    assert attributes["hat"].tolist() == ["red", "blue", "unknown"]  # the third as likely as not
    assert attributes["ethnicity"].tolist() == ["unknown"] * 3  # 0.73 at most
    share = 1 / (1 + np.exp(-1))
    assert predictions["ethnicity_prob_a"].tolist() == pytest.approx([share, 1 - share, 0.5])
    assert attributes["age"].tolist() == pytest.approx(
        [23.5 * share + 65.5 * (1 - share), 23.5 * (1 - share) + 65.5 * share, 44.5]
    )
    assert {"gender_prob_cat", "age_prob_18-29", "age_prob_60+", "hat_prob_blue"} <= set(
        predictions.columns
    )

    labelled = labels_table(
        names(3),
        hat=[None, "green", None],
        hat_source=[None, "label", None],
        age=pd.Series([np.nan, 7.0, np.nan]),
        age_source=[None, "manual", None],
    )
    _, clean = resolve(
        attributes,
        labelled,
        target_kinds(models),
        {name: model.source for name, model in models.items()},
    )
    assert clean["hat_final"].tolist() == ["red", "green", "unknown"]
    assert clean["hat_source"].tolist() == ["zeroshot", "label", "unknown"]
    assert clean["age_source"].tolist() == ["zeroshot", "manual", "zeroshot"]
    assert (
        clean["gender_source"] == "unknown"
    ).all()  # a trained model that abstains is not overruled
    assert (clean["ethnicity_source"] == "unknown").all()


def test_the_word_unknown_from_people_says_nothing():
    attributes = pd.DataFrame({"filename": names(1), "gender": ["male"]})
    labels = labels_table(names(1), gender=["unknown"], gender_source=["label"])
    with_manual, clean = resolve(attributes, labels, {"gender": "classification"})
    assert clean.loc[0, ["gender_final", "gender_source"]].tolist() == ["male", "model"]
    assert with_manual["gender_said"].isna().all()


@pytest.mark.parametrize(
    ("age", "bucket"),
    [
        (0, "0-2"),
        (2.99, "0-2"),
        (3, "3-9"),
        (9.99, "3-9"),
        (10, "10-19"),
        (19.5, "10-19"),
        (20, "20-29"),
        (59.9, "50-59"),
        (60, "60-69"),
        (69.99, "60-69"),
        (70, "more than 70"),
        (120, "more than 70"),
        (-4, "0-2"),
        (np.nan, "unknown"),
    ],
)
def test_age_groups_are_fairfaces_at_their_edges(age, bucket):
    assert age_bucket(np.array([age]))[0] == bucket


def test_a_model_of_far_too_large_numbers_is_named():
    """scikit-learn's traceback ended the command."""
    x, labels = blobs({"owl": 30, "cat": 30})
    model = classifier(x, labels)
    model.pipeline[0].scale_[:] = 1e-320
    with pytest.raises(ModelError, match="far too large numbers"):
        model.predict_proba(x)
