"""What the model card says of the geometric and the combined score: beside the holistic one, with
intervals, and worse where it is worse.
"""

import copy
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from facestats.core.files import read_json, write_json
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.report.document import render_markdown
from facestats.report.section_crossvalidation import crossvalidated as crossvalidation
from facestats.report.section_fairness import clear_gaps, gaps, groups
from facestats.report.section_scores import scores
from facestats.report.text import measured
from facestats.scores.blending import BlendWeights
from resources import ROOT, splits, text

N = 240
KNOWN = {"ceiling": {"value": 0.95, "low": 0.94, "high": 0.96}}


GIVEN = BlendWeights(0.6, 0.4)


def rated(weights=GIVEN, worth=1.0, geometry=True) -> dict:
    """Metrics, as the stage's file holds them, of faces whose geometric score knows `worth` of what
    the holistic one does not.
    """
    rng = np.random.default_rng(0)
    shared, own, noise = rng.normal(size=(3, N))
    ratings = pd.Series(50 + 8 * shared + 8 * own + 4 * noise)
    scores = pd.DataFrame(
        {
            "attractiveness_score": 50 + 8 * shared,
            "geometric_score": 50 + 8 * worth * own if geometry else np.nan,
            "geometry_zscore": noise if geometry else np.nan,
            "split": splits(N).to_numpy(),
            "out_of_fold": splits(N).to_numpy() != "test",
        }
    )
    scores["combined_score"] = weights(scores["geometric_score"], scores["attractiveness_score"])
    x = rng.normal(size=(N, 4)).astype(np.float32)
    figures = evaluate_attractiveness(
        x,
        ratings,
        scores["attractiveness_score"],
        scores["split"],
        100,
        0,
        person=text([None] * N),
        scale=(0, 100),
        reliability=KNOWN,
        scores=scores,
        weights=weights,
    ).metrics
    with TemporaryDirectory() as folder:
        write_json(Path(folder) / "metrics.json", figures)
        return json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))


def run_of(**metrics) -> SimpleNamespace:
    """A run with as much in it as the sections on scores ask for."""
    return SimpleNamespace(
        labels={"rating": {"scale": [0.0, 100.0]}},
        training={"trained": True},
        metrics=Path("metrics"),
        points={},
        **metrics,
    )


def said(metrics) -> str:
    return render_markdown([scores(run_of(attractiveness=metrics))], Path("docs"))


@pytest.fixture(scope="module")
def better() -> dict:
    return rated()


def test_every_score_has_a_line_with_its_intervals(better):
    card, test = said(better), better["test"]
    for name, called in (
        ("mlp", "holistic score"),
        ("geometric", "geometric score"),
        ("combined", "combined score: 60 % geometric, 40 % holistic"),
        ("ridge", "ridge regression"),
    ):
        line = next(line for line in card.splitlines() if line.startswith(f"| {called} |"))
        assert line.count("(") == 5
        assert measured(test[name]["pearson"]) in line
        assert measured(test[name]["mae"], 1) in line
    learned = better["weights"]["combined_learned"]
    assert (
        f"| … weights learned from {learned['n_val']} val faces: "
        f"{100 * learned['geometric']:.0f} % geometric" in card
    )
    zscore = next(line for line in card.splitlines() if line.startswith("| mean of z-scores"))
    assert zscore.endswith("| – | – | – |")
    assert measured(test["geometry_zscore"]["pearson"]) in zscore


@pytest.mark.long
def test_a_combined_score_that_is_better_or_worse_is_called_so(better):
    assert (
        "The combined score follows the raters better than the holistic score alone: "
        "difference of r " in said(better)
    )
    assert measured(better["test"]["combined"]["minus_mlp"]["pearson"]) in said(better)
    assert "**" not in said(better)
    worse = rated(worth=-1.5)
    assert (
        "**The combined score follows the raters worse than the holistic score alone**: "
        "difference of r −" in said(worse)
    )
    assert "**Its error is larger, beyond chance.**" in said(worse)


def test_what_chance_could_do_is_called_so(better):
    changed = copy.deepcopy(better)
    changed["test"]["combined"]["minus_mlp"]["pearson"] = {
        "value": -0.02,
        "low": -0.08,
        "high": 0.03,
    }
    assert (
        "The combined score has a lower r than the holistic score alone, but on 80 faces "
        "the difference may be due to chance" in said(changed)
    )
    assert "difference of r −0.02 (−0.08 to 0.03)" in said(changed)
    changed["test"]["geometry_zscore"]["pearson"] = {"value": 0.06, "low": -0.1, "high": 0.2}
    assert "r = 0.06 (−0.10 to 0.20), an interval that includes 0." in said(changed)
    changed["test"]["geometry_zscore"]["pearson"] = {"value": 0.26, "low": 0.1, "high": 0.4}
    assert "r = 0.26 (0.10 to 0.40)." in said(changed)


def test_learned_weights_are_the_combined_score_and_60_40_stands_beside_it():
    card = said(rated(BlendWeights(0.5, 0.5, learned=True, n_val=80)))
    assert "| combined score: 50 % geometric, 50 % holistic |" in card
    assert "| … 60 % geometric, 40 % holistic |" in card
    assert "weights learned from" not in card


@pytest.mark.long
@pytest.mark.parametrize("learned", [False, True])
def test_weights_that_leave_the_holistic_score_are_called_so(learned):
    """The difference is rounding, and its interval could leave 0 out."""
    card = said(rated(BlendWeights(0.0, 1.0, learned=learned, n_val=80 * learned)))
    assert (
        "The combined score is the holistic score: the geometric score has no share in it." in card
    )
    assert "The combined score follows" not in card
    assert "The combined score has a" not in card
    assert (
        "A combined score with learned weights is the holistic score: the geometric score "
        "has no share in it." in said(rated(worth=-3.0))
    )


def test_without_geometry_the_card_says_why():
    card = said(
        rated(BlendWeights(why="no face has a geometric score: 3 rated faces"), geometry=False)
    )
    assert (
        "The geometric and the combined score were not measured: no face has a geometric "
        "score: 3 rated faces." in card
    )
    assert "z-score" not in card
    assert "| holistic score |" in card


def test_weights_that_could_not_be_learned_are_told_beside_given_ones(better):
    changed = copy.deepcopy(better)
    changed["weights"]["combined_learned"] |= {
        "geometric": None,
        "holistic": None,
        "why": "9 rated val faces have both scores",
    }
    for metric in changed["test"]["combined_learned"].values():
        metric.update(value=None, low=None, high=None)
    assert (
        "The weights that would fit the ratings best are not measured: 9 rated val faces "
        "have both scores." in said(changed)
    )


def test_60_40_is_shown_where_weights_were_to_be_learned_and_could_not(better):
    changed = copy.deepcopy(better)
    for name in ("combined", "combined_learned"):
        changed["weights"][name] |= {
            "geometric": None,
            "holistic": None,
            "learned": True,
            "why": "9 rated val faces have both scores",
        }
        for key, metric in changed["test"][name].items():
            if key != "minus_mlp":
                metric.update(value=None, low=None, high=None)
    assert (
        "| 60 % geometric, 40 % holistic, in place of weights that could not be learned |"
        in said(changed)
    )
    assert "in place of" not in said(better)


def test_p_is_of_each_scores_own_number_of_permutations():
    """Networks are trained on one in ten."""
    crossvalidated = read_json(ROOT / "metrics/crossvalidated.json")
    run = run_of(crossvalidated=crossvalidated)
    sentence = (
        "p is the share of 199 permutations of the ratings among the persons that give as high"
    )
    assert f"{sentence} an r. By chance" in render_markdown([crossvalidation(run)], Path("docs"))
    crossvalidated["rating"]["mlp"]["by_chance"] |= {"p": 0.05, "permutations": 19}
    card = render_markdown([crossvalidation(run)], Path("docs"))
    assert re.search(r"\| holistic score \|.* ≤ 0\.05 \|", card)
    assert f"{sentence} an r (19 for the holistic score). By chance" in card


def test_scores_that_are_always_the_same_are_not_compared():
    card = said(rated(worth=0.0))
    assert "| geometric score | undefined: always the same |" in card


def test_faces_that_were_left_out_are_counted(better):
    changed = copy.deepcopy(better)
    assert "left out" not in said(changed)
    changed["test"]["n_left_out"] = 4
    assert "4 more are left out" in said(changed)


def test_the_combined_score_has_two_columns_by_group():
    metric = {"value": 1.0, "low": -2.0, "high": 3.0}
    figures = {
        "n": 20,
        **dict.fromkeys(("mean_rating", "mean_score", "bias", "mae", "pearson"), metric),
    }
    combined = {**figures, "bias": {"value": 7.0, "low": 4.0, "high": 9.5}}
    gap = {
        "attribute": "gender",
        "groups": ["female", "male"],
        "value": 5.0,
        "low": 1.0,
        "high": 9.0,
        "compared": 1,
    }
    fairness = {
        "n": 20,
        "min_group": 10,
        "notes": {},
        "why": {"attractiveness": None, "combined_score": None},
        "overall": figures,
        "attractiveness": {"gender": {"female": figures}},
        "combined_overall": {**figures, "n": 18},
        "combined": {"gender": {"female": combined}},
        "largest_gaps": {"combined_bias": gap, "combined_pearson": gap},
    }
    card = render_markdown([groups(run_of(fairness=fairness))], Path("docs"))
    assert "| bias, combined | mean absolute error, combined |" in card
    assert "| 7.0 (4.0 to 9.5) | 1.0 (−2.0 to 3.0) |" in card
    assert "Only 18 of these faces have a combined score." in card
    largest = render_markdown([gaps(run_of(fairness=fairness))], Path("docs"))
    assert (
        "| combined score: bias, points | gender: female above male | 5.0 (1.0 to 9.0) | 1 | yes |"
        in largest
    )
    assert "| combined score: r of score and rating |" in largest
    assert (
        "combined score: bias, points, gender: female above male by 5.0 (1.0 to 9.0)"
        in clear_gaps(fairness)
    )
    without = fairness | {
        "why": {"attractiveness": None, "combined_score": "no landmarks"},
        "combined": {},
    }
    assert "combined |" not in render_markdown([groups(run_of(fairness=without))], Path("docs"))
