"""The combined score of one photo: there, or an error that says why.

The holistic score never takes its place.
"""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facestats.core.stats.verdict import Verdict
from facestats.errors import ImageError, ModelError
from facestats.faces.crop import FaceCrop
from facestats.faces.quality import HeadPose
from facestats.scores.blending import BlendWeights, load_blend, load_verdicts, save_blend
from facestats.serving.models import Models
from facestats.serving.parts import TraitModels
from models_of_runs import parts_of

SCALE, WEIGHTS = (1.0, 7.0), BlendWeights(0.6, 0.4)


class Geometry:
    """A geometric model that rates every face 4.6, a score of 60, and keeps its arguments."""

    def __init__(self, trained=True):
        self.trained, self.why = (
            trained,
            None if trained else "3 rated faces with landmarks in train; 20 are needed",
        )

    def predict(self, landmarks, faces):
        self.arguments = landmarks, list(faces)
        return np.full(len(landmarks), 4.6)


class Crops(Models):
    """Models that are given crops for photos."""

    def crop(self, image):
        return image

    def doubts(self, crop):
        return (
            []
            if crop.landmarks is not None
            else [SimpleNamespace(text="no face found", reason="no_face")]
        )


def models_with(weights=WEIGHTS, verdicts=None, geometry=None, **values):
    """Models whose holistic score is 20 (a rating of 2.2)."""
    clip = SimpleNamespace(encode=lambda faces: np.zeros((len(faces), 4), np.float32))
    regressor = SimpleNamespace(
        predict=lambda x: np.full(len(x), 2.2), scale=SCALE, reference=np.linspace(1, 7, 9)
    )
    parts = parts_of(
        **{
            "clip": clip,
            "regressor": regressor,
            "geometry": geometry or Geometry(),
            "blend": ((weights, SCALE), verdicts or {}),
        }
        | values
    )
    return Crops(Path(), parts.manifest.facts, parts)


def crop(landmarks=True) -> FaceCrop:
    rgb = np.asarray(Image.linear_gradient("L").convert("RGB"))
    if not landmarks:
        return FaceCrop(rgb, 256, 256, face_count=0)
    shape = np.random.default_rng(0).random((468, 3)).astype(np.float32)
    return FaceCrop(
        rgb, 256, 256, 1, 0.9, 1.0, np.array([0, 0, 200, 200], np.float32), shape, HeadPose(0, 0, 0)
    )


def test_a_score_that_says_nothing_says_so_about_each_photo_that_has_it():
    verdicts = {
        "holistic": Verdict("says nothing", "the holistic score says nothing: reasons"),
        "geometric": Verdict("not shown", "the geometric score is not shown …"),
        "combined": Verdict("says something", None),
    }
    models = models_with(verdicts={name: asdict(verdict) for name, verdict in verdicts.items()})
    assert models.score(crop())["warnings"] == [
        verdicts["holistic"].text,
        verdicts["geometric"].text,
    ]
    assert models.score(crop(landmarks=False))["warnings"][0] == verdicts["holistic"].text
    assert (
        verdicts["geometric"].text not in models.score(crop(landmarks=False))["warnings"]
    )  # it has no geometric score


def test_the_blend_is_by_the_weights_of_the_file(tmp_path):
    models = models_with()
    score = models.score(crop())
    assert (score["score"], score["geometric"]) == pytest.approx((20, 60))
    assert score["combined"] == pytest.approx(0.6 * 60 + 0.4 * 20)
    assert score["warnings"] == []
    assert models.combined_score(crop()) == score["combined"]
    save_blend(tmp_path / "blend.json", BlendWeights(0.25, 0.75, True, 40), SCALE)
    models = models_with(
        blend=(load_blend(tmp_path / "blend.json"), load_verdicts(tmp_path / "blend.json"))
    )
    assert models.combined_score(crop()) == pytest.approx(30)


def test_the_geometric_model_sees_the_landmarks_and_the_jpeg_that_the_pipeline_keeps():
    models, face = models_with(), crop()
    models.score(face)
    landmarks, jpegs = models.geometry.arguments
    assert np.array_equal(landmarks, face.landmarks[None])
    assert jpegs == [
        face.jpeg(95)
    ]  # decoded pixels would not do: the table's are decoded at a smaller size


def test_without_a_geometric_model_it_is_an_error_with_the_way_out():
    models = models_with(geometry=Geometry(trained=False))
    with pytest.raises(
        ModelError,
        match=r"no geometric model was trained \(3 rated faces.*dvc repro.*score_image gives the "
        "holistic",
    ):
        models.combined_score(crop())
    score = models.score(crop())
    assert (score["geometric"], score["combined"]) == (None, None)
    assert score["score"] == pytest.approx(20)
    assert [w for w in score["warnings"] if "no geometric model was trained (3 rated faces" in w]


def test_a_photo_whose_middle_is_used_has_no_geometry():
    models = models_with()
    with pytest.raises(ImageError, match="no face was found"):
        models.combined_score(crop(landmarks=False))
    score = models.score(crop(landmarks=False))
    assert (score["geometric"], score["combined"]) == (None, None)
    assert len(score["warnings"]) == 2


def test_weights_that_could_not_be_learned_leave_the_geometric_score():
    models = models_with(
        BlendWeights(learned=True, n_val=9, why="9 rated val faces have both scores")
    )
    with pytest.raises(ModelError, match=r"9 rated val faces have both scores; see score\.weights"):
        models.combined_score(crop())
    score = models.score(crop())
    assert score["geometric"] == pytest.approx(60)
    assert score["combined"] is None
    assert "9 rated val faces" in score["warnings"][0]


def test_without_a_regressor_it_is_the_regressors_error():
    models = models_with(
        geometry=Geometry(trained=False),
        regressor=ModelError("no attractiveness model was trained"),
    )
    with pytest.raises(ModelError, match="no attractiveness model was trained"):
        models.combined_score(crop())


def test_further_traits_stand_beside_the_main_score():
    regressor = SimpleNamespace(
        predict=lambda x: np.full(len(x), 5.2), scale=SCALE, reference=np.linspace(1, 7, 9)
    )
    doubt = {"holistic": {"text": "the holistic score says nothing"}, "geometric": {"text": "no"}}
    calm = TraitModels(regressor, Geometry(), WEIGHTS, SCALE, doubt)
    kind = TraitModels(None, Geometry(trained=False), BlendWeights(why="no"), SCALE, doubt)
    models = models_with(traits={"calm": calm, "kind": kind})
    result = models.score(crop())
    assert result["traits"]["calm"] == {
        "raw": 5.2,
        "score": pytest.approx(70),
        "pct": pytest.approx(0.7, abs=0.06),
        "decile": 7,
        "geometric": pytest.approx(60),
        "combined": pytest.approx(64),
    }
    assert set(result.traits["kind"].to_dict().values()) == {None}
    assert [text for text in result.warnings if text.startswith(("calm", "kind"))] == [
        "calm: the holistic score says nothing",
        "calm: no",
    ]
    assert "traits" not in models_with().score(crop())
