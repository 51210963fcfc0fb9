"""Results with named fields, which still answer to the keys of a dict."""

import json

import pytest

from facestats.serving.types import Attribute, Attributes, CompositeFacts, Score

SCORE = {
    "raw": 4.5,
    "score": 58.3,
    "pct": 0.7,
    "decile": 8,
    "geometric": None,
    "combined": None,
    "withheld": None,
    "age_checked": "model",
    "warnings": ["no combined score"],
}
ATTRIBUTES = {
    "gender": "female",
    "gender_source": "model",
    "gender_probabilities": {"female": 0.9, "male": 0.1},
    "age": 31.0,
    "age_source": "model",
    "glasses": None,
    "age_bucket": "30-39",
    "warnings": [],
}
FACTS = {
    "n": 2,
    "members": ["a.jpg", "b.jpg"],
    "note": "few faces",
    "left_out": {"no_face": ["c.jpg"]},
    "flagged": {},
    "copies_left_out": 0,
    "rating": None,
    "render": {"align": "none"},
    "sharpness": None,
    "filter": {"gender": "female"},
    "matched": {"all": 9, "gender": 3},
}


def attributes():
    return Attributes(
        {
            "gender": Attribute("female", "model", {"female": 0.9, "male": 0.1}),
            "age": Attribute(31.0, "model"),
            "glasses": Attribute(None),
        },
        "30-39",
    )


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Score(**SCORE), SCORE),
        (attributes(), ATTRIBUTES),
        (CompositeFacts(**FACTS), {"built": True, "why": None, "relaxed": []} | FACTS),
    ],
)
def test_a_result_reads_like_the_dict_that_it_was(result, expected):
    assert result == expected
    assert expected == result
    assert result != expected | {"warnings": ["other"]}
    assert list(result) == list(expected)
    assert len(result) == len(expected)
    assert {**result} == dict(result.items()) == result.to_dict() == expected
    assert json.loads(json.dumps(result.to_dict())) == expected
    assert all(key in result for key in expected)
    assert "ethnicity" not in result
    assert result.get("ethnicity", "not asked") == "not asked"
    with pytest.raises(KeyError, match="ethnicity"):
        result["ethnicity"]


def test_fields_have_names():
    score = Score(**SCORE)
    assert score.score == score["score"] == 58.3
    assert score.age_checked == "model"
    assert attributes().targets["gender"].value == "female"
    assert attributes().age_bucket == "30-39"
    assert CompositeFacts(**FACTS).left_out["no_face"] == ["c.jpg"]
    scored = CompositeFacts(**FACTS, scores={"holistic": {"value": 50.0}})
    assert scored.to_dict()["scores"] == scored["scores"] == {"holistic": {"value": 50.0}}


def test_a_result_is_not_changed():
    with pytest.raises(AttributeError):
        Score(**SCORE).score = 100
    with pytest.raises(TypeError):
        Score(**SCORE)["score"] = 100
