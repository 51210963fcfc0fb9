"""What each table and each of its columns holds, in words: docs/tables.md is made of it (`python docs/reference.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from facestats.core import tables
from facestats.core.tables import Schema

METADATA = "data/processed/metadata"


@dataclass(frozen=True)
class Table:
    """A table: its `schema`, its `path` in the project, the `stage` that writes it, what it holds, and the columns that may follow."""

    schema: Schema
    path: str
    stage: str
    text: str
    further: tuple[str, ...] = ()


_measured = "<measurement>"
_answers, _probabilities, _said = "<attribute>", "<attribute>_prob_<class>", "<attribute>_said"
_resolved = ("<attribute>_final", "<attribute>_source")


def _in_metadata(schema: Schema, stage: str, text: str, *further: str) -> Table:
    return Table(schema, f"{METADATA}/{schema.name}", stage, text, further)


TABLES = (
    _in_metadata(
        tables.FINAL,
        "finalize",
        "All that you can filter by, one row a face.",
        *_resolved,
        _measured,
    ),
    _in_metadata(
        tables.FACES,
        "preprocess",
        "One row an image, those that were left out too, with the reason.",
    ),
    Table(
        tables.embeddings_schema(384),
        "data/processed/embeddings/embeddings_clip.parquet",
        "embed",
        "One embedding a face. Its width is the variant's: 384 for `tiny`. The file's own metadata says variant, revision, precision, "
        "dimension and the weights' sha256.",
    ),
    _in_metadata(
        tables.LABELS,
        "labels",
        "What the label files say, by hand or not, one row a face. The file's own metadata says the ends of the raters' scale.",
        "<column>",
        "<column>_source",
    ),
    _in_metadata(tables.SPLITS, "split", "Who is trained on, one row a face."),
    _in_metadata(tables.ZEROSHOT, "zeroshot", "What prompts say, one row a face.", _probabilities),
    _in_metadata(
        tables.ATTRIBUTES,
        "attributes",
        "What the models answer, or where there is none the prompts, one row a face.",
        _answers,
    ),
    _in_metadata(
        tables.PREDICTIONS, "attributes", "The same with probabilities.", _answers, _probabilities
    ),
    _in_metadata(
        tables.WITH_MANUAL,
        "attributes",
        "The same answers beside what people said.",
        _answers,
        _said,
    ),
    _in_metadata(tables.CLEAN, "attributes", "What counts, and where it comes from.", *_resolved),
    _in_metadata(
        tables.FLAGS,
        "attributes",
        "Faces to look at, the most serious reason first, within a reason the worst face first.",
    ),
    _in_metadata(
        tables.FAIRFACE,
        "attributes",
        "The labels of FairFace in the order of its models, for who uses that vocabulary.",
    ),
    _in_metadata(
        tables.AGE_CHECK,
        "age_check",
        "Whose age was checked, and who gets no score, one row a face.",
    ),
    _in_metadata(
        tables.GEOMETRY,
        "geometry",
        "Measurements and the geometric score's prediction, one row a face.",
        _measured,
    ),
    _in_metadata(
        tables.WITH_META,
        "geometry",
        "`attributes_clean.parquet` with head pose and measurements.",
        *_resolved,
        _measured,
    ),
    _in_metadata(
        tables.SCORES_OUT_OF_FOLD,
        "train_attractiveness",
        "Ratings as predicted by models that never saw the face's own, of the faces that were trained on.",
    ),
    Table(
        tables.PREDICTIONS_OUT_OF_FOLD,
        "data/interim/out_of_fold/<target>.parquet",
        "train_attribute",
        "Answers about train faces by models that never saw them; a number for a regression, probabilities for a classification.",
        (_answers, _probabilities),
    ),
    _in_metadata(tables.SCORES, "score", "The scores, one row a face."),
    _in_metadata(
        tables.SCORES_WITH_ATTRIBUTES,
        "score",
        "The scores beside `attributes_clean.parquet`.",
        *_resolved,
    ),
    _in_metadata(
        tables.WITH_CLUSTERS, "clusters", "`attributes_clean.parquet` with clusters.", *_resolved
    ),
    Table(
        tables.MEMBER_LANDMARKS,
        "data/interim/members/<composite>/faces/landmarks.parquet",
        "select",
        "What drawing a composite needs of its members besides their crops.",
    ),
)

_sources = "where it comes from: `manual` > `label` > `model` (`pretrained` where you brought it) > `zeroshot` > `unknown`"
COLUMNS = (
    {
        "filename": "name of the face: its crop in `data/processed/preproc/`",
        "image": "path of the photo below `data.images`",
        "sha256": "of the photo's bytes; empty where it was not read: no permission, too large, a video",
        "status": "`ok` or `rejected`",
        "reason": "why the image was left out; empty where it was not",
        "width": "of the photo, pixels, turned as its EXIF orientation says",
        "height": "of the photo, pixels, turned likewise",
        "face_count": "the largest face, which was used, and those larger than a third of it",
        "confidence": "of the face detector, 0–1",
        "presence": "of the face mesh: how sure it is that this is a face, 0–1",
        "box": "the face in the photo, pixels: left, top, right, bottom",
        "landmarks": "468 points of MediaPipe's face mesh, x y z one after the other, as fractions of the crop",
        "yaw": "head turned to a side, degrees; above 0 to the image's right",
        "pitch": "head raised, degrees; above 0 looks up",
        "roll": "head tilted, degrees; above 0 clockwise",
        "sharpness": "fine against coarse detail inside the face (without landmarks, of the whole crop); below 0.013 it is blurred",
        "brightness": "mean luma inside the face (without landmarks, of the whole crop), 0–1",
        "occlusion": "how likely it is that something hides a part of the face, 0–1; empty without landmarks",
        "drawing": "how likely it is that the face is drawn, painted or rendered, 0–1; empty without landmarks; means little of a face below 80 pixels",
        "doubts": "what is doubtful about the picture, as in `attributes_flags.parquet`, `, ` between; composites leave such faces out; empty where nothing is",
        "bits_per_pixel": "of the photo's file: the more, the less it is compressed; 0 for a picture of at most 256 colours",
        "perceptual_hash": "signs of the grey crop's 256 lowest frequencies, as hexadecimal digits; copies differ in few",
        "duplicate_of": "first face with the same bytes; empty where there is none",
        "near_duplicate_of": "first face that is a copy of the same picture (resized, edited, mirrored …); empty where there is none",
        "copy_group": "best of the face's copies, exact and near: the face itself where it is that, or has none",
        "copy_rank": "its place among its copies: 1 for the best (sharp, large, little compressed), and for a face without copies",
        "key": "of the row store: what the row was computed from (bytes, parameters, weights, code, versions of libraries)",
        "embedding": "CLIP's image embedding, at length 1",
        "person": "who it is, if the label files say so; faces of one person stay in one split",
        "gender": "class",
        "ethnicity": "class",
        "age": "years",
        "rating": "mean of the human ratings, on the raters' scale",
        "rating_n": "number of ratings behind the mean",
        "rating_sd": "standard deviation of these ratings",
        "rating_source": "where the rating comes from: `manual` or `label`",
        "split": "`train`, `val`, `test`, or `excluded` (a copy of a face that the labels give to another person, of another split)",
        "frontal": "whether the head is turned little enough (yaw 15°, pitch 13°) for measurements to be compared",
        "geometry_zscore": "mean of the z-scores of symmetry and nearness to the golden ratio, to be compared with",
        "geometric_raw": "rating predicted from the face's shape, on the raters' scale",
        "geometric_out_of_fold": "whether the geometric score was predicted by a model that never saw the face's rating",
        "cluster": "number of the cluster; 0 is the largest",
        "pc1": "first principal component of the embedding",
        "pc2": "second principal component of the embedding",
        "fold": "the fold that the face was left out of training with",
        "attractiveness_raw": "rating predicted from the embedding, on the raters' scale",
        "attractiveness_score": "the same, 0–100: the holistic score",
        "attractiveness_pct": "share of the reference distribution that is below it, 0–1",
        "attractiveness": "its decile, 1–10",
        "geometric_score": "score of the face's shape (with `geometry.appearance` also its pixels), 0–100",
        "combined_score": "mean of geometric and holistic score by `score.weights`, 0–100",
        "out_of_fold": "whether the holistic score was predicted by a model that never saw the face's rating",
        "score_withheld": "why the face gets no score, for it may be under `score.min_age`; empty where that is not so",
        "age_checked": "what its age was checked by: `manual`, `label`, `copy` (the label of a copy of the picture) or `model`; empty where nothing could tell",
        "value": "probability, degrees, sharpness or whatever the reason is about",
        "attribute": "`race7`, `race4`, `gender` or `age`",
        "index": "FairFace's own number of the label, from 0",
        "label": "FairFace's word",
        "<attribute>": "answer of a further attribute",
        "<attribute>_prob_<class>": "its probability, 0–1",
        "<attribute>_said": "what people said of a further attribute",
        "<attribute>_final": "what counts, of a further attribute",
        "<attribute>_source": _sources,
        "<measurement>": "one column each for the measurements at the end of this page",
        "<column>": "further column of labels.csv, as text",
        "<column>_source": "where the label comes from: `manual` or `label`",
    }
    | {
        f"{name}_final": f"what counts: {what}"
        for name, what in (("gender", "class"), ("ethnicity", "class"), ("age", "years"))
    }
    | {f"{name}_source": _sources for name in ("gender", "ethnicity", "age")}
    | {
        f"{name}_said": "what people said; empty where nobody said anything"
        for name in ("gender", "ethnicity", "age")
    }
)
OF_TABLE = {  # where a column's text is another than elsewhere
    (
        tables.FACES.name,
        "filename",
    ): "name of the crop in `data/processed/preproc/`; empty where the image was left out",
    (
        tables.FLAGS.name,
        "reason",
    ): "`contradicts_<target>`; a doubt about the picture ([doubts.md](doubts.md)): `no_face`, `low_confidence`, "
    "`several_faces`, `small_face`, `extreme_pose`, `half_hidden`, `blurred`, `dark`, `bright`, `drawing` or `photograph`; "
    "`duplicate`, `near_duplicate`; `low_confidence_<target>`",
    (tables.LABELS.name, "gender"): "class that people said",
    (tables.LABELS.name, "ethnicity"): "class that people said",
    (tables.LABELS.name, "age"): "years that people said",
    (tables.LABELS.name, "gender_source"): "`manual` or `label`",
    (tables.LABELS.name, "ethnicity_source"): "`manual` or `label`",
    (tables.LABELS.name, "age_source"): "`manual` or `label`",
    (
        tables.SCORES_OUT_OF_FOLD.name,
        "attractiveness_raw",
    ): "rating predicted by the models that were trained without this fold",
}


def describe(table: Table, column: str) -> str:
    """What a column holds.

    Raises
    ------
    KeyError
        Nobody has said it: the text is missing here.
    """
    return OF_TABLE.get((table.schema.name, column)) or COLUMNS[column]
