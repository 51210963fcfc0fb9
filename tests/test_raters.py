"""Suspicious raters are named, honest ones are not, and nobody is left out unasked."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.raters import rater_warnings, suspicious_raters, without_raters
from facestats.labels.reliability import measure_reliability
from studies import answer, rating_study

ODD = {"rater_00": "constant", "rater_01": "random", "rater_02": "inverted"}
REASONS = {"constant": "always the same", "random": "at random", "inverted": "the other way round"}


def odd_study(seed, **design):
    judgements, _ = rating_study(seed, **design)
    for i, (rater, how) in enumerate(ODD.items()):
        judgements = answer(judgements, rater, how, 100 * seed + i)
    return judgements


@pytest.mark.long
def test_each_kind_is_found_and_no_honest_rater_accused():
    hits, accused = Counter(), 0
    for seed in range(40):
        suspects = suspicious_raters(odd_study(seed, density=0.6))
        hits.update((ODD[name], seen["reason"]) for name, seen in suspects.items() if name in ODD)
        accused += bool(suspects.keys() - ODD.keys())
    assert hits["constant", "always the same"] == 40
    assert hits["inverted", "the other way round"] >= 39
    assert hits["random", "at random"] >= 32
    assert accused <= 2  # of 40 studies with 17 honest raters each


@pytest.mark.long
def test_honest_raters_of_different_quality_are_not_accused():
    accused = 0
    for seed in range(40):
        judgements, _ = rating_study(seed, density=0.5)
        rng = np.random.default_rng(seed)
        noise = dict(zip(sorted(set(judgements["rater"])), rng.uniform(0, 25, 20), strict=True))
        judgements["rating"] += judgements["rater"].map(noise) * rng.normal(size=len(judgements))
        accused += bool(suspicious_raters(judgements))
    assert accused <= 2


@pytest.mark.long
def test_a_rater_of_few_faces_is_not_accused_lightly():
    accused = 0
    for seed in range(40):
        judgements, _ = rating_study(seed, faces=300, raters=40, density=0.5)
        faces = np.random.default_rng(seed).choice(300, 8, replace=False)
        few = pd.DataFrame(
            {
                "filename": [f"face_{i:04d}" for i in faces],
                "rater": "few",
                "rating": np.random.default_rng(seed).uniform(0, 100, 8),
            }
        )
        accused += "few" in suspicious_raters(pd.concat([judgements, few]))
        same = suspicious_raters(pd.concat([judgements, few.assign(rating=50.0)]))
        accused += "few" in same
    assert accused <= 2


def test_figures_of_a_suspect_are_those_of_the_ratings():
    judgements = odd_study(0, density=0.6)
    seen = suspicious_raters(judgements)["rater_01"]
    own = judgements[judgements["rater"] == "rater_01"].set_index("filename")["rating"]
    others = judgements[~judgements["rater"].isin(ODD)].groupby("filename")["rating"].mean()
    assert (seen["n"], seen["n_common"]) == (len(own), own.index.isin(others.index).sum())
    assert [seen["mean"], seen["sd"]] == pytest.approx([own.mean(), own.std()])
    assert seen["r"] == pytest.approx(own.corr(others))


def test_odd_raters_do_not_drag_honest_ones_into_suspicion():
    judgements, _ = rating_study(0, raters=11)
    for i in range(5):
        judgements = answer(judgements, f"rater_{i:02d}", "inverted")
    assert {name: seen["reason"] for name, seen in suspicious_raters(judgements).items()} == {
        f"rater_{i:02d}": "the other way round" for i in range(5)
    }


def test_auto_leaves_them_out_and_the_means_get_better():
    judgements, truth = rating_study(5, faces=600)
    for i in range(6):
        judgements = answer(judgements, f"rater_{i:02d}", "random", i)
    kept, report = without_raters(judgements, "auto")
    assert report["n"] == 20
    assert list(report["dropped"]) == [f"rater_{i:02d}" for i in range(6)]
    assert report["dropped"]["rater_00"] == "answers at random"
    r = [frame.groupby("filename")["rating"].mean().corr(truth) for frame in (judgements, kept)]
    assert r[1] > r[0] + 0.02
    reliability = [
        measure_reliability(frame)["split_half"]["value"] for frame in (judgements, kept)
    ]
    assert reliability[1] > reliability[0] + 0.03
    assert rater_warnings(report) == []


def test_by_default_they_are_named_and_stay():
    judgements = odd_study(1)
    kept, report = without_raters(judgements, None)
    assert kept.equals(judgements)
    assert report["dropped"] == {}
    assert {name: seen["reason"] for name, seen in report["suspicious"].items()} == {
        name: REASONS[how] for name, how in ODD.items()
    }
    warnings = rater_warnings(report)
    assert len(warnings) == 3
    assert (
        "rater_00 seems to answer always the same (300 ratings, standard deviation 0)"
        in warnings[0]
    )
    assert "labels.drop_raters" in warnings[0]


def test_listed_raters_are_left_out():
    judgements = odd_study(1)
    kept, report = without_raters(judgements, ["rater_05", "rater_00"])
    assert set(judgements["rater"]) - set(kept["rater"]) == {"rater_00", "rater_05"}
    assert report["dropped"] == dict.fromkeys(
        ["rater_00", "rater_05"], "named in labels.drop_raters"
    )
    assert list(report["suspicious"]) == ["rater_01", "rater_02"]


@pytest.mark.parametrize(
    ("judgements", "name", "hint"),
    [
        (odd_study(1, faces=5), "Rater-05", "rater_05"),
        (odd_study(1, faces=5), "somebody", "Raters there: rater_00, rater_01"),
        (odd_study(1, faces=5).assign(rater=""), "rater_05", "No rater is named there"),
        (None, "rater_05", "No rater is named there"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_known_one(judgements, name, hint):
    with pytest.raises(LabelError) as error:
        without_raters(judgements, [name])
    assert repr(name) in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    "judgements",
    [
        rating_study(0, faces=30, raters=1)[0],
        rating_study(0, faces=30, raters=2)[0],
        rating_study(0, faces=30, named=False)[0],
        rating_study(0, faces=30)[0].assign(rating=4.0),
        rating_study(0, faces=2)[0],
        rating_study(0, faces=30)[0][:0],
    ],
)
def test_studies_in_which_nobody_can_be_told_apart(judgements):
    assert suspicious_raters(judgements) == {}
    kept, report = without_raters(judgements, "auto")
    assert kept.equals(judgements)
    assert report["suspicious"] == report["dropped"] == {}


def test_when_nobody_is_left_the_user_is_told():
    judgements, _ = rating_study(0, faces=5, raters=2)
    _, report = without_raters(judgements, ["rater_00", "rater_01"])
    assert rater_warnings(report) == ["labels.drop_raters leaves out all 2 raters"]
