"""The One Million Impressions faces (Peterson et al. 2022, doi:10.1073/pnas.2115228119), CC BY-NC-SA 4.0."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pandas as pd

from facestats.core.files import write_csv
from facestats.errors import InputError

GROUPS = ("asian", "middle-eastern", "hispanic", "islander", "native", "black", "white")
MEANS, JUDGEMENTS = "attribute_means.csv", "attribute_ratings.zip"
MIDDLE = 50  # of the scale from 0 (feminine) to 100 (masculine)


def import_omi(source: Path, into: Path) -> dict[str, int]:
    """Write `into/raw/` (images) and `into/labels/` (labels.csv, ratings.csv).

    `rating` is the mean `attractive` judgement and `age` the mean age as given, `gender` the side of the scale's middle
    on which the mean lies, `ethnicity` the highest of the seven group scales.

    Parameters
    ----------
    source : folder with `images/`, `attribute_means.csv` and `attribute_ratings.zip`.
    into : `raw` and `labels` below it must not exist yet, or be empty.

    Returns
    -------
    dict with the number of `images`, `labels` and `judgements`.

    Raises
    ------
    InputError
        A part of the dataset is missing, or there is something at the target already.
    """
    for part in ("images", MEANS, JUDGEMENTS):
        if not (source / part).exists():
            raise InputError(
                f"{source} is not the OMI dataset: {part} is missing "
                f"(expected images/, {MEANS} and {JUDGEMENTS})"
            )
    for target in (into / "raw", into / "labels"):
        if target.exists() and any(target.iterdir()):
            raise InputError(
                f"{target} is not empty; move it away, or choose another place with --into DIR"
            )
    means = pd.read_csv(source / MEANS, dtype={"stimulus": "str"})
    images = sorted(path.name for path in (source / "images").glob("*.jpg"))
    means = means[(means["stimulus"] + ".jpg").isin(images)]
    labels = pd.DataFrame(
        {
            "image": means["stimulus"] + ".jpg",
            "gender": (means["gender"] > MIDDLE).map({True: "male", False: "female"}),
            "ethnicity": means[list(GROUPS)].idxmax(axis=1),
            "age": means["age"],
            "rating": means["attractive"],
        }
    ).sort_values("image")
    judgements = _judgements(source / JUDGEMENTS, set(labels["image"]))
    (into / "raw").mkdir(parents=True, exist_ok=True)
    (into / "labels").mkdir(parents=True, exist_ok=True)
    for name in images:
        shutil.copyfile(source / "images" / name, into / "raw" / name)
    write_csv(into / "labels/labels.csv", labels)
    write_csv(into / "labels/ratings.csv", judgements)
    return {"images": len(images), "labels": len(labels), "judgements": len(judgements)}


def _judgements(archive: Path, images: set[str]) -> pd.DataFrame:
    """Single judgements of `attractive`; repeats by the same rater stay marked, the raters are not identified."""
    with zipfile.ZipFile(archive) as file, file.open(file.namelist()[0]) as table:
        judgements = pd.read_csv(table, dtype={"stimulus": "str"})
    judgements = judgements[judgements["attribute"] == "attractive"]
    frame = pd.DataFrame(
        {
            "image": judgements["stimulus"] + ".jpg",
            "rater": "",
            "rating": judgements["rating"],
            "rating_type": judgements["rating_type"],
        }
    )
    return frame[frame["image"].isin(images)].sort_values(
        ["image", "rating_type", "rating"], kind="stable"
    )
