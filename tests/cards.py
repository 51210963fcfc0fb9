"""Runs as the stages would have written them: what the model card and the report are made of."""

from dataclasses import asdict

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from facestats.attributes.model import AttributeModel
from facestats.core.stats.verdict import judge_scores
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.evaluation.attributes import evaluate_attributes
from facestats.evaluation.fairness import evaluate_fairness
from facestats.labels.reliability import measure_reliability
from facestats.report.material import Run
from facestats.scores.blending import BlendWeights
from resources import names, splits, text

_SHARE = {"value": None, "low": None, "high": None, "n": 0}
AGES = {
    "min_age": 18,
    "required": False,
    "faces": 30,
    "checked": {"manual": 0, "label": 0, "copy": 0, "model": 0, "nothing": 30},
    "withheld": dict.fromkeys(("manual", "label", "copy", "model"), 0),
    "model": {
        "used": False,
        "why": "no age model was trained: 0 labelled train faces, 20 are needed",
        "bound": None,
        "n": 0,
        "sure": 0.95,
        "most_adults": 0.2,
    },
    "left_out": {"adults": _SHARE, "minors": _SHARE},
    "test": {"adults": _SHARE, "minors": _SHARE},
}
WEIGHTS = BlendWeights(0.6, 0.4)


def run_of(labels, scores, x, predictions, models, why=None, weights=WEIGHTS) -> Run:
    """What the stages would have written for these faces."""
    filled = labels["rating"].notna()
    split = scores["split"]
    options = {"resamples": 100, "seed": 0}
    scale = (0.0, 100.0) if filled.any() else None
    reliability = measure_reliability(None)
    rated = evaluate_attractiveness(
        x,
        labels["rating"],
        scores["attractiveness_score"],
        split,
        **options,
        person=labels["person"],
        scale=scale,
        reliability=reliability,
        scores=scores,
        weights=weights,
        verdicts={
            name: asdict(verdict)
            for name, verdict in judge_scores(
                scores, labels["rating"], labels["person"], scale
            ).items()
        },
    ).metrics
    return Run(
        attractiveness=rated,
        attributes=evaluate_attributes(models, predictions, labels, split, **options),
        fairness=evaluate_fairness(labels, scores, predictions, models, scale, 10, **options),
        labels={
            "faces": len(labels),
            "labelled": {name: int(labels[name].notna().sum()) for name in labels},
            "classes": {
                name: {k: int(n) for k, n in labels[name].value_counts().sort_index().items()}
                for name in ("gender", "ethnicity")
            },
            "rating": {"scale": [0.0, 100.0], "mean": 50.0, "sd": 14.0, "judgements": 900}
            if filled.any()
            else {"scale": None, "mean": None, "sd": None, "judgements": 0},
            "raters": {"n": 0, "dropped": {}, "suspicious": {}},
            "reliability": reliability,
        },
        training={
            "trained": why is None,
            "why": why,
            "n_train": int((filled & (split == "train")).sum()),
            "n_val": int((filled & (split == "val")).sum()),
            "correction": 0.4,
            "calibration": "linear",
        },
        serving={
            "clip": {
                "variant": "tiny",
                "weights_sha256": "ab" * 32,
                "precision": "float32",
                "dimension": "4",
            },
            "trained": why is None,
            "why": why,
        },
        age_check=AGES,
        images="data/raw",
        drawn=False,
    )


def trained_run(regressor: bool = True) -> Run:
    """300 labelled and rated faces, of which a tenth to a fifth are test faces.

    Without a regressor, the geometric score is measured alone.
    """
    rng, n = np.random.default_rng(0), 300
    x = rng.normal(size=(n, 4)).astype(np.float32)
    gender = np.where(x[:, 1] + 0.5 * rng.normal(size=n) > 0, "male", "female")
    labels = pd.DataFrame(
        {
            "person": text([None] * n),
            "gender": text(gender),
            "ethnicity": text([None] * n),
            "age": np.nan,
            "rating": 50 + 10 * x[:, 0] + 5 * rng.normal(size=n),
        }
    ).set_index(names(n))
    split = splits(n).to_numpy()
    scores = pd.DataFrame(
        {
            "attractiveness_score": 50 + 9 * x[:, 0].astype(float),
            "split": split,
            "out_of_fold": split != "test",
        },
        index=labels.index,
    )
    scores["geometric_score"] = 5 + 0.9 * labels["rating"] + 4 * rng.normal(size=n)
    scores["combined_score"] = WEIGHTS(scores["geometric_score"], scores["attractiveness_score"])
    scores["geometry_zscore"], scores["geometric_out_of_fold"] = (
        rng.normal(size=n),
        split == "train",
    )
    if not regressor:
        scores[["attractiveness_score", "combined_score"]], scores["out_of_fold"] = np.nan, False
    pipeline = make_pipeline(LogisticRegression()).fit(
        x[split == "train"], gender[split == "train"]
    )
    models = {
        "gender": AttributeModel(
            "gender", "classification", pipeline, classes=["female", "male"], n_train=100
        ),
        "age": AttributeModel("age", "regression", why="0 labelled train faces, 20 are needed"),
    }
    shares = pipeline.predict_proba(x)
    predictions = pd.DataFrame(
        {
            "gender": pipeline.predict(x),
            "gender_prob_female": shares[:, 0],
            "gender_prob_male": shares[:, 1],
            "age": np.nan,
        },
        index=labels.index,
    )
    why = None if regressor else "180 rated faces in train and 4 in val; 20 and 5 are needed"
    return run_of(
        labels, scores, x, predictions, models, why, WEIGHTS if regressor else BlendWeights(why=why)
    )


def untrained_run() -> Run:
    """30 faces that nobody labelled."""
    n = 30
    labels = pd.DataFrame(
        {
            "person": text([None] * n),
            "gender": text([None] * n),
            "ethnicity": text([None] * n),
            "age": np.nan,
            "rating": np.nan,
        }
    ).set_index(names(n))
    scores = pd.DataFrame(
        {
            "attractiveness_score": np.nan,
            "split": splits(n).to_numpy(),
            "out_of_fold": False,
            "geometric_score": np.nan,
            "combined_score": np.nan,
            "geometry_zscore": np.nan,
            "geometric_out_of_fold": False,
        },
        index=labels.index,
    )
    models = {"gender": AttributeModel("gender", "classification", why="0 labelled train faces")}
    return run_of(
        labels,
        scores,
        np.eye(n, 4, dtype=np.float32),
        pd.DataFrame({"gender": "unknown"}, index=labels.index),
        models,
        "0 rated faces in train and 0 in val; 20 and 5 are needed",
    )
