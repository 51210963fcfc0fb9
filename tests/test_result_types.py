"""Results with named fields, which still answer to the keys of a dict."""

import json

import pytest

from facestats.serving.types import Attribute, Attributes, Score

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
    ("result", "expected"), [(Score(**SCORE), SCORE), (attributes(), ATTRIBUTES)]
)
def test_a_result_reads_like_the_dict_that_it_was(result, expected):
    assert result == expected
    assert expected == result
    assert result != expected | {"warnings": ["other"]}
    assert list(result) == list(expected)
    assert len(result) == len(expected)
    assert {**result} == dict(result.items()) == result.to_dict() == expected
    assert json.loads(json.dumps(result.to_dict())) == expected
    assert "warnings" in result
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


def test_a_result_is_not_changed():
    with pytest.raises(AttributeError):
        Score(**SCORE).score = 100
    with pytest.raises(TypeError):
        Score(**SCORE)["score"] = 100
