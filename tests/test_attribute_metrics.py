"""Attribute models and prompts are measured on the held-out faces that people labelled, and what
can't be is null.
"""

import numpy as np
import pandas as pd
import pytest

from facestats.attributes.heldout import measure_held_out
from facestats.attributes.model import AttributeModel
from facestats.attributes.training import train_classifier, train_regression
from facestats.attributes.zeroshot import zeroshot_models
from facestats.core.stats import classification, regression
from facestats.errors import LabelError
from facestats.evaluation.attributes import evaluate_attributes
from facestats.prompts.zeroshot import PromptClassifier
from resources import splits, text

RESAMPLES = 200
NOTHING = {"value": None, "low": None, "high": None}


@pytest.fixture
def pets():
    """A model of two classes, 90 faces, a third of test; a third class that the model can't say."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog"], 90)
    x = np.column_stack([(kind == "cat") * 2.0, rng.normal(size=90)]) + 0.8 * rng.normal(
        size=(90, 2)
    )
    labels = text(list(kind))
    split = splits(90)
    train = (split == "train").to_numpy()
    model = train_classifier("pet", x[train], labels[train], 5, 1.0).model
    model.abstain_below = 0.8
    labels[[0, 3]] = "owl"
    labels[[6, 9]] = "unknown"
    labels[12] = None
    share = model.predict_proba(x)
    guess = np.asarray(model.classes, dtype=object)[share.argmax(axis=1)]
    predictions = pd.DataFrame(
        {
            "pet": np.where(share.max(axis=1) >= 0.8, guess, "unknown"),
            "pet_prob_cat": share[:, 0],
            "pet_prob_dog": share[:, 1],
        }
    )
    return model, x, labels, split, predictions, guess


def test_a_classifier_is_measured_without_abstaining_and_its_answers_apart(pets):
    model, _, labels, split, predictions, guess = pets
    report = evaluate_attributes(
        {"pet": model}, predictions, pd.DataFrame({"pet": labels}), split, RESAMPLES, 0
    )["pet"]
    test = ((split == "test") & labels.isin(["cat", "dog", "owl"])).to_numpy()
    assert report["n"] == test.sum() == 27
    assert report["n_per_class"]["owl"] == 2
    right, answered = (guess == labels)[test], (predictions["pet"] != "unknown")[test]
    assert report["accuracy"]["value"] == pytest.approx(right.mean())
    assert report["coverage"]["value"] == pytest.approx(answered.mean())
    assert 0 < answered.mean() < 1
    assert report["accuracy_answered"]["value"] == pytest.approx(right[answered].mean())
    sure = predictions.filter(like="_prob_").max(axis=1).to_numpy()[test]
    assert report["ece"]["value"] == pytest.approx(classification.calibration_error(sure, right))
    raw = model.pipeline.predict_proba(pets[1])[test].max(axis=1)
    assert report["ece_uncalibrated"]["value"] == pytest.approx(
        classification.calibration_error(raw, right)
    )
    assert report["ece"]["low"] <= report["ece"]["value"] <= report["ece"]["high"]
    assert (report["threshold"], report["wanted_precision"], report["penalty"]) == (0.8, None, 1.0)
    recalls = [right[(labels == name).to_numpy()[test]].mean() for name in ("cat", "dog", "owl")]
    assert recalls[2] == 0
    assert report["balanced_accuracy"]["value"] == pytest.approx(np.mean(recalls))


def test_the_training_stage_and_evaluate_measure_the_same(pets):
    model, x, labels, split, predictions, guess = pets
    report = evaluate_attributes(
        {"pet": model}, predictions, pd.DataFrame({"pet": labels}), split, RESAMPLES, 0
    )["pet"]
    held_out = measure_held_out(model, x, labels, split)
    for name in classification.METRICS:
        assert held_out.metrics["test"][name] == pytest.approx(report[name]["value"])
    for name in ("coverage", "accuracy_answered", "ece", "ece_uncalibrated"):
        assert held_out.metrics["test"][name] == pytest.approx(report[name]["value"])
    assert held_out.metrics["val"]["n"] == 15
    assert len(held_out.pairs) == 27
    test = ((split == "test") & labels.isin(["cat", "dog", "owl"])).to_numpy()
    assert sorted(held_out.pairs["predicted"]) == sorted(guess[test])


def test_ages_are_measured_in_years_and_in_groups():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    age = pd.Series(np.round(35 + 12 * x[:, 0]).clip(1, 90))
    split = splits(90)
    train, test = (split == "train").to_numpy(), (split == "test").to_numpy()
    model = train_regression("age", x[train], age[train], 5).model
    predicted = model.predict(x)
    report = evaluate_attributes(
        {"age": model},
        pd.DataFrame({"age": predicted}),
        pd.DataFrame({"age": age}),
        split,
        RESAMPLES,
        0,
    )["age"]
    edges = [3, 10, 20, 30, 40, 50, 60, 70]
    same = np.digitize(np.floor(age), edges) == np.digitize(np.floor(predicted), edges)
    assert report["bucket_accuracy"]["value"] == pytest.approx(same[test].mean())
    assert (
        report["bucket_accuracy"]["low"] <= same[test].mean() <= report["bucket_accuracy"]["high"]
    )
    assert 0 < same[test].mean() < 1
    assert report["mae"]["value"] == pytest.approx(np.abs(age - predicted)[test].mean())
    held_out = measure_held_out(model, x, age, split).metrics["test"]
    assert held_out["bucket_accuracy"] == pytest.approx(report["bucket_accuracy"]["value"])
    assert held_out["n"] == 30
    assert sum(held_out["n_per_bucket"].values()) == 30


@pytest.mark.long
@pytest.mark.parametrize("target", ["pet", "age"])
@pytest.mark.parametrize("lack", ["untrained", "no column", "no test faces"])
def test_a_target_that_cannot_be_measured_is_null_and_says_why(pets, target, lack):
    model, _, labels, split, predictions, _ = pets
    if target == "age":
        model = train_regression(
            "age", np.random.default_rng(0).normal(size=(20, 2)), pd.Series(np.arange(20.0)), 5
        ).model
        labels, predictions = pd.Series(np.full(90, 30.0)), pd.DataFrame({"age": np.full(90, 31.0)})
    table = pd.DataFrame({target: labels})
    if lack == "untrained":
        model = AttributeModel(target, model.kind, why="2 labelled train faces")
    elif lack == "no column":
        table = table[[]]
    else:
        split = split.mask(split == "test", "train")
    report = evaluate_attributes({target: model}, predictions, table, split, RESAMPLES, 0)[target]
    assert report["trained"] is (lack != "untrained")
    assert report["why"] == (
        "2 labelled train faces" if lack == "untrained" else "0 labelled test faces, 2 are needed"
    )
    names = {
        "pet": [
            "accuracy",
            "balanced_accuracy",
            "macro_f1",
            "coverage",
            "accuracy_answered",
            "ece",
            "ece_uncalibrated",
        ],
        "age": [*regression.METRICS, "bucket_accuracy"],
    }[target]
    assert {name: report[name] for name in names} == dict.fromkeys(names, NOTHING)


def asked(shares, **attributes):
    """Zero-shot models without a text tower, and the table of what they said."""
    kinds = {name: "regression" if name == "age" else "classification" for name in attributes}
    empty = {
        name: PromptClassifier(classes, np.zeros((len(classes), 1)), 1.0)
        for name, classes in attributes.items()
    }
    return {"zeroshot": zeroshot_models(empty, kinds, 0.6), "shares": pd.DataFrame(shares)}


@pytest.mark.long
def test_prompts_are_measured_on_the_same_faces_as_the_model(pets):
    model, _, labels, split, predictions, guess = pets
    cat = np.random.default_rng(1).uniform(size=90)
    zeroshot = asked({"pet_prob_dog": 1 - cat, "pet_prob_cat": cat}, pet=["dog", "cat"])
    report = evaluate_attributes(
        {"pet": model}, predictions, pd.DataFrame({"pet": labels}), split, RESAMPLES, 0, **zeroshot
    )["pet"]
    prompts = report["zeroshot"]
    test = ((split == "test") & labels.isin(["cat", "dog"])).to_numpy()
    assert (report["n"], prompts["n"], prompts["left_out"], prompts["why"]) == (
        27,
        25,
        {"owl": 2},
        None,
    )
    right = (np.where(cat > 0.5, "cat", "dog") == labels)[test]
    assert prompts["accuracy"]["value"] == pytest.approx(right.mean())
    sure = (np.maximum(cat, 1 - cat) >= 0.6)[test]
    assert prompts["coverage"]["value"] == pytest.approx(sure.mean())
    assert prompts["accuracy_answered"]["value"] == pytest.approx(right[sure].mean())
    gain = prompts["minus_model"]["accuracy"]
    assert gain["value"] == pytest.approx(right.mean() - (guess == labels)[test].mean())
    assert gain["low"] < gain["value"] < gain["high"] < 0
    without = evaluate_attributes(
        {"pet": model}, predictions, pd.DataFrame({"pet": labels}), split, RESAMPLES, 0
    )["pet"]
    assert {k: v for k, v in report.items() if k != "zeroshot"} == {
        k: v for k, v in without.items() if k != "zeroshot"
    }
    assert without["zeroshot"]["why"] == "zeroshot.pet is not in params.yaml"
    assert (
        without["zeroshot"]["accuracy"] == without["zeroshot"]["minus_model"]["accuracy"] == NOTHING
    )


def test_prompts_are_measured_without_a_trained_model_too():
    age = pd.Series(np.tile([20.0, 30.0, 70.0], 20))
    young = np.random.default_rng(0).uniform(size=60)
    zeroshot = asked(
        {
            "age_prob_18-29": young,
            "age_prob_60-80": 1 - young,
            "hat_prob_red": young,
            "hat_prob_blue": 1 - young,
            "bag_prob_red": young,
            "bag_prob_blue": 1 - young,
        },
        age=["18-29", "60-80"],
        hat=["red", "blue"],
        bag=["red", "blue"],
    )
    labels = pd.DataFrame(
        {
            "age": age,
            "hat": text(["green"] * 59 + ["red"]),
            "bag": text([None] * 60),
            "shoe": text(["red"] * 60),
        }
    )
    report = evaluate_attributes(
        {"age": AttributeModel("age", "regression", why="no reason")},
        pd.DataFrame(index=range(60)),
        labels,
        text(["test"] * 60),
        RESAMPLES,
        0,
        **zeroshot,
    )
    assert list(report) == ["age", "hat"]  # nobody labelled a bag, and a shoe has no prompts
    assert (
        report["age"]["why"],
        report["age"]["zeroshot"]["why"],
        report["age"]["zeroshot"]["n"],
    ) == ("no reason", None, 60)
    expected = 23.5 * young + 70 * (1 - young)
    assert report["age"]["zeroshot"]["mae"]["value"] == pytest.approx((age - expected).abs().mean())
    assert report["age"]["zeroshot"]["bucket_accuracy"]["value"] is not None
    assert report["age"]["zeroshot"]["minus_model"] == {"mae": NOTHING}
    assert (report["hat"]["trained"], report["hat"]["why"]) == (
        False,
        "it is not among attributes.targets",
    )
    hat = report["hat"]["zeroshot"]
    assert hat["why"] == "1 test face with a label that prompts can say, 2 are needed"
    assert (hat["n"], hat["left_out"], hat["accuracy"]) == (1, {"green": 59}, NOTHING)


def test_a_test_label_that_is_no_number_is_named():
    x = np.random.default_rng(0).normal(size=(30, 2))
    output, split = text([str(i) for i in range(30)]), splits(30)
    output.index = split.index = [f"{i}.jpg" for i in range(30)]
    model = train_regression("height", x, output, 5).model
    output["6.jpg"] = "tall"
    with pytest.raises(LabelError, match=r"height.*6\.jpg.*'tall'"):
        measure_held_out(model, x, output, split)
