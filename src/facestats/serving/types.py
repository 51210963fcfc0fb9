"""Results of the public functions: named fields that can also be read as the keys of a dict."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


class Result(Mapping[str, Any]):
    """A result whose fields are also its keys: `result.score` and `result["score"]` are one value.

    It compares equal to a dict of the same content. `json.dumps` takes `to_dict()`.
    """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The result as a dict of Python's own types, in the order of its keys."""

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())


@dataclass(frozen=True, eq=False)
class TraitScore(Result):
    """The predicted ratings of a face on a further trait; fields as in `Score`."""

    raw: float | None = None
    score: float | None = None
    pct: float | None = None
    decile: int | None = None
    geometric: float | None = None
    combined: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, eq=False)
class Score(TraitScore):
    """The predicted ratings of a face; see `facestats.score_image`.

    Attributes
    ----------
    raw : float or None
        Holistic score in the raters' unit. Like all scores, None where they are withheld.
    score : float or None
        The same from 0 to 100, the ends of the raters' scale.
    pct : float or None
        Share of the reference faces, from 0 to 1, that score lower.
    decile : int or None
        1 to 10, from `pct`.
    geometric : float or None
        0 to 100, from the landmarks and the pixels between them; None without a face or a model.
    combined : float or None
        0 to 100, `geometric` and `score` by `score.weights`; None if one of them is missing.
    withheld : str or None
        Why the face gets no score.
    age_checked : str or None
        What the age was checked by: `manual`, `label`, `copy` or `model`; None if by nothing.
    warnings : list of str
        Doubts about the photo or the scores.
    traits : dict of str to TraitScore
        The further traits of `score.traits`; no key of the dict where there are none.
    """

    withheld: str | None = None
    age_checked: str | None = None
    warnings: list[str] = field(default_factory=list)
    traits: dict[str, TraitScore] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        answer = super().to_dict()
        traits = {name: scores.to_dict() for name, scores in answer.pop("traits").items()}
        return answer | ({"traits": traits} if traits else {})


@dataclass(frozen=True, eq=False)
class CompositeFacts(Result):
    """Facts about a composite, in the `info["facestats"]` of its picture; see `make_composite`.

    Attributes
    ----------
    n : int
        Number of faces in the picture.
    members : list of str
        Their names.
    note : str or None
        A caution: very few faces, or a doubtful filter.
    left_out : dict of str to list of str
        Names by reason: `no_face`, `no_landmarks`, `max_yaw`, `folded`, or a doubt.
    flagged : dict of str to int
        Number of faces left out for each doubt about the picture.
    copies_left_out : int
        Number of faces left out as copies of others.
    rating : dict or None
        Mean human rating of the members: `value`, `low`, `high`, `n`.
    render : dict
        The options of the drawing.
    sharpness : dict or None
        Gradient energy of `warp` and of the plain mean (`none`), and their `ratio`.
    filter : dict or None
        The conditions of `filter_images`, for a pandas frame that it returned.
    matched : dict or None
        Number of faces left after each of them.
    scores : dict or None
        Mean `holistic`, `geometric` and `combined` score, for a frame that has their columns.
    """

    n: int
    members: list[str]
    note: str | None
    left_out: dict[str, list[str]]
    flagged: dict[str, int]
    copies_left_out: int
    rating: dict[str, Any] | None
    render: dict[str, Any]
    sharpness: dict[str, float] | None
    filter: dict[str, Any] | None = None
    matched: dict[str, int] | None = None
    scores: dict[str, dict[str, Any]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The facts as `composite.json` has them, with `scores` where they are known."""
        facts = {"built": True, "why": None, "relaxed": []}
        facts |= {one.name: getattr(self, one.name) for one in fields(self)}
        return facts if self.scores else {k: v for k, v in facts.items() if k != "scores"}


@dataclass(frozen=True)
class Attribute:
    """One attribute of a face.

    Attributes
    ----------
    value : str, float or None
        The class (`unknown` where the model abstains) or the number; None where there is none.
    source : str or None
        `model`, `pretrained` or `zeroshot`; None where there is no model.
    probabilities : dict of str to float, or None
        By class, summing to 1; None of a number.
    """

    value: str | float | None
    source: str | None = None
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Attributes(Result):
    """Attributes of a face; see `facestats.infer_attributes`.

    As a dict it has `<target>`, `<target>_source` and `<target>_probabilities` of each target,
    `age_bucket` and `warnings`, as far as there are any.

    Attributes
    ----------
    targets : dict of str to Attribute
        The attributes by name.
    age_bucket : str or None
        The age as one of FairFace's ranges.
    warnings : list of str
        Doubts about the photo.
    """

    targets: dict[str, Attribute]
    age_bucket: str | None = None
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for name, attribute in self.targets.items():
            answer[name] = attribute.value
            if attribute.source is not None:
                answer[f"{name}_source"] = attribute.source
            if attribute.probabilities is not None:
                answer[f"{name}_probabilities"] = attribute.probabilities
        if self.age_bucket is not None:
            answer["age_bucket"] = self.age_bucket
        return answer | {"warnings": self.warnings}


@dataclass(frozen=True, eq=False)
class Measurements(Result):
    """Measurements of a face; see `facestats.measure_image`.

    As a dict it has each measurement by its name, then `yaw`, `pitch`, `roll`, `frontal` and
    `warnings`.

    Attributes
    ----------
    values : dict of str to float, str or None
        By the name of the column in `geometry.parquet`; None where a measurement is missing or the
        head's pose spoils it.
    yaw, pitch, roll : float or None
        Head pose in degrees; None without a face.
    frontal : bool
        Whether the head is turned little enough for all measurements to be compared.
    warnings : list of str
        Doubts about the photo.
    """

    values: dict[str, float | str | None]
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    frontal: bool = False
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        rest = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "values"}
        return self.values | rest
