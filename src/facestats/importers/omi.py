"""Import of the One Million Impressions faces.

Peterson et al. 2022, doi:10.1073/pnas.2115228119; CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pandas as pd

from facestats.errors import InputError
from facestats.importers.content import Choices, Content, Dataset
from facestats.importers.run import import_dataset
from facestats.importers.tree import Tree, naming, require_filled
from facestats.labels.traits import trait_name

GROUPS = ("asian", "middle-eastern", "hispanic", "islander", "native", "black", "white")
MEANS, JUDGEMENTS = "attribute_means.csv", "attribute_ratings.zip"
UNPACKED = "attribute_ratings.csv"  # as some browsers leave it
MOST_BYTES = 128 << 20  # of a table, unpacked: a million judgements take a sixth
MIDDLE = 50  # of the scale from 0 (feminine) to 100 (masculine)
ATTRACTIVE = "attractive"


def import_omi(source: Path, into: Path, again: bool = False) -> dict[str, int]:
    """Write `into/raw/` (images) and `into/labels/` (labels.csv, ratings.csv, dataset.json).

    `rating` is the mean `attractive` judgement and `age` the mean age as given, `gender` the side
    of the scale's middle on which the mean lies, `ethnicity` the highest of the seven group scales.
    Both folders appear whole or not at all, whenever the import is stopped.

    Parameters
    ----------
    source : Path
        Folder with `images/`, `attribute_means.csv` and `attribute_ratings.zip`. Links in it are
        not followed.
    into : Path
        `raw` and `labels` below it must not exist yet, or be empty.
    again : bool, default False
        Accept folders that hold just what this import would write, as one that was stopped left
        them.

    Returns
    -------
    dict
        The number of `images`, `labels` and `judgements`.

    Raises
    ------
    InputError
        A part of the dataset is missing, damaged or not a regular file, or a target is not empty.
    """
    done = import_dataset(OMI, {}, source, into, again=again)
    return {"images": done.images, "labels": done.labels, "judgements": done.judgements}


def read_omi(tree: Tree, choices: Choices) -> Content:
    """One Million Impressions: mean ratings and single judgements of the chosen traits."""
    unpacked = UNPACKED in tree.files and JUDGEMENTS not in tree.files
    for part in ("images", MEANS, UNPACKED if unpacked else JUDGEMENTS):
        if not (tree.top / part).exists():
            raise InputError(
                f"{tree.top} is not the OMI dataset: {part} is missing "
                f"(expected images/, {MEANS} and {JUDGEMENTS})"
            )
    with tree.folder("images"):  # a folder, and no link to one
        entries = sorted({*tree.files, *tree.folders})
    images = [path for path in entries if path.startswith("images/") and path.count("/") == 1]
    photos = {path.removeprefix("images/"): path for path in images if path.endswith(".jpg")}
    traits = choices.traits or (ATTRACTIVE,)
    with naming(tree.top / MEANS, "the OMI dataset"):
        means = _table(tree.read(MEANS, MOST_BYTES), tree.top / MEANS)
        labels = _labels(means, set(photos), traits)
    part = UNPACKED if unpacked else JUDGEMENTS
    with naming(tree.top / part, "the OMI dataset"):
        data = tree.read(part, MOST_BYTES)
        every = _table(data if unpacked else _unpack(data), tree.top / part)
        judgements = _judgements(every, set(labels["image"]), traits)
    content = Content(photos, labels, judgements, (0.0, 100.0), trait_name(traits[0]))
    judged = {*judgements["trait"]} if _named(traits) else {*traits}
    if missing := [name for name in traits if name not in judged]:
        content.notes.append(f"no single judgements of {', '.join(missing)}: means alone")
        if traits[0] in missing:  # else the judgements of another trait would be `rating`
            content.ratings = None
    content.leave_out("a photo without a row of means", {*photos} - {*labels["image"]})
    return content


def _table(data: bytes, path: Path) -> pd.DataFrame:
    columns = data.partition(b"\n")[0].count(b",") + 1
    rows = data.count(b"\n") + data.count(b"\r")
    require_filled(path, columns, rows, rows + data.count(b","))
    return pd.read_csv(io.BytesIO(data), dtype={"stimulus": "str"})


def _labels(means: pd.DataFrame, images: set[str], traits: tuple[str, ...]) -> pd.DataFrame:
    """`labels.csv` for the existing photos; the mean of each chosen trait is a column."""
    means = means[(means["stimulus"] + ".jpg").isin(images)]
    if unknown := [name for name in traits if name != ATTRACTIVE and name not in [*means][1:]]:
        there = ", ".join(str(name) for name in means if name != "stimulus")
        raise InputError(f"--trait {unknown[0]}: OMI has no such attribute; it has {there}")
    return pd.DataFrame(
        {
            "image": means["stimulus"] + ".jpg",
            "gender": (means["gender"] > MIDDLE).map({True: "male", False: "female"}),
            "ethnicity": means[list(GROUPS)].idxmax(axis=1),
            "age": means["age"],
            "rating": means[traits[0]],
            **({f"rating_{name}": means[name] for name in traits} if _named(traits) else {}),
        }
    ).sort_values("image")


def _named(traits: tuple[str, ...]) -> bool:
    """Whether tables must say which trait was rated: one that is not told is attractiveness."""
    return traits != (ATTRACTIVE,)


def _unpack(data: bytes) -> bytes:
    """The table of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        entry = file.infolist()[0]
        if entry.file_size > MOST_BYTES:
            raise ValueError(f"{entry.filename} is larger than {MOST_BYTES >> 20} MiB")
        with file.open(entry) as table:  # which ends where the archive says
            return table.read()


def _judgements(
    judgements: pd.DataFrame, images: set[str], traits: tuple[str, ...]
) -> pd.DataFrame:
    """`ratings.csv`: judgements of the traits without raters' names; repeats stay marked."""
    judgements = judgements[judgements["attribute"].isin(traits)]
    frame = pd.DataFrame(
        {
            "image": judgements["stimulus"] + ".jpg",
            "rater": "",
            "rating": judgements["rating"],
            "rating_type": judgements["rating_type"],
            **({"trait": judgements["attribute"]} if _named(traits) else {}),
        }
    )
    frame = frame[frame["image"].isin(images)]
    order = ["image", "rating_type", "rating"]
    if not _named(traits):
        return frame.sort_values(order, kind="stable")
    place = frame["trait"].map({name: i for i, name in enumerate(traits)})
    frame = frame.assign(place=place).sort_values(["place", *order], kind="stable")
    return frame.drop(columns="place")


OMI = Dataset(
    "omi",
    "the OMI dataset",
    (re.escape(MEANS),),
    read_omi,
    "CC BY-NC-SA 4.0",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "Peterson et al. 2022, Deep models of superficial face judgments, PNAS, "
    "doi:10.1073/pnas.2115228119",
    "1,004",
    "gender, ethnicity (7), age, ratings 0–100, 34 attributes",
    f"images/, {MEANS} and {JUDGEMENTS}",
    "`attractive` is `rating`; `gender` above 50 is male; `ethnicity` is the highest of seven "
    "scales; `--trait` takes others of the 34 attributes, each as `rating_<trait>`",
    "The faces are made by a computer. Raters have no names. Traits without single judgements are "
    "means alone.",
    has_traits=True,
)
