"""The table of `preprocess`."""

from __future__ import annotations

import pyarrow as pa

from facestats.core.landmarks import N_LANDMARKS
from facestats.core.tables import FLOAT, IMAGE, INTEGER, TEXT, Column, Schema

FACES = Schema(
    "faces.parquet",
    "One row an image, those that were left out too, with the reason.",
    stage="preprocess",
    fields={
        "image": IMAGE,
        "filename": Column(
            TEXT,
            "name of the crop in `data/processed/preproc/`; empty where the image was left out",
        ),
        "sha256": Column(
            TEXT,
            "of the photo's bytes; empty where it was not read: no permission, too large, a video",
        ),
        "status": Column(TEXT, "`ok` or `rejected`"),
        "reason": Column(TEXT, "why the image was left out; empty where it was not"),
        "width": Column(INTEGER, "of the photo, pixels, turned as its EXIF orientation says"),
        "height": Column(INTEGER, "of the photo, pixels, turned likewise"),
        "face_count": Column(
            INTEGER, "the largest face, which was used, and those larger than a third of it"
        ),
        "confidence": Column(FLOAT, "of the face detector, 0–1"),
        "presence": Column(FLOAT, "of the face mesh: how sure it is that this is a face, 0–1"),
        "box": Column(
            pa.list_(FLOAT, 4), "the face in the photo, pixels: left, top, right, bottom"
        ),
        "landmarks": Column(
            pa.list_(FLOAT, N_LANDMARKS * 3),
            "468 points of MediaPipe's face mesh, x y z one after the other, as fractions of the "
            "crop",
        ),
        "yaw": Column(FLOAT, "head turned to a side, degrees; above 0 to the image's right"),
        "pitch": Column(FLOAT, "head raised, degrees; above 0 looks up"),
        "roll": Column(FLOAT, "head tilted, degrees; above 0 clockwise"),
        "sharpness": Column(
            FLOAT,
            "fine against coarse detail inside the face (without landmarks, of the whole crop); "
            "below 0.013 it is blurred",
        ),
        "brightness": Column(
            FLOAT, "mean luma inside the face (without landmarks, of the whole crop), 0–1"
        ),
        "occlusion": Column(
            FLOAT,
            "how likely it is that something hides a part of the face, 0–1; empty without "
            "landmarks",
        ),
        "drawing": Column(
            FLOAT,
            "how likely it is that the face is drawn, painted or rendered, 0–1; empty without "
            "landmarks; means little of a face below 80 pixels",
        ),
        "bits_per_pixel": Column(
            FLOAT,
            "of the photo's file: the more, the less it is compressed; 0 for a picture of at most "
            "256 colours",
        ),
        "perceptual_hash": Column(
            TEXT,
            "signs of the grey crop's 256 lowest frequencies, as hexadecimal digits; copies "
            "differ in few",
        ),
        "duplicate_of": Column(TEXT, "first face with the same bytes; empty where there is none"),
        "near_duplicate_of": Column(
            TEXT,
            "first face that is a copy of the same picture (resized, edited, mirrored …); empty "
            "where there is none",
        ),
        "copy_group": Column(
            TEXT,
            "best of the face's copies, exact and near: the face itself where it is that, or has "
            "none",
        ),
        "copy_rank": Column(
            INTEGER,
            "its place among its copies: 1 for the best (sharp, large, little compressed), and "
            "for a face without copies",
        ),
        "key": Column(
            TEXT,
            "of the row store: what the row was computed from (bytes, parameters, weights, code, "
            "versions of libraries)",
        ),
    },
)
