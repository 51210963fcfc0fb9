"""Models of made-up runs, written as the pipeline's stages write them: what they say of a face
tells which run it was.
"""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from facestats.age.check import AgeCheck, save_check
from facestats.age.tables import AGE_CHECK
from facestats.attributes.model import AttributeModel, model_path
from facestats.clip.encoder import ImageEncoder
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.files import read_json, write_json
from facestats.core.layout import EMBEDDINGS, HALF_EMBEDDINGS, REST_EMBEDDINGS
from facestats.core.tables.matrix import write_matrix
from facestats.faces.tables import FACES
from facestats.geometry.measurements import SIGNS, ZScore
from facestats.geometry.regressor import GeometryModel
from facestats.prompts.zeroshot import PromptClassifier, save_classifiers
from facestats.scores.blending import BlendWeights, save_blend
from facestats.scores.network import Ensemble
from facestats.scores.regressor import Regressor
from facestats.serving.manifest import PARTS, Manifest, files_in, write_manifest
from facestats.serving.parts import Parts

SCALE = (1.0, 7.0)


def write_models(root: Path, run: int, clip: Path, landmarker: Path) -> None:
    """All parts of a run; the working directory must be `root`."""
    models, data = Path("models"), Path("data/processed")
    shutil.copytree(clip, models / "clip")
    shutil.copytree(landmarker, models / "landmarker")
    facts, d = read_json(models / "clip/facestats.json"), ImageEncoder(clip, batch_size=1).dimension
    regressor = Regressor(
        Ensemble(d, []), torch.zeros(d), torch.ones(d), 3.0 + run, 1.0, SCALE, np.linspace(1, 7, 9)
    )
    regressor.save(models / "attractiveness_regressor.pt")
    GeometryModel(
        None, f"run {run}", ZScore(dict.fromkeys(SIGNS, 0.0), dict.fromkeys(SIGNS, 1.0), 0)
    ).save(models / "geometry_regressor.safetensors")
    save_blend(models / "blend.json", BlendWeights(why=f"run {run}"), SCALE)
    write_json(models / "attributes.json", {"targets": ["age"], "drawn": 1.0, "mostly_drawn": True})
    AttributeModel("age", "regression", why=f"run {run}").save(
        model_path(models / "attributes", "age")
    )
    prompts = {
        "gender": PromptClassifier(
            [f"female {run}", f"male {run}"], np.eye(2, d, dtype=np.float32), 1.0
        )
    }
    save_classifiers(models / "zeroshot.npz", prompts, facts["sha256"])
    names = [f"{run}_{i}.jpg" for i in range(3)]
    vectors = np.eye(3, d, dtype=np.float32)
    tables.write(
        pd.DataFrame({"filename": names, "key": names}),
        EMBEDDINGS,
        embeddings_schema(d),
        {"weights_sha256": facts["sha256"]},
        {"embedding": vectors},
    )
    write_matrix(vectors, HALF_EMBEDDINGS, REST_EMBEDDINGS)
    faces = pd.DataFrame({"image": names, "filename": names, "status": "ok"}).reindex(
        columns=list(FACES.columns)
    )
    tables.write(faces, data / "metadata/faces.parquet", FACES)
    tables.write(
        pd.DataFrame({"filename": names, "score_withheld": None, "age_checked": None}),
        data / "metadata/age_check.parquet",
        AGE_CHECK,
    )
    save_check(models / "age_check.json", AgeCheck(18, why=f"run {run}"))
    write_manifest(
        models / "serving.json",
        {
            "crop": {
                "size": 256,
                "margin": 0.3,
                "quality": 95,
                "align": "eyes",
                "on_no_face": "center_crop",
                "max_megabytes": 64,
            },
            "images": "data/raw",
            "clip": {
                "variant": facts["variant"],
                "weights_sha256": facts["sha256"],
                "precision": "float32",
            },
            "trained": True,
            "why": None,
        },
        {
            "landmarker": files_in(models / "landmarker"),
            "clip": files_in(models / "clip"),
            "regressor": [models / "attractiveness_regressor.pt"],
            "geometry": [models / "geometry_regressor.safetensors"],
            "blend": [models / "blend.json"],
            "attributes": [models / "attributes.json"],
            "classifiers": [model_path(models / "attributes", "age")],
            "zeroshot": [models / "zeroshot.npz"],
            "embeddings": [EMBEDDINGS, HALF_EMBEDDINGS, REST_EMBEDDINGS],
            "faces": [data / "metadata/faces.parquet"],
            "age_check": [models / "age_check.json"],
            "ages": [data / "metadata/age_check.parquet"],
        },
    )


def parts_of(**values) -> Parts:
    """Parts that no file holds, of a run whose crops are JPEG files of quality 95.

    Everybody is 40.
    """
    ages = (
        pd.DataFrame(columns=["filename", "score_withheld", "age_checked"]),
        np.empty((0, 32), dtype=np.uint8),
        {},
    )
    adults = SimpleNamespace(predict=lambda embeddings: np.full(len(embeddings), 40.0))
    defaults = {
        "traits": {},
        "age_check": AgeCheck(18, bound=5.0),
        "classifiers": {"age": adults},
        "ages": ages,
        "attributes": {"targets": [], "drawn": 0.0},
    }
    return Parts(
        Manifest({"crop": {"quality": 95, "size": 256}, "clip": {}}, {name: {} for name in PARTS}),
        defaults | values,
    )
