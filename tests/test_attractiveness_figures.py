"""Pictures of the regressor: drawn from the metrics' own numbers, the same bytes again, and with
the reason where there are none.
"""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc_render import VegaRenderer
from PIL import Image

from facestats.evaluation.score_figures import (
    learning_curve,
    predicted_vs_actual,
    reliability_curve,
)
from resources import ROOT

WHY = {"why": "0 rated test faces, 2 are needed"}
METRIC = {"value": 0.5, "low": 0.3, "high": 0.7, "by_chance": 1.0}
METRICS = {
    "why": None,
    "test": {name: {"pearson": METRIC, "calibration_error": METRIC} for name in ("mlp", "ridge")},
}


def points(n=40):
    rng = np.random.default_rng(0)
    actual = rng.uniform(1, 7, n)
    return pd.DataFrame(
        {"actual": actual, "mlp": actual + rng.normal(size=n), "ridge": actual + rng.normal(size=n)}
    )


def curve():
    middle = np.array([30.0, 50.0, 70.0])
    return pd.DataFrame(
        {
            "bin": [1, 2, 3],
            "n": [10, 10, 11],
            "predicted": middle,
            "actual": middle + 3,
            "low": middle - 5,
            "high": middle + 9,
        }
    )


def losses(folder, values=(1.0, 0.6, 0.7), names=("train", "val")):
    for name in names:
        (folder / "plots/metrics" / name).mkdir(parents=True)
        table = pd.DataFrame({"step": range(1, len(values) + 1), "loss": values})
        table.to_csv(folder / f"plots/metrics/{name}/loss.tsv", sep="\t", index=False)
    return folder


def ink(path) -> float:
    """Share of pixels that are not white."""
    with Image.open(path) as image:
        assert not image.info.keys() & {"Software", "Creation Time", "date"}
        return float((np.asarray(image.convert("L")) < 250).mean())


@pytest.mark.long
@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    "draw",
    [
        lambda folder, path: learning_curve(losses(folder / "trained"), path),
        lambda folder, path: predicted_vs_actual(points(), METRICS, path),
        lambda folder, path: reliability_curve(curve(), METRICS, path),
    ],
)
def test_pictures_are_the_same_bytes_again(tmp_path, draw):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert ink(tmp_path / "a.png") > 0.02


@pytest.mark.parametrize(
    "draw",
    [
        lambda folder, path: learning_curve(folder / "nowhere", path),
        lambda folder, path: predicted_vs_actual(points()[:0], WHY, path),
        lambda folder, path: reliability_curve(curve()[:0], WHY, path),
    ],
)
def test_without_figures_the_picture_says_why(tmp_path, draw):
    draw(tmp_path, tmp_path / "picture.png")
    assert 0.001 < ink(tmp_path / "picture.png") < 0.05


@pytest.mark.long
def test_a_constant_model_and_one_face_are_drawn(tmp_path):
    undefined = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "by_chance": 0.0}
    metrics = {"why": None, "test": {"mlp": {"pearson": undefined, "calibration_error": METRIC}}}
    predicted_vs_actual(points(2).assign(mlp=4.0, ridge=np.nan), metrics, tmp_path / "a.png")
    lonely = curve()[:1].assign(low=np.nan, high=np.nan)
    reliability_curve(lonely, metrics, tmp_path / "b.png")
    assert ink(tmp_path / "a.png") > 0.01
    assert ink(tmp_path / "b.png") > 0.01


def test_a_pretrained_model_has_no_curve_of_val(tmp_path):
    learning_curve(losses(tmp_path, names=("train",)), tmp_path / "train.png")
    assert ink(tmp_path / "train.png") > 0.02


def test_dvcs_scatter_plot_has_a_panel_a_model_and_the_diagonal():
    """As `dvc plots show` renders it: what people said across, each model in a panel of its own."""
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    plot = next(
        entry["predicted against actual"] for entry in plots if "predicted against actual" in entry
    )
    (x,), (y,) = plot["x"].values(), plot["y"].values()
    shown = [
        {
            "actual": "20.5",
            name: "30",
            "dvc_inferred_y_value": "30",
            "field": name,
            "rev": "workspace",
        }
        for name in y
    ]
    labels = {key: plot[key] for key in ("x_label", "y_label", "title")}
    filled = VegaRenderer(
        shown,
        "predicted",
        template=str(ROOT / plot["template"]),
        x=x,
        y="dvc_inferred_y_value",
        **labels,
    ).get_filled_template()
    assert "<DVC" not in json.dumps(filled)
    assert {
        step["as"]: step["calculate"] for step in filled["transform"] if "calculate" in step
    } == {
        "said": "toNumber(datum['actual'])",
        "predicted": "toNumber(datum['dvc_inferred_y_value'])",
    }
    assert filled["facet"]["column"]["field"] == "field"
    diagonal, faces = (layer["encoding"] for layer in filled["spec"]["layer"])
    assert diagonal["x"]["field"] == diagonal["y"]["field"] == "rating"
    assert (faces["x"]["field"], faces["y"]["field"]) == ("said", "predicted")
