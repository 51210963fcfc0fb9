"""The tables of `labels` and `split`."""

from __future__ import annotations

from facestats.core.tables import FILENAME, IMAGE, INTEGER, NUMBER, TEXT, Column, Schema

PREFIX = "rating_"  # of the column of a trait's mean

LABELS = Schema(
    "labels.parquet",
    "Labels from all label files, one row a face. The file's own metadata holds the ends of the "
    "raters' scale.",
    stage="labels",
    fields={
        "filename": FILENAME,
        "image": IMAGE,
        "person": Column(
            TEXT, "who it is, if the label files say; faces of one person stay in one split"
        ),
        "gender": Column(TEXT, "labelled class"),
        "ethnicity": Column(TEXT, "labelled class"),
        "age": Column(NUMBER, "labelled age, years"),
        "rating": Column(NUMBER, "mean of the human ratings, on the raters' scale"),
        "rating_n": Column(INTEGER, "number of ratings behind the mean"),
        "rating_sd": Column(NUMBER, "standard deviation of these ratings"),
        "gender_source": Column(TEXT, "`manual` or `label`"),
        "ethnicity_source": Column(TEXT, "`manual` or `label`"),
        "age_source": Column(TEXT, "`manual` or `label`"),
        "rating_source": Column(TEXT, "where the rating comes from: `manual` or `label`"),
    },
    further={
        "<column>": "further column of labels.csv, as text",
        "rating_<trait>": "mean human rating of a trait, if ratings.csv names traits",
        "<column>_source": "where the label comes from: `manual` or `label`",
    },
)

RATER_GROUPS = Schema(
    "rater_groups.parquet",
    "Mean ratings by groups of raters, such as women and men, one row a face and group; empty if "
    "ratings.csv has no column on raters.",
    stage="labels",
    fields={
        "filename": FILENAME,
        "trait": Column(TEXT, "rated trait; empty for the main one"),
        "column": Column(TEXT, "column of ratings.csv that divides the raters"),
        "group": Column(TEXT, "its value"),
        "rating": Column(NUMBER, "mean of the group's ratings, on the raters' scale"),
        "n": Column(INTEGER, "number of ratings behind the mean"),
    },
    key=("filename", "trait", "column", "group"),
)

SPLITS = Schema(
    "splits.parquet",
    "Who is trained on, one row a face.",
    stage="split",
    fields={
        "filename": FILENAME,
        "split": Column(
            TEXT,
            "`train`, `val`, `test`, or `excluded` (a copy of a face that the labels give to "
            "another person, of another split)",
        ),
    },
)
