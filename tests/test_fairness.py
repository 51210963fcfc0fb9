"""Groups are measured as pandas would, on what people said of test faces alone.

Planted bias is found, and none is invented.
"""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.pipeline import Pipeline

from facestats.attributes.model import AttributeModel
from facestats.evaluation.fairness import MEASURES, evaluate_fairness
from facestats.evaluation.fairness_figures import error_by_group, error_points
from facestats.evaluation.group_samples import sample_groups
from resources import names, text

SCALE = (1.0, 7.0)
PETS = AttributeModel(
    "pet", "classification", pipeline=Pipeline([("none", None)]), classes=["cat", "dog"]
)


def to_points(rating):
    return (rating - 1) / 6 * 100


def faces(n=240, seed=0, bias=0.0):
    """Labels, scores and predictions of n test faces.

    Scores of women are `bias` points higher than they should be.
    """
    rng = np.random.default_rng(seed)
    labels = pd.DataFrame(
        {
            "person": text([None] * n),
            "gender": text(rng.choice(["female", "male"], n)),
            "ethnicity": text(rng.choice(["a", "b", "c"], n)),
            "age": rng.choice([25.0, 34, 71], n),
            "rating": rng.normal(4, 1, n).clip(1, 7),
            "pet": text(rng.choice(["cat", "dog"], n)),
        }
    ).set_index(names(n))
    score = (
        to_points(4 + 0.6 * (labels["rating"] - 4))
        + rng.normal(0, 8, n)
        + bias * (labels["gender"] == "female")
    )
    scores = pd.DataFrame(
        {"attractiveness_score": score, "split": text(["test"] * n).to_numpy()}, index=labels.index
    )
    cat = rng.random(n)
    predictions = pd.DataFrame(
        {
            "pet": np.where(
                np.maximum(cat, 1 - cat) < 0.6, "unknown", np.where(cat > 0.5, "cat", "dog")
            ),
            "pet_prob_cat": cat,
            "pet_prob_dog": 1 - cat,
        },
        index=labels.index,
    )
    return labels, scores, predictions


def measure(labels, scores, predictions, models=None, min_group=10, resamples=200, scale=SCALE):
    return evaluate_fairness(
        labels, scores, predictions, models or {}, scale, min_group, resamples, 0
    )


# Figures


@pytest.mark.long
def test_figures_of_a_group_are_those_of_pandas():
    labels, scores, predictions = faces()
    report = measure(labels, scores, predictions, {"pet": PETS})
    assert report["attributes"][:4] == ["gender", "ethnicity", "age", "pet"]
    assert list(report["attractiveness"]["age"]) == ["20-29", "30-39", "more than 70"]
    rating, score = to_points(labels["rating"]), scores["attractiveness_score"]
    for attribute, group, chosen in (
        ("gender", "male", labels["gender"] == "male"),
        ("age", "30-39", labels["age"] == 34),
        (
            "gender × ethnicity",
            "female × b",
            (labels["gender"] == "female") & (labels["ethnicity"] == "b"),
        ),
    ):
        figures = report["attractiveness"][attribute][group]
        assert figures["n"] == chosen.sum()
        assert {name: figures[name]["value"] for name in MEASURES} == pytest.approx(
            {
                "mean_rating": rating[chosen].mean(),
                "mean_score": score[chosen].mean(),
                "bias": (score - rating)[chosen].mean(),
                "mae": (score - rating)[chosen].abs().mean(),
                "pearson": score[chosen].corr(rating[chosen]),
            }
        )
        assert all(
            figures[name]["low"] < figures[name]["value"] < figures[name]["high"]
            for name in MEASURES
        )
        answer = np.where(predictions["pet_prob_cat"] > 0.5, "cat", "dog")
        result = report["classifiers"]["pet"][attribute][group]
        assert result["accuracy"]["value"] == pytest.approx(
            (answer == labels["pet"])[chosen].mean()
        )
        assert result["abstention"]["value"] == pytest.approx(
            (predictions["pet"] == "unknown")[chosen].mean()
        )
    assert report["overall"]["mae"]["value"] == pytest.approx((score - rating).abs().mean())


@pytest.mark.long
def test_skin_colour_groups_faces_where_no_ethnicity_is_labelled():
    labels, scores, predictions = faces()
    shown = text(np.where(labels["ethnicity"] == "a", "light", "brown")).set_axis(labels.index)
    labels = labels.assign(skin_ita_class=shown.mask(labels["ethnicity"] == "c"))
    labelled = measure(labels, scores, predictions)
    assert "skin_ita_class" not in labelled["attributes"]
    assert labelled["notes"] == {}
    for ethnicity in (np.nan, "unknown"):
        report = measure(labels.assign(ethnicity=ethnicity), scores, predictions)
        groups = report["attractiveness"]["skin_ita_class"]
        assert list(groups) == ["brown", "light"]
        assert [groups[name]["mae"] for name in groups] == [
            labelled["attractiveness"]["ethnicity"][name]["mae"] for name in ("b", "a")
        ]
        assert "female × light" in report["attractiveness"]["gender × skin_ita_class"]
        assert "light decides" in report["notes"]["skin_ita_class"]
    nothing = labels.assign(ethnicity=np.nan, skin_ita_class=text([None] * len(labels)).to_numpy())
    assert "skin_ita_class" not in measure(nothing, scores, predictions)["attributes"]


@pytest.mark.long
def test_the_combined_score_is_measured_by_group_on_the_faces_that_have_one():
    labels, scores, predictions = faces()
    without = measure(labels, scores, predictions)
    assert without["combined"] == {}
    assert "no test face has a combined score" in without["why"]["combined_score"]
    assert not any(name.startswith("combined") for name in without["largest_gaps"])
    scores["combined_score"] = scores["attractiveness_score"] + 5
    scores.iloc[:40, scores.columns.get_loc("combined_score")] = np.nan
    report = measure(labels, scores, predictions)
    kept = scores["combined_score"].notna()
    women = (labels["gender"] == "female") & kept
    figures = report["combined"]["gender"]["female"]
    assert (report["combined_overall"]["n"], figures["n"]) == (200, women.sum())
    assert figures["bias"]["value"] == pytest.approx(
        (scores["combined_score"] - to_points(labels["rating"]))[women].mean()
    )
    assert {f"combined_{name}" for name in MEASURES[1:]} < report["largest_gaps"].keys()
    for name in ("n", "overall", "attractiveness"):
        assert report[name] == without[name]
    alike = measure(
        labels, scores.assign(combined_score=scores["attractiveness_score"]), predictions
    )
    assert alike["combined"] == alike["attractiveness"]


def test_the_largest_gap_is_that_of_the_highest_and_the_lowest_group():
    labels, scores, predictions = faces()
    report = measure(labels, scores, predictions)
    values = {
        (attribute, group): figures["mae"]["value"]
        for attribute, groups in report["attractiveness"].items()
        for group, figures in groups.items()
        if figures["mae"]
    }
    widest = {}
    for attribute in report["attractiveness"]:
        among = {group: value for (name, group), value in values.items() if name == attribute}
        high, low = max(among, key=among.get), min(among, key=among.get)
        widest[attribute] = (among[high] - among[low], [high, low])
        result = report["largest_gaps"]["mae"]["by_attribute"][attribute]
        assert (result["value"], result["groups"]) == (
            pytest.approx(widest[attribute][0]),
            widest[attribute][1],
        )
        assert result["compared"] == len(among) * (len(among) - 1) // 2
    overall = report["largest_gaps"]["mae"]
    assert overall["attribute"] == max(widest, key=lambda name: widest[name][0])
    alone = overall["by_attribute"][overall["attribute"]]
    assert overall["compared"] > alone["compared"]
    assert overall["high"] - overall["low"] > alone["high"] - alone["low"]  # more were compared


@pytest.mark.long
def test_predicted_labels_and_other_splits_count_for_nothing():
    labels, scores, predictions = faces()
    labels.loc[labels.index[:30], ["gender", "pet"]] = None
    scores.loc[scores.index[200:], "split"] = "train"
    predictions["gender"] = "female"  # a model's word
    report = measure(labels, scores, predictions, {"pet": PETS})
    assert report["n"] == report["overall"]["n"] == 200
    assert sum(group["n"] for group in report["attractiveness"]["gender"].values()) == 170
    assert sum(group["n"] for group in report["classifiers"]["pet"]["gender"].values()) == 170
    without = measure(labels, scores, predictions.drop(columns="gender"), {"pet": PETS})
    assert without == report


@pytest.mark.long
def test_small_groups_are_counted_but_not_measured():
    labels, scores, predictions = faces(60)
    labels["ethnicity"] = text(["a"] * 51 + ["rare"] * 9).to_numpy()
    report = measure(labels, scores, predictions)
    rare = report["attractiveness"]["ethnicity"]["rare"]
    assert rare == {
        "n": 9,
        "why": "9 faces, 10 are needed (evaluate.min_group)",
        **dict.fromkeys(MEASURES),
    }
    assert "ethnicity" not in report["largest_gaps"]["bias"]["by_attribute"]
    assert (
        measure(labels, scores, predictions, min_group=9)["largest_gaps"]["bias"]["by_attribute"][
            "ethnicity"
        ]["compared"]
        == 1
    )
    labels["person"] = text(["ann"] * 30 + [None] * 30).to_numpy()
    labels["ethnicity"] = text(["a"] * 30 + ["b"] * 30).to_numpy()
    assert (
        measure(labels, scores, predictions)["attractiveness"]["ethnicity"]["a"]["why"]
        == "30 faces of one person; an interval takes two"
    )
    assert (
        measure(labels[:30], scores[:30], predictions[:30])["why"]["attractiveness"]
        == "rated test faces: 30; those of 2 persons are needed"
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"attractiveness_score": np.nan}, "no regressor was trained"),
        ({"split": "train"}, "rated test faces: 0; those of 2 persons are needed"),
    ],
)
def test_what_cannot_be_measured_says_why(tmp_path, change, why):
    labels, scores, predictions = faces()
    untrained = AttributeModel("pet", "classification", why="3 labelled faces")
    report = measure(labels, scores.assign(**change), predictions, {"pet": untrained})
    assert why in report["why"]["attractiveness"]
    assert report["why"]["pet"] == "3 labelled faces"
    assert (
        report["n"],
        report["attractiveness"],
        report["classifiers"],
        report["largest_gaps"],
    ) == (0, {}, {}, {})
    assert report["overall"]["mae"] == {"value": None, "low": None, "high": None}
    assert error_points(report).empty
    error_by_group(report, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000


def test_nobody_labelled_anything():
    labels, scores, predictions = faces()
    labels = labels[["person", "gender", "ethnicity", "age", "rating"]].assign(
        gender=None, ethnicity=None, age=np.nan
    )
    report = measure(labels, scores, predictions)
    assert report["attributes"] == []
    assert report["overall"]["n"] == 240
    assert (
        report["largest_gaps"]["mae"]["why"]
        == "no attribute has two groups that were measured (of 10 faces or more, "
        "evaluate.min_group)"
    )


# Intervals


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(size=12)
    one = np.ones((12, 1), bool)
    figures = sample_groups({"x": values}, one, np.arange(12), 20_000, 0)["x"].interval(0)
    expected = scipy.stats.t.interval(0.95, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (figures["low"], figures["high"]) == pytest.approx(expected, abs=0.12 * values.std())


def test_faces_of_one_person_are_drawn_together():
    rng = np.random.default_rng(0)
    values, persons = np.repeat(rng.normal(size=40), 5), np.repeat(np.arange(40), 5)
    one = np.ones((200, 1), bool)
    apart, together = (
        sample_groups({"x": values}, one, who, 2000, 0)["x"].interval(0)
        for who in (np.arange(200), persons)
    )
    assert (together["high"] - together["low"]) / (apart["high"] - apart["low"]) == pytest.approx(
        np.sqrt(5), rel=0.1
    )


def test_all_right_is_not_certain():
    figures = sample_groups(
        {"x": np.ones(20)}, np.ones((20, 1), bool), np.arange(20), 100, 0, shares=True
    )["x"].interval(0)
    assert (figures["value"], figures["high"]) == (1.0, 1.0)
    assert figures["low"] ** 20 == pytest.approx(0.05)


@pytest.mark.long
def test_planted_bias_is_found_and_named():
    elsewhere = 0
    for seed in range(5):
        report = measure(*faces(seed=seed, bias=10))["largest_gaps"]["bias"]
        gender = report["by_attribute"]["gender"]
        assert gender["groups"] == ["female", "male"]
        assert 0 < gender["low"] < 10 < gender["high"]
        assert report["groups"][0].startswith("female")
        assert report["groups"][1].startswith("male")
        elsewhere += sum(report["by_attribute"][other]["low"] > 0 for other in ("ethnicity", "age"))
    assert elsewhere <= 2  # of 10 gaps that are none, one in 20 by chance


@pytest.mark.long
def test_no_bias_is_seldom_found():
    """The largest of many gaps is always wide; its interval must allow for having been chosen."""
    seeds = 20
    reports = [measure(*faces(120, seed=seed))["largest_gaps"] for seed in range(seeds)]
    for name in ("bias", "mae", "mean_rating"):
        assert min(report[name]["compared"] for report in reports) > 30
        assert all(report["pearson"]["high"] <= 2 for report in reports)
        false_alarms = sum(report[name]["low"] > 0 for report in reports)
        assert false_alarms <= 4  # 1 expected; more than 4 in 0.3 % of cases


# Pictures


@pytest.mark.long
def test_the_picture_and_its_points_hold_every_measured_group(tmp_path):
    report = measure(*faces())
    points = error_points(report)
    measured = sum(
        figures["mae"] is not None
        for groups in report["attractiveness"].values()
        for figures in groups.values()
    )
    assert len(points) == 2 * (measured + 1)
    row = points[
        (points["measure"] == "mean absolute error")
        & points["group"].str.startswith("gender: male (")
    ].iloc[0]
    male = report["attractiveness"]["gender"]["male"]
    assert (row["n"], row["value"], row["high"]) == (
        male["n"],
        round(male["mae"]["value"], 4),
        round(male["mae"]["high"], 4),
    )
    for name in ("once.png", "twice.png"):
        error_by_group(report, tmp_path / name)
    assert (tmp_path / "once.png").read_bytes() == (tmp_path / "twice.png").read_bytes()
