"""Prompts of `tiny` answer about photographs only where labels show four of five right."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facestats.attributes.resolution import predict_attributes, resolve, target_kinds
from facestats.attributes.zeroshot import (
    MEASURED,
    doubts_on_photographs,
    thresholds_on_photographs,
    zeroshot_models,
)
from facestats.core.doubts import are_photographs, mostly_drawn
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import TINY
from facestats.core.ranges import in_range
from facestats.prompts.zeroshot import PromptClassifier, is_tiny
from facestats.serving.models import Models
from models_of_runs import parts_of
from resources import encode, names

CLASSES = {"gender": ["female", "male"], "age": ["18-29", "60-80"], "freckles": ["with", "without"]}


def prompts(on_photographs=None):
    """Prompts that read the probability of their first class off the embedding's first number."""
    answer = {
        name: PromptClassifier(classes, np.float32([[1, 0], [-1, 0]]), 1.0)
        for name, classes in CLASSES.items()
    }
    return zeroshot_models(answer, {"age": "regression"}, on_photographs=on_photographs)


def faces(sure) -> np.ndarray:
    """Embeddings whose first class has these probabilities."""
    sure = np.asarray(sure)
    return np.stack([np.log(sure / (1 - sure)) / 2, np.zeros(len(sure))], axis=1).astype(np.float32)


NOTHING = pd.DataFrame(index=range(2))


def answers(sure, photographs, thresholds):
    models = prompts(thresholds)
    return predict_attributes(names(len(sure)), faces(sure), models, np.asarray(photographs))[0]


def test_of_photographs_gender_is_said_where_it_is_sure_and_nothing_else():
    thresholds = thresholds_on_photographs(
        prompts(), np.zeros((2, 2), np.float32), NOTHING, np.array([True, True])
    )
    assert thresholds == {"gender": MEASURED["gender"], "age": np.inf, "freckles": np.inf}
    answer = answers([0.99, 0.97, 0.01, 0.99], [True, True, True, False], thresholds)
    assert answer["gender"].tolist() == ["female", "unknown", "male", "female"]
    assert answer["freckles"].tolist() == ["unknown"] * 3 + ["with"]
    assert answer["age"].isna().tolist() == [True, True, True, False]


def test_another_clip_answers_about_photographs_as_about_drawings():
    assert answers([0.7, 0.6], [True, True], None).equals(answers([0.7, 0.6], [False, False], None))
    assert answers([0.7], [True], None)["freckles"].tolist() == ["with"]


def test_what_is_unknown_has_no_source():
    thresholds = {"gender": 0.98, "age": np.inf, "freckles": np.inf}
    models = prompts(thresholds)
    attributes, _ = predict_attributes(names(2), faces([0.99, 0.6]), models, np.ones(2, dtype=bool))
    _, clean = resolve(
        attributes,
        pd.DataFrame(),
        target_kinds(models),
        {name: m.source for name, m in models.items()},
    )
    assert clean["gender_source"].tolist() == ["zeroshot", "unknown"]
    assert clean["age_source"].tolist() == clean["freckles_source"].tolist() == ["unknown"] * 2


def labelled(right_from: float, n: int = 60):
    """Photographs of `freckles: with` at least as sure as `right_from`, `without` below."""
    sure = np.linspace(0.51, 0.99, n)
    return faces(sure), pd.DataFrame(
        {
            "freckles": np.where(sure >= right_from, "with", "without"),
            "age": np.where(sure >= right_from, 20.0, 70.0),
        }
    )


def threshold(embeddings, labels, photographs=None):
    return thresholds_on_photographs(
        prompts(),
        embeddings,
        labels,
        np.ones(len(labels), dtype=bool) if photographs is None else photographs,
    )


def test_labels_that_show_better_let_prompts_answer_from_where_they_are_right():
    answer = threshold(*labelled(0.7))
    assert 0.55 < answer["freckles"] < 0.7  # 4 of 5 of those above are right, also those below 0.7
    assert answer["age"] == pytest.approx(answer["freckles"])  # within the range that is said
    assert threshold(*labelled(0.5))["freckles"] == pytest.approx(0.51)
    assert threshold(*labelled(0.97))["freckles"] == np.inf  # too few that are right


def test_labels_can_silence_gender_too():
    embeddings, labels = labelled(0.7)
    assert threshold(embeddings, labels.assign(gender="male"))["gender"] == np.inf


def test_an_answer_that_is_always_given_is_not_right_for_being_common():
    """90 of 100 wear no glasses, and prompts say that of all but 10 random ones."""
    rng = np.random.default_rng(0)
    sure = np.where(np.arange(100) < 90, 0.05, 0.95) + rng.normal(0, 0.01, 100)
    labels = pd.DataFrame({"freckles": np.where(rng.permutation(100) < 90, "without", "with")})
    assert threshold(faces(sure), labels)["freckles"] == np.inf


def test_few_labels_and_labels_of_drawings_show_nothing():
    embeddings, labels = labelled(0.5)
    assert threshold(embeddings[:19], labels.iloc[:19])["freckles"] == np.inf
    assert threshold(embeddings, labels, np.arange(60) < 10)["freckles"] == np.inf
    other_words = labels.assign(freckles="yes")
    assert threshold(embeddings, other_words)["freckles"] == np.inf


def test_the_doubt_names_what_is_said_what_is_not_and_the_way_out():
    doubts = doubts_on_photographs({"gender": 0.98, "age": np.inf, "glasses": np.inf}, 60)
    assert doubts["zeroshot"] == (
        "prompts of tiny, which was trained on drawings, say little about 60 photographs "
        "(gender: answered where it was right at least four times out of five, else unknown; age, "
        "glasses: unknown); label some faces, or set clip.variant to a CLIP that was "
        "trained on photographs"
    )
    assert set(doubts) == {"zeroshot", "gender", "age", "glasses"}
    assert doubts_on_photographs({"gender": 0.98}, 0) == doubts_on_photographs({}, 60) == {}


def test_an_age_in_a_range_counts_to_the_next_birthday():
    assert in_range(
        np.array([18, 29.9, 30, 60, 99]), ["18-29", "18-29", "18-29", "60+", "60+"]
    ).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("drawn", "expected"), [(False, [True, True, False, True]), (True, [True, False, False, True])]
)
def test_what_is_neither_for_sure_is_what_most_faces_of_the_project_are(drawn, expected):
    assert (
        are_photographs(pd.DataFrame({"drawing": [0.001, 0.8, 0.95, np.nan]}), drawn).tolist()
        == expected
    )


def test_a_project_is_one_of_drawings_by_its_median():
    assert mostly_drawn(
        pd.DataFrame({"drawing": [0.01, 0.2, 0.3, np.nan]})
    )  # small drawings, of which none is one for sure
    assert not mostly_drawn(pd.DataFrame({"drawing": [0.9, 0.001, 0.03]}))
    assert not mostly_drawn(pd.DataFrame({"drawing": [np.nan]}))


JPEG = encode(Image.new("RGB", (8, 8)), "JPEG")


@pytest.mark.parametrize("drawing", [0.0, 1.0])
def test_one_photo_is_answered_as_the_table_is_and_a_warning_says_so(tmp_path, drawing):
    class Photo(Models):
        attribute_models = property(lambda self: prompts(thresholds))

        def doubts(self, crop):
            return []

        encoder = SimpleNamespace(encode=lambda pictures: faces([0.9]))

        def crop(self, image):
            return SimpleNamespace(facts=lambda: {"drawing": drawing}, jpeg=lambda quality: JPEG)

    thresholds = {"gender": 0.98, "age": np.inf, "freckles": np.inf}
    parts = parts_of(
        attributes={"targets": [], "drawn": 0.0, "doubts": doubts_on_photographs(thresholds, 7)}
    )
    answer = Photo(tmp_path, parts.manifest.facts, parts).attributes("photo.jpg")
    assert [answer[name] for name in ("gender", "age", "freckles")] == (
        ["female", pytest.approx(28.15), "with"] if drawing else ["unknown", None, "unknown"]
    )
    assert [text.startswith("prompts of tiny") for text in answer["warnings"]] == (
        [] if drawing else [True]
    )
    assert ("age_bucket" in answer) == bool(drawing)


def test_tiny_is_known_by_its_weights():
    assert is_tiny(sha256_file(TINY / "model.safetensors"))
    assert not is_tiny("ab" * 32)
