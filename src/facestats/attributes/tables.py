"""The tables of `train_attribute` and `attributes`."""

from __future__ import annotations

from facestats.core.layout import OUT_OF_FOLD
from facestats.core.tables import FILENAME, IMAGE, INTEGER, NUMBER, TEXT, Column, Schema

_SOURCE = Column(
    TEXT,
    "where it comes from: `manual` > `label` > `model` (`pretrained` where you brought it) > "
    "`zeroshot` > `unknown`",
)
_SAID = "what people said; empty where nobody said anything"
_FURTHER = {"<attribute>": "answer of a further attribute"}
_PROBABILITIES = {**_FURTHER, "<attribute>_prob_<class>": "its probability, 0–1"}

ATTRIBUTES = Schema(
    "attributes.parquet",
    "What the models answer, or where there is none the prompts, one row a face.",
    stage="attributes",
    fields={
        "filename": FILENAME,
        "image": IMAGE,
        "gender": Column(TEXT, "class"),
        "ethnicity": Column(TEXT, "class"),
        "age": Column(NUMBER, "years"),
    },
    further=_FURTHER,
)

PREDICTIONS = Schema(
    "attributes_with_predictions.parquet",
    "The same with probabilities.",
    stage="attributes",
    fields=ATTRIBUTES.fields,
    further=_PROBABILITIES,
)

WITH_MANUAL = Schema(
    "attributes_with_manual.parquet",
    "The same answers beside what people said.",
    stage="attributes",
    fields={
        **ATTRIBUTES.fields,
        "gender_said": Column(TEXT, _SAID),
        "ethnicity_said": Column(TEXT, _SAID),
        "age_said": Column(NUMBER, _SAID),
    },
    further={**_FURTHER, "<attribute>_said": "what people said of a further attribute"},
)

CLEAN = Schema(
    "attributes_clean.parquet",
    "What counts, and where it comes from.",
    stage="attributes",
    fields={
        "filename": FILENAME,
        "image": IMAGE,
        "gender_final": Column(TEXT, "the class that counts, from the source beside it"),
        "gender_source": _SOURCE,
        "ethnicity_final": Column(TEXT, "the class that counts, from the source beside it"),
        "ethnicity_source": _SOURCE,
        "age_final": Column(NUMBER, "the age that counts, in years, from the source beside it"),
        "age_source": _SOURCE,
    },
    further={
        "<attribute>_final": "the class or number that counts, of a further attribute",
        "<attribute>_source": _SOURCE.text,
    },
)

FLAGS = Schema(
    "attributes_flags.parquet",
    "Faces to look at, the most serious reason first, within a reason the worst face first.",
    stage="attributes",
    fields={
        "filename": FILENAME,
        "image": IMAGE,
        "reason": Column(
            TEXT,
            "`contradicts_<target>`; a doubt about the picture ([doubts.md](doubts.md)): "
            "`no_face`, `low_confidence`, `several_faces`, `small_face`, `extreme_pose`, "
            "`half_hidden`, `blurred`, `dark`, `bright`, `drawing` or `photograph`; `duplicate`, "
            "`near_duplicate`; `low_confidence_<target>`",
        ),
        "value": Column(NUMBER, "probability, degrees, sharpness or whatever the reason is about"),
    },
    key=("filename", "reason"),
    ordered=True,
)

FAIRFACE = Schema(
    "fairface_label_structure.parquet",
    "The labels of FairFace in the order of its models, for who uses that vocabulary.",
    stage="attributes",
    fields={
        "attribute": Column(TEXT, "`race7`, `race4`, `gender` or `age`"),
        "index": Column(INTEGER, "FairFace's own number of the label, from 0"),
        "label": Column(TEXT, "FairFace's word"),
    },
    key=("attribute", "index"),
)

PREDICTIONS_OUT_OF_FOLD = Schema(
    "out_of_fold.parquet",
    "Answers about train faces by models that never saw them; a number for a regression, "
    "probabilities for a classification.",
    stage="train_attribute",
    fields={"filename": FILENAME},
    further=_PROBABILITIES,
    path=f"{OUT_OF_FOLD}/<target>.parquet",
)
