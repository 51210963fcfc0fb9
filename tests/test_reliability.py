"""Reliability equals published figures and, in simulated studies, what is true of them.

Where it can't be known it says why.
"""

import numpy as np
import pandas as pd
import pytest

from facestats.importers.omi import import_omi
from facestats.labels.reliability import measure_reliability
from facestats.labels.variance import icc, one_way, two_way
from resources import omi_images
from studies import rating_study

# Shrout & Fleiss (1979), table 2: six subjects, four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def components(table, rows=None):
    """One- and two-way components of a table of subjects by judges; NaN is a missing cell."""
    face, rater = np.nonzero(~np.isnan(table))
    rating = table[face, rater]
    weights = np.ones((1, len(table))) if rows is None else rows
    return one_way(face, rating, weights), two_way(face, rater, rating, weights)


def true_reliability(judgements, truth):
    return float(np.corrcoef(judgements.groupby("filename")["rating"].mean(), truth)[0, 1] ** 2)


def test_the_table_of_shrout_and_fleiss():
    one, two = components(SHROUT_FLEISS)
    assert [float(icc(c, k)[0]) for c in (one, two) for k in (1, 4)] == pytest.approx(
        [0.17, 0.44, 0.29, 0.62], abs=0.005
    )


def test_the_unit_and_the_middle_of_the_scale_do_not_matter():
    expected = icc(components(SHROUT_FLEISS)[1])
    assert icc(components(1000 + 20 * SHROUT_FLEISS)[1]) == pytest.approx(expected)


@pytest.mark.long
def test_components_of_an_incomplete_study_are_unbiased():
    estimates = []
    for seed in range(200):
        judgements, _ = rating_study(seed, faces=40, raters=15, density=0.3)
        face, rater = (pd.factorize(judgements[c])[0] for c in ("filename", "rater"))
        c = two_way(face, rater, judgements["rating"].to_numpy() - 50, np.ones((1, face.max() + 1)))
        estimates.append([c.faces[0], c.noise[0]])
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    assert (np.abs(np.mean(estimates, axis=0) - [100, 49 + 196]) < 3 * error).all()
    assert (error < [4, 5]).all()


def test_a_weight_of_two_is_the_face_twice():
    table = SHROUT_FLEISS.copy()
    table[0, 1] = table[3, 2] = np.nan
    weighted = components(table, np.array([[2.0, 1, 1, 0, 1, 1]]))
    repeated = components(table[[0, 0, 1, 2, 4, 5]])
    for a, b in zip(weighted, repeated, strict=True):
        assert [a.faces[0], a.noise[0], a.k[0]] == pytest.approx([b.faces[0], b.noise[0], b.k[0]])


@pytest.mark.first_cases(2)
@pytest.mark.long
@pytest.mark.parametrize(
    "design",
    [
        {},
        {"density": 0.6},
        {"density": 0.1, "raters": 60},
        {"density": 0.2},
        {"raters": 3},
        {"named": False, "raters": 90, "density": 0.1},
    ],
)
def test_split_half_is_the_squared_correlation_of_the_mean_with_the_truth(design):
    expected, estimates, held = [], [], 0
    for seed in range(8):
        judgements, truth = rating_study(seed, **design)
        reliability = measure_reliability(judgements)
        expected.append(true_reliability(judgements, truth))
        estimates.append([reliability[name]["value"] for name in ("split_half", "icc")])
        held += reliability["split_half"]["low"] < expected[-1] < reliability["split_half"]["high"]
    split_half, coefficient = np.mean(estimates, axis=0)
    assert split_half == pytest.approx(np.mean(expected), abs=0.03)
    # The same raters for every face: their severity cancels in the means, but ICC(2,k) counts it as
    # noise.
    assert coefficient == pytest.approx(np.mean(expected), abs=0.05)
    assert held >= 5  # of 8


def test_who_is_halved_matters_where_raters_differ_in_severity():
    strict = {"faces": 200, "raters": 6, "rater_sd": 20, "noise_sd": 10}
    judgements, truth = rating_study(3, **strict)
    named, unnamed = (
        measure_reliability(judgements),
        measure_reliability(judgements.assign(rater="")),
    )
    assert named["split_half"]["value"] == pytest.approx(
        true_reliability(judgements, truth), abs=0.03
    )
    assert unnamed["split_half"]["value"] < named["split_half"]["value"] - 0.1
    assert (named["icc"]["kind"], unnamed["icc"]["kind"]) == ("ICC(2,k)", "ICC(1,k)")


def test_the_ceiling_is_the_root_and_ratings_a_face_are_a_harmonic_mean():
    judgements, _ = rating_study(0, density=0.5)
    reliability = measure_reliability(judgements)
    for end in ("value", "low", "high"):
        assert reliability["ceiling"][end] == pytest.approx(np.sqrt(reliability["split_half"][end]))
    assert reliability["ratings_per_face"] == pytest.approx(
        len(judgements.groupby("filename")) / (1 / judgements["filename"].value_counts()).sum()
    )
    assert reliability["n_raters"] == 20


def test_ratings_of_nothing_are_not_reliable():
    judgements, _ = rating_study(0, face_sd=0.0, density=0.5)
    reliability = measure_reliability(judgements)
    assert abs(reliability["split_half"]["value"]) < 0.2
    assert reliability["icc"]["low"] < 0 < reliability["icc"]["high"]


@pytest.mark.long
def test_rows_in_another_order_and_another_run_give_the_same():
    for named in (True, False):
        judgements, _ = rating_study(1, faces=60, named=named)
        assert measure_reliability(
            judgements.sample(frac=1, random_state=0)
        ) == measure_reliability(judgements)


@pytest.mark.long
def test_faces_of_one_person_are_drawn_together():
    judgements, _ = rating_study(2, faces=40)
    copies = pd.concat(
        [judgements.assign(filename=judgements["filename"] + f"_{i}") for i in range(10)]
    )
    person = pd.Series(
        [name[:9] for name in sorted(set(copies["filename"]))], sorted(set(copies["filename"]))
    )
    width = {}
    for name, known in (("alone", None), ("together", person)):
        interval = measure_reliability(copies, known)["split_half"]
        width[name] = interval["high"] - interval["low"]
    single = measure_reliability(judgements)["split_half"]
    assert width["together"] == pytest.approx(single["high"] - single["low"], rel=0.15)
    assert width["alone"] < 0.5 * width["together"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda j: None, "there is no ratings.csv"),
        (lambda j: j[:0], "no rating of an accepted face"),
        (lambda j: j.assign(rating=3.0), "all 600 ratings are 3"),
        (
            lambda j: j.assign(rating=j["rater"].str[-2:].astype(float) / 10),
            "the mean rating of all 30 faces is 0.95",
        ),
        (lambda j: j[j["rater"] == "rater_00"], "only one rater"),
        (
            lambda j: j.sample(frac=1, random_state=0).drop_duplicates("filename"),
            "0 faces with two ratings or more, 10 are needed",
        ),
        (lambda j: j[j["filename"].isin(["face_0000", "face_0001"])], "2 faces with two ratings"),
    ],
)
def test_what_cannot_be_known_is_null_and_says_why(change, why):
    judgements, _ = rating_study(0, faces=30)
    reliability = measure_reliability(change(judgements))
    assert why in reliability["why"]
    for name in ("split_half", "icc", "ceiling"):
        assert [reliability[name][end] for end in ("value", "low", "high")] == [None] * 3


@pytest.mark.long
def test_raters_of_one_face_each_are_as_good_as_unnamed():
    for seed in range(20):
        judgements, _ = rating_study(seed, faces=50, raters=6)
        judgements["rater"] = [f"rater_{i}" for i in range(len(judgements))]
        named, unnamed = (measure_reliability(j) for j in (judgements, judgements.assign(rater="")))
        assert named["icc"].pop("kind") == unnamed["icc"].pop("kind")
        assert named["icc"] == pytest.approx(unnamed["icc"], rel=1e-9)
        assert named["split_half"] == pytest.approx(unnamed["split_half"], rel=1e-9)


@pytest.mark.long
@pytest.mark.first_cases(1)
@pytest.mark.parametrize("design", [{}, {"density": 0.4}, {"density": 0.1, "raters": 60}])
def test_what_raters_are_called_does_not_matter(design):
    for seed in range(8):
        judgements, _ = rating_study(seed, faces=40, **design)
        judgements["rating"] = (
            judgements["rating"] / 12
        ).round()  # as on a scale of seven: many are equal
        names = sorted(set(judgements["rater"]))
        renamed = judgements.assign(
            rater=judgements["rater"].map(
                dict(zip(names, np.random.default_rng(seed).permutation(names), strict=True))
            )
        )
        one, other = measure_reliability(judgements), measure_reliability(renamed)
        for name in ("split_half", "icc", "ceiling"):
            kinds = one[name].pop("kind", None), other[name].pop("kind", None)
            assert kinds[0] == kinds[1]
            assert one[name] == pytest.approx(other[name], rel=1e-9)


@pytest.mark.long
def test_the_omi_ratings_have_a_reliability_of_0_90(tmp_path):
    omi = omi_images(1)[0].parents[1]
    import_omi(omi, tmp_path)
    ratings = pd.read_csv(tmp_path / "labels/ratings.csv", keep_default_na=False).rename(
        columns={"image": "filename"}
    )
    reliability = measure_reliability(ratings[ratings["rating_type"] != "repeat"])
    assert reliability["split_half"]["value"] == pytest.approx(0.90, abs=0.01)
    assert reliability["icc"]["value"] == pytest.approx(
        reliability["split_half"]["value"], abs=0.01
    )
