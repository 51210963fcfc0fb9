"""The user's own classifiers in the place of trained ones: calibrated, measured, checked."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from classifiers import WORDS, D, converted, unit
from facestats.attributes.calibration import Calibration
from facestats.attributes.model import AttributeModel
from facestats.attributes.pretrained import load_pretrained, use_pretrained
from facestats.attributes.training import set_threshold
from facestats.core import tables
from facestats.core.fingerprint import sha256_file
from facestats.errors import ModelError, ParamsError
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS
from facestats.params.project import check_params
from resources import ROOT, names, text


def test_a_pretrained_model_is_calibrated_on_labelled_faces_and_abstains(tmp_path):
    model, (x, y) = converted(tmp_path), unit(2, 300, seed=5)
    labels = text(WORDS[2][y])
    labels.index = names(300)
    labels[:20] = "unknown"
    labels[20:25] = "another"
    answers = model.predict(x)
    trained = use_pretrained(model, x[:200], labels[:200])
    assert isinstance(model.calibration, Calibration)
    assert (model.predict(x) == answers).all()
    assert (len(trained.out_of_fold), list(trained.out_of_fold)) == (
        175,
        ["gender_prob_female", "gender_prob_male"],
    )
    set_threshold(trained, 0.95, labels[:200], x[200:], labels[200:])
    assert 0 < model.abstain_below < 1
    assert model.threshold_from == "100 val faces"
    assert (model.source, model.choices()["penalty_from"], len(model.pretrained)) == (
        "pretrained",
        "pretrained",
        64,
    )


@pytest.mark.long
def test_the_stage_takes_it_in_place_of_training_and_measures_it(tmp_path, monkeypatch, params):
    monkeypatch.chdir(tmp_path)
    n, files = 200, [f"f{i:03}.jpg" for i in range(200)]
    x, y = unit(2, n, seed=5)
    split = np.resize(["train", "val", "test"], n)
    tables.write(
        pd.DataFrame(
            {
                "image": files,
                "filename": files,
                "sha256": [f"{i:064}" for i in range(n)],
                "status": "ok",
                "copy_group": files,
                "copy_rank": 1,
            }
        ).reindex(columns=[c for c in FACES.columns if c != "box"]),
        "faces.parquet",
        FACES,
        vectors={"box": np.zeros((n, 4))},
    )
    tables.write(
        pd.DataFrame({"filename": files, "gender": WORDS[2][y]}).reindex(
            columns=list(LABELS.columns)
        ),
        "labels.parquet",
        LABELS,
    )
    tables.write(pd.DataFrame({"filename": files, "split": split}), "splits.parquet", SPLITS)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel(), pa.float32()), D)
    pq.write_table(
        pa.table({"filename": files, "embedding": vectors, "key": files}), "embeddings.parquet"
    )
    converted(tmp_path)
    (tmp_path / "data/pretrained").mkdir(parents=True)
    (tmp_path / "clf.safetensors").rename(tmp_path / "data/pretrained/gender_clf.safetensors")
    params["attributes"]["targets"]["gender"]["pretrained"] = (
        "data/pretrained/gender_clf.safetensors"
    )
    stage = runpy.run_path(str(ROOT / "stages/train_attribute.py"))
    output = stage["main"](
        check_params(params),
        stage["StageItem"]("gender"),
        *map(
            Path,
            (
                "embeddings.parquet",
                "faces.parquet",
                "labels.parquet",
                "splits.parquet",
                "models",
                "oof",
                "metrics",
            ),
        ),
    )
    assert output == "pretrained, calibrated on 67 train faces, measured on 66 test faces"
    model = AttributeModel.load(Path("models/gender_clf.safetensors"))
    assert (model.target, model.source, model.n_train, model.classes) == (
        "gender",
        "pretrained",
        0,
        ["female", "male"],
    )
    measured = json.loads(Path("metrics/gender.json").read_text())
    right = (model.predict(x) == WORDS[2][y])[split == "test"].mean()
    assert (measured["test"]["n"], measured["test"]["accuracy"]) == (66, pytest.approx(right))
    assert measured["pretrained_sha256"] == sha256_file("data/pretrained/gender_clf.safetensors")


def test_dvc_watches_the_folder_of_pretrained_models():
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train_attribute"]["do"]
    assert {"data/pretrained", "${lib}/attributes", "${lib}/core"} <= set(stage["deps"])
    assert (ROOT / "data/pretrained/README.md").is_file()


def test_without_labels_its_own_probabilities_count(tmp_path):
    model = converted(tmp_path)
    trained = use_pretrained(model, np.empty((0, D)), text([]))
    set_threshold(trained, 0.9, text([]), np.empty((0, D)), text([]))
    assert (model.calibration, model.abstain_below) == (None, 0.9)


def test_a_pretrained_model_that_does_not_fit_is_named(tmp_path):
    model = converted(tmp_path, ["F", "M"])
    with pytest.raises(
        ModelError,
        match=r"the model says F, M, the labels say female, male; convert it again with --classes",
    ):
        use_pretrained(model, unit(2)[0], text(WORDS[2][unit(2)[1]]))
    for kind, dimension, expected in (
        ("regression", D, "is a classification, but"),
        ("classification", 512, "24 dimensions, but this CLIP variant gives 512"),
    ):
        with pytest.raises(ModelError, match=expected):
            load_pretrained(tmp_path / "clf.safetensors", "gender", kind, dimension)
    with pytest.raises(ModelError, match=r"none\.safetensors: no such file"):
        load_pretrained(tmp_path / "none.safetensors", "gender", "classification", D)
    with pytest.raises(ModelError, match=r"is no \.safetensors file"):
        load_pretrained(tmp_path / "clf.pkl", "gender", "classification", D)


@pytest.mark.parametrize(
    "path", ["clf.safetensors", "data/pretrained/../clf.safetensors", "data/pretrained/clf.pkl"]
)
def test_a_pretrained_model_lies_where_dvc_watches(params, path):
    params["attributes"]["targets"]["gender"]["pretrained"] = path
    with pytest.raises(ParamsError, match=r"attributes\.targets\.gender.*pretrained"):
        check_params(params)
    params["attributes"]["targets"]["gender"]["pretrained"] = "data/pretrained/clf.safetensors"
    assert (
        check_params(params).attributes.targets["gender"].pretrained
        == "data/pretrained/clf.safetensors"
    )


@pytest.fixture
def params():
    return yaml.safe_load((ROOT / "params.yaml").read_text())
