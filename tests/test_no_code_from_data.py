"""No loader of the library unpickles: not what it wrote itself, and not what somebody put in its
place.
"""

import json
import pickle
import struct
import sys

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.numpy import save

from clips import random_clip_that_reads, weights
from facestats.attributes.model import AttributeModel
from facestats.attributes.training import train_classifier, train_regression
from facestats.checkpoints.variants import fetch_clip
from facestats.clip.encoder import ImageEncoder
from facestats.clip.load import load_encoder
from facestats.core import tables
from facestats.core.model_files import read_model, write_model
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import FaceStatsError, ModelError
from facestats.faces.landmarks import Landmarker
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import GeometryModel, features, load_geometry
from facestats.geometry.training import train_pipeline
from facestats.pairs.built import read_composite
from facestats.params.project import load_params
from facestats.prompts.text import TextEncoder
from facestats.prompts.zeroshot import PromptClassifier, load_classifiers, save_classifiers
from facestats.rows.store import RowStore
from facestats.scores.blending import BlendWeights, load_blend, load_verdicts, save_blend
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import load_regressor
from rated_shapes import made_up
from resources import ROOT, blobs, landmarker_dir

D = 10  # of the regressor `served`
SHA = "0" * 64
COLUMNS = {"key": pa.string(), "embedding": pa.list_(pa.float32(), 4)}
_unpickled: list[str] = []
_watching = [False]


def _hook(event: str, arguments: tuple) -> None:
    if _watching[0] and event == "pickle.find_class":
        _unpickled.append(".".join(map(str, arguments)))


sys.addaudithook(_hook)  # there is no way to remove one: it looks only while a test watches


@pytest.fixture
def no_unpickling(monkeypatch):
    """Any unpickling fails; what a pickle names is noted even where the failure is caught."""

    def refuse(*_, **__):
        _unpickled.append("a reader of pickles")
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(joblib, "load", refuse)
    _unpickled.clear()
    _watching[0] = True
    yield
    _watching[0] = False
    assert _unpickled == []


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def attribute_model() -> AttributeModel:
    x, labels = blobs({"cat": 20, "dog": 20})
    return train_classifier("pet", x, labels, 5, 1.0).model


@pytest.fixture(scope="module")
def geometry() -> GeometryModel:
    landmarks, _, ratings = made_up(40, 1)
    pipeline, _ = train_pipeline(features(landmarks, None, None), ratings)
    return GeometryModel(pipeline, None, fit_zscore(measure(landmarks)), None, 40)


@pytest.fixture
def written(tmp_path, served, geometry):
    """One good file of each kind, by kind, with its loader."""
    attribute_model().save(tmp_path / "pet_clf.safetensors")
    train_regression("age", blobs({"cat": 40})[0], pd.Series(np.arange(40.0)), 5, 1.0).model.save(
        tmp_path / "age_clf.safetensors"
    )
    geometry.save(tmp_path / "geometry.safetensors")
    save_classifiers(
        tmp_path / "zeroshot.npz",
        {"hat": PromptClassifier(["a", "b"], np.eye(2, 3, dtype=np.float32), 1.0)},
        SHA,
    )
    save_blend(tmp_path / "blend.json", BlendWeights(0.6, 0.4), (1.0, 7.0))
    served.save(tmp_path / "regressor.pt")
    torch.save(
        {"net.0.weight": torch.ones(1, D), "net.0.bias": torch.zeros(1)}, tmp_path / "theirs.pth"
    )
    table = pa.table(
        {
            "filename": ["a.jpg"],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0], pa.float32()), 2),
            "key": ["k"],
        }
    )
    pq.write_table(table, tmp_path / "embeddings.parquet")
    (tmp_path / "built").mkdir()
    facts = {"name": "x", "built": True, "n": 1, "members": ["a.jpg"]}
    (tmp_path / "built/composite.json").write_text(json.dumps(facts))
    Image.new("RGB", (8, 8)).save(tmp_path / "built/composite.jpg")
    np.save(tmp_path / "built/shape.npy", np.zeros((468, 2), np.float32))
    with RowStore(tmp_path / "store", "embed", "a" * 64, COLUMNS) as rows:
        rows.lookup(["k"])
        rows.add({"key": "k", "embedding": np.ones(4, np.float32) / 2})
    return {
        "pet_clf.safetensors": AttributeModel.load,
        "age_clf.safetensors": AttributeModel.load,
        "geometry.safetensors": load_geometry,
        "zeroshot.npz": lambda path: load_classifiers(path, SHA),
        "blend.json": lambda path: (load_blend(path), load_verdicts(path)),
        "regressor.pt": load_regressor,
        "theirs.pth": lambda path: load_pretrained(path, D, (1, 7)),
        "embeddings.parquet": lambda path: (EmbeddingTable(path), tables.read_embeddings(path)),
        "built/shape.npy": lambda path: read_composite(path.parent),
    }


@pytest.mark.long
def test_what_the_library_wrote_is_read_without_unpickling(written, tmp_path, no_unpickling):
    for name, load in written.items():
        assert load(tmp_path / name) is not None
    with RowStore(tmp_path / "store", "embed", "a" * 64, COLUMNS) as rows:
        assert len(rows.lookup(["k"])) == 1
    assert load_params(ROOT / "params.yaml").mlp.epochs
    Landmarker(landmarker_dir())


def test_models_are_written_and_read_by_a_path_in_text(geometry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    attribute_model().save("pet.safetensors")
    assert AttributeModel.load("pet.safetensors").classes == ["cat", "dog"]
    geometry.save("models/geometry.safetensors")
    assert load_geometry("models/geometry.safetensors").n_train == geometry.n_train
    for load in (AttributeModel.load, load_geometry):
        with pytest.raises(ModelError, match=r"^absent\.safetensors: no such model"):
            load("absent.safetensors")


def test_a_clip_is_fetched_and_loaded_without_unpickling(tmp_path, no_unpickling):
    source = random_clip_that_reads(tmp_path / "source")
    state = weights(source)
    (source / "model.safetensors").unlink()
    torch.save(state, source / "pytorch_model.bin")
    facts = fetch_clip(str(source), None, tmp_path / "clip")
    assert isinstance(load_encoder(tmp_path / "clip"), ImageEncoder)
    TextEncoder(tmp_path / "clip", facts["sha256"])


def doctored(kind: str, path, touched) -> None:
    """A file of the kind, with an object in it that touches another file."""
    bad = Payload(touched)
    if kind.endswith((".pt", ".pth")):
        torch.save(
            {
                "format": "facestats-ensemble-1",
                "trained": True,
                "state_dict": bad,
                "net.0.weight": bad,
            },
            path,
        )
    elif kind.endswith(".npz"):
        np.savez(
            path,
            attributes=np.array([bad], dtype=object),
            classes=np.array([bad], dtype=object),
            embeddings=np.zeros((1, 2)),
            logit_scale=1.0,
            weights_sha256=SHA,
        )
    elif kind.endswith(".npy"):
        np.save(path, np.array([bad], dtype=object))
    elif kind.endswith(".parquet"):
        kind = pa.field(
            "embedding",
            pa.list_(pa.float32(), 2),
            metadata={
                "ARROW:extension:name": "arrow.py_extension_type",
                "ARROW:extension:metadata": pickle.dumps(bad),
            },
        )
        vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0], pa.float32()), 2)
        pq.write_table(
            pa.table(
                [pa.array(["a.jpg"]), vectors, pa.array(["k"])],
                schema=pa.schema(
                    [pa.field("filename", pa.string()), kind, pa.field("key", pa.string())]
                ),
            ),
            path,
        )
    else:
        path.write_bytes(pickle.dumps({"model": bad}))


@pytest.mark.long
@pytest.mark.parametrize("way", ["in its own format", "a pickle", "a joblib file"])
def test_a_doctored_file_of_any_kind_is_an_error_and_runs_nothing(written, tmp_path, way, request):
    touched = tmp_path / "touched"
    for name in written:
        if way == "in its own format":
            doctored(name, tmp_path / name, touched)
        elif way == "a pickle":
            (tmp_path / name).write_bytes(pickle.dumps(Payload(touched)))
        else:
            joblib.dump(Payload(touched), tmp_path / name)
    touched.unlink(missing_ok=True)  # `joblib.dump` of nothing but an object may try it out
    request.getfixturevalue("no_unpickling")
    for name, load in written.items():
        if way == "in its own format" and name.endswith(".parquet"):
            load(tmp_path / name)  # a good table: the type that its column names is not looked up
        else:
            with pytest.raises(FaceStatsError):
                load(tmp_path / name)
    assert not touched.exists()


def test_a_model_of_an_earlier_version_is_named_and_not_read(tmp_path, no_unpickling):
    for load, name in ((AttributeModel.load, "gender_clf"), (load_geometry, "geometry_regressor")):
        joblib.dump({"target": "gender"}, tmp_path / f"{name}.joblib")
        with pytest.raises(
            ModelError,
            match=rf"{name}\.joblib beside it is a pickle of an earlier version.*dvc repro",
        ):
            load(tmp_path / f"{name}.safetensors")
        with pytest.raises(
            ModelError, match=rf"{name}\.joblib is a pickle, .*not loaded.*models convert"
        ):
            load(tmp_path / f"{name}.joblib")


# Damage of the model files themselves


def changed(path, facts=None, arrays=None, **header):
    """The file with some of its facts, arrays or header in other words."""
    kind, version = ("facestats attribute", 1) if "clf" in path.name else ("facestats geometry", 2)
    old_facts, old_arrays = read_model(path, kind, version, "")
    content = {"kind": kind, "format": version, "facts": old_facts | (facts or {})} | header
    merged = {
        name: array for name, array in (old_arrays | (arrays or {})).items() if array is not None
    }
    path.write_bytes(save(merged, {"facestats": json.dumps(content)}))


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"kind": "facestats geometry"},
        {"format": 99},
        {"format": None},
        {"facts": {"colour": 1}},
        {"facts": {"target": None}},
        {"facts": {"kind": "poem"}},
        {"facts": {"classes": ["cat"]}},
        {"facts": {"classes": ["cat", "cat"]}},
        {"facts": {"classes": ["cat", "dog", "owl"]}},
        {"facts": {"classes": []}},
        {"facts": {"dimension": 10**12}},
        {"facts": {"dimension": -1}},
        {"facts": {"dimension": 2}},
        {"facts": {"abstain_below": "0"}},
        {"facts": {"estimator": None}},
        {"facts": {"left_out": {"a": "b"}}},
        {"facts": {"calibration": {"slope": 0, "shift": [0, 0]}}},
        {"facts": {"calibration": {"slope": 1, "shift": [0]}}},
        {"facts": {"calibration": [1]}},
        {"facts": {"estimator": {"kind": "os.system", "facts": {}, "parts": []}}},
        {"facts": {"estimator": [1]}},
        {"facts": {"estimator": {"kind": "pipeline", "facts": {}, "parts": []}}},
        {"facts": {"abstain_below": float("nan")}},
        {"facts": {"n_train": 1.5}},
        {"facts": {"n_train": 10**400}},
        {"facts": {"abstain_below": 10**400}},
        {"facts": {"calibration": {"slope": 10**400, "shift": [0, 0]}}},
        {"arrays": {"1/coef": np.zeros((1, 4))}},
        {"arrays": {"1/coef": np.zeros(3)}},
        {"arrays": {"1/coef": np.full((1, 3), np.nan)}},
        {"arrays": {"1/coef": None}},
        {"arrays": {"1/coef": np.zeros((1, 3), np.int64)}},
        {"arrays": {"more": np.zeros(1)}},
        {"arrays": {"0/scale": np.zeros(3)}},
        {"arrays": {"1/coef": np.zeros((1, 3), np.float16)}},
    ],
)
def test_an_attribute_file_that_does_not_fit_together_is_named(tmp_path, change):
    path = tmp_path / "pet_clf.safetensors"
    attribute_model().save(path)
    AttributeModel.load(path)
    changed(path, **change)
    with pytest.raises(
        ModelError,
        match=r"pet_clf\.safetensors is not a facestats attribute of this project \(.*dvc repro",
    ):
        AttributeModel.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"facts": {"trained": False}},
        {"facts": {"zscore": {}}},
        {"facts": {"zscore": None}},
        {"facts": {"n_train": "1"}},
        {"facts": {"more": 1}},
        {"arrays": {"coef": np.zeros(3)}},
        {"arrays": {"shape.mean": np.zeros(2)}},
        {"arrays": {"consensus": None}},
        {"arrays": {"mean_shape": np.zeros((468, 2))}},
        {"arrays": {"mean_shape": np.full((468, 2), 1e9)}},
        {"arrays": {"mean_shape": np.tile([[-1.0, 0], [1, 0]], (234, 1))}},
        {"arrays": {"appearance.mean": np.zeros(3)}},
    ],
)
def test_a_geometry_file_that_does_not_fit_together_is_named(geometry, tmp_path, change):
    geometry.save(tmp_path / "geometry.safetensors")
    changed(tmp_path / "geometry.safetensors", **change)
    with pytest.raises(
        ModelError,
        match=r"geometry\.safetensors is not a facestats geometry of this project \(.*dvc repro "
        "geometry",
    ):
        load_geometry(tmp_path / "geometry.safetensors")


@pytest.mark.long
def test_damaged_bytes_are_an_error_or_the_same_kind_of_model(geometry, tmp_path):
    attribute_model().save(tmp_path / "pet_clf.safetensors")
    geometry.save(tmp_path / "geometry.safetensors")
    rng = np.random.default_rng(0)
    for name, load in (
        ("pet_clf.safetensors", AttributeModel.load),
        ("geometry.safetensors", load_geometry),
    ):
        good = (tmp_path / name).read_bytes()
        size = 8 + struct.unpack("<Q", good[:8])[0]
        for trial in range(200):
            bad = bytearray(good[: rng.integers(len(good))] if trial % 4 == 0 else good)
            for place in rng.integers(0, min(len(bad), size if trial % 2 else len(bad)) or 1, 3):
                if len(bad):
                    bad[place] = rng.integers(256)
            (tmp_path / name).write_bytes(bad)
            try:
                model = load(tmp_path / name)
            except ModelError:
                continue
            assert isinstance(model, AttributeModel | GeometryModel)


def test_a_model_file_is_small_and_nested_little(tmp_path, monkeypatch):
    path = tmp_path / "pet_clf.safetensors"
    write_model(path, "facestats attribute", 1, {}, {})
    monkeypatch.setattr("facestats.core.model_files.MOST", 10)
    with pytest.raises(ModelError, match="bytes, expected 10 at most"):
        AttributeModel.load(path)
    monkeypatch.undo()
    for nested, expected in ((100_000, "facestats attribute"), (1_000_000, "its header has 1000")):
        path.write_bytes(save({}, {"facestats": "[" * nested}))
        with pytest.raises(ModelError, match=expected):
            AttributeModel.load(path)
