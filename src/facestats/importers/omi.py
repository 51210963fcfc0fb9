"""Import of the One Million Impressions faces.

Peterson et al. 2022, doi:10.1073/pnas.2115228119; CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from facestats.core.files import csv_text
from facestats.errors import InputError
from facestats.machine.output import one_line

GROUPS = ("asian", "middle-eastern", "hispanic", "islander", "native", "black", "white")
MEANS, JUDGEMENTS = "attribute_means.csv", "attribute_ratings.zip"
MOST_BYTES = 128 << 20  # of a table, unpacked: a million judgements take a sixth
MIDDLE = 50  # of the scale from 0 (feminine) to 100 (masculine)


def import_omi(source: Path, into: Path, again: bool = False) -> dict[str, int]:
    """Write `into/raw/` (images) and `into/labels/` (labels.csv, ratings.csv).

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
    for part in ("images", MEANS, JUDGEMENTS):
        if not (source / part).exists():
            raise InputError(
                f"{source} is not the OMI dataset: {part} is missing "
                f"(expected images/, {MEANS} and {JUDGEMENTS})"
            )
    if not again:
        for target in (into / "raw", into / "labels"):
            _refuse_filled(target)
    with _open_folder(source) as dataset, _open_folder(source / "images") as folder:
        images = sorted(name for name in os.listdir(folder) if name.endswith(".jpg"))
        with _open_file(dataset, MEANS, source) as file, _naming(source / MEANS):
            labels = _labels(file, images)
        with _open_file(dataset, JUDGEMENTS, source) as file, _naming(source / JUDGEMENTS):
            judgements = _judgements(file, set(labels["image"]))
        with _replacing_folders(into, again) as folders:
            (folders["labels"] / "labels.csv").write_bytes(csv_text(labels).encode())
            (folders["labels"] / "ratings.csv").write_bytes(csv_text(judgements).encode())
            for name in images:
                with (
                    _open_file(folder, name, source / "images") as photo,
                    (folders["raw"] / name).open("wb") as copy,
                ):
                    shutil.copyfileobj(photo, copy)
    return {"images": len(images), "labels": len(labels), "judgements": len(judgements)}


@contextmanager
def _replacing_folders(into: Path, again: bool) -> Iterator[dict[str, Path]]:
    """Temporary folders `labels` and `raw`, which take their places when they are complete."""
    targets = {part: (into / part).resolve() for part in ("labels", "raw")}
    temporary = {part: to.with_name(f".importing-{to.name}") for part, to in targets.items()}
    _remove(temporary)  # of an import that was stopped
    try:
        for folder in temporary.values():
            folder.mkdir(parents=True)
        yield temporary
        for part, target in targets.items():
            if not (again and _same_files(temporary[part], target)):
                _refuse_filled(target)
                temporary[part].replace(target)
    finally:
        _remove(temporary)


def _refuse_filled(target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        raise InputError(
            f"{target} is not empty; move it away, or choose another place with --into DIR"
        )


def _remove(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)


def _same_files(one: Path, other: Path) -> bool:
    """Whether two folders of files hold the same names and bytes."""
    names = sorted(os.listdir(one))
    return (
        other.is_dir()
        and sorted(os.listdir(other)) == names
        and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    )


@contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    """A folder's descriptor: files opened by it lie in it, whatever happens to the path."""
    no_link = os.O_NOFOLLOW if path.name == "images" else 0  # the user may name the dataset by one
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | no_link)
    except NotADirectoryError:  # which a link is, too
        raise InputError(
            f"{path} is not a folder, or a link to one; put the folder itself there"
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _open_file(folder: int, name: str, shown: Path) -> Iterator[BinaryIO]:
    """Open a regular file of a folder: a link could lead to any file, and a device has no end."""
    irregular = (
        f"{shown / name} is not a regular file (a link, a folder, a pipe or a device); "
        "put the file itself there, or remove it"
    )
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise InputError(irregular) from None
        error.filename = str(shown / name)
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(irregular)
    with open(descriptor, "rb") as file:
        yield file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what a damaged table or archive can raise into an error that names it."""
    try:
        yield
    except (OSError, MemoryError):  # of the machine
        raise
    except Exception as error:  # zipfile, zlib and pandas have many
        raise InputError(
            f"{path} is damaged, or not that of the OMI dataset ({type(error).__name__}: "
            f"{one_line(str(error))[:200]}); get it again"
        ) from None


def _labels(file: BinaryIO, images: list[str]) -> pd.DataFrame:
    """`labels.csv` for the existing photos."""
    if os.fstat(file.fileno()).st_size > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES >> 20} MiB")
    means = pd.read_csv(file, dtype={"stimulus": "str"})
    means = means[(means["stimulus"] + ".jpg").isin(images)]
    return pd.DataFrame(
        {
            "image": means["stimulus"] + ".jpg",
            "gender": (means["gender"] > MIDDLE).map({True: "male", False: "female"}),
            "ethnicity": means[list(GROUPS)].idxmax(axis=1),
            "age": means["age"],
            "rating": means["attractive"],
        }
    ).sort_values("image")


def _judgements(archive: BinaryIO, images: set[str]) -> pd.DataFrame:
    """`ratings.csv`: judgements of `attractive` without raters' names; repeats stay marked."""
    with zipfile.ZipFile(archive) as file:
        entry = file.infolist()[0]
        if entry.file_size > MOST_BYTES:
            raise ValueError(f"{entry.filename} is larger than {MOST_BYTES >> 20} MiB")
        with file.open(entry) as table:  # which ends where the archive says
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
