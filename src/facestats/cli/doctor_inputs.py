"""Find in a second what would stop a run: folders, DVC's files, label files, `clip.variant`."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from facestats.cli.doctor_locks import cut_off, lost_entries
from facestats.cli.forget_journal import unfinished_command
from facestats.core.layout import PRETRAINED
from facestats.core.photo_files import face_filename, links_out, list_images, printable
from facestats.dvc_files.cache import Finding
from facestats.dvc_files.forms import MOST_YAML, ForeignError, load_yaml, read_regular
from facestats.dvc_files.places import made_by_stages, odd_files
from facestats.errors import FaceStatsError, ImageError, nearest_names, number_of
from facestats.importers.placing import stopped
from facestats.importers.run import CROISSANT, FACTS
from facestats.labels.files import READ, STEMS, find_label_file, unread_files
from facestats.labels.joining import JoinedLabels, join_labels
from facestats.labels.rated_by_hand import HEADER
from facestats.params.project import Params
from facestats.photos.source import hash_photo
from facestats.rows.dvc_cache import find_dvc_cache

SHOWN = 10  # files of a kind named one by one
TABLES = frozenset(
    (
        ".csv",
        ".tsv",
        ".xlsx",
        ".xlsm",
        ".xls",
        ".xlsb",
        ".ods",
        ".numbers",
        ".sav",
        ".json",
        ".jsonl",
        ".parquet",
    )
)
_NO_FILE = "is no regular file (a pipe, a socket or a device); remove it"
ALIKE = 0.78  # least similarity (`difflib`) of a name that may be meant for a label file's


@dataclass
class Inputs:
    """Photos and labels, with their problems.

    Attributes
    ----------
    problems : list of Finding
        What would stop a run, or is lost to it.
    warnings : list of Finding
        What the user should know but need not mend.
    images : list of str or None
        Paths of the photos below the image folder; None if it can't be listed.
    labels : JoinedLabels or None
        As the stage `labels` will join them; None without photos, or if it would refuse them.
    """

    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    images: list[str] | None = None
    labels: JoinedLabels | None = None


def examine_inputs(root: Path, params: Params) -> Inputs:
    """Check everything that can be checked without reading a photo."""
    inputs = Inputs(problems=_problems_for_dvc(root))
    inputs.warnings += [Finding("dvc", *found) for found in lost_entries(root)]
    if line := unfinished_command(root):
        inputs.warnings.append(Finding("forget", line))
    made = made_by_stages(root)
    # The user's own folders; a stage writes its outs anew.
    own = {
        key: value
        for key, value in (("data.images", params.data.images), ("data.labels", params.data.labels))
        if not any(Path(value).is_relative_to(out) for out in made)
    }
    for key, value in own.items():
        inputs.problems += _wrong_folder(root, key, value)
    cache = find_dvc_cache(root)
    for value in (*own.values(), PRETRAINED.as_posix()):
        # `preprocess` refuses such photos; other files may lie elsewhere, as `forget` allows.
        named = inputs.problems if value == own.get("data.images") else inputs.warnings
        for name, message in links_out(root / value, cache and cache.folder).items():
            named.append(Finding("link", message, f"{value}/{printable(name)}"))
    manual = (root / params.data.manual_labels).resolve()
    if not manual.is_relative_to(root.resolve()):
        message = (
            f"data.manual_labels = {params.data.manual_labels} leads out of the project folder to "
            f"{printable(str(manual))}: `labels merge` and `forget` do not write there"
        )
        inputs.warnings.append(Finding("link", message, params.data.manual_labels))
    inputs.problems += _missing_files(root, params)
    images, labels = root / params.data.images, root / params.data.labels
    if images.is_dir() and any(path.is_file() for path in images.rglob("*")):
        try:
            inputs.images = list_images(images)
            inputs.warnings += _ignored(images, inputs.images)
        except FaceStatsError as error:
            inputs.problems.append(Finding("folder", str(error), params.data.images))
    if inputs.images and labels.is_dir() and not inputs.problems:
        _join(inputs, root, params)
    if "data.images" in own and inputs.images:
        inputs.warnings += _fewer_than_known(root, params.data.images)
    if own:
        _name_unread_tables(inputs, root, params)
    return inputs


def _missing_files(root: Path, params: Params) -> list[Finding]:
    """Files of labels and ratings by hand that are not there."""
    files = {
        "manual_labels": "filename,gender,ethnicity,age,rating,person",
        "manual_ratings": ",".join(HEADER),
    }
    return [
        Finding(
            "folder",
            f"data.{key} = {path}: there is no such file; make one with the header line {header}",
            path,
        )
        for key, header in files.items()
        if not (root / (path := getattr(params.data, key))).is_file()
    ]


def _ignored(images: Path, known: list[str]) -> list[Finding]:
    """Files among the photos that .dvcignore keeps out, so that no stage reads them."""
    left_out = sorted({*list_images(images, ignored_too=True)} - {*known})
    return (
        [
            Finding(
                "photo",
                f"{number_of(len(left_out), 'file')} of {images} "
                f"({left_out[0]}{', …' if left_out[1:] else ''}) left out: .dvcignore keeps DVC "
                "from hashing them",
                left_out[0],
            )
        ]
        if left_out
        else []
    )


def folders_left_out(root: Path, params: Params, inputs: Inputs) -> list[Finding]:
    """Folders among the photos that DVC does not look into, so that no stage does."""
    findings = []
    for image in inputs.images or ():
        path = root / params.data.images / image
        if path.is_dir():
            try:
                hash_photo(path, params.preprocess.max_megabytes)
            except ImageError as error:
                findings.append(
                    Finding("photo", f"{_below(path, root)} is left out: {error}", image)
                )
    return findings


def _problems_for_dvc(root: Path) -> list[Finding]:
    problems = [Finding("dvc", *found) for found in cut_off(root)]
    odd = [_below(path, root) for path in odd_files(root)]
    return problems + [Finding("unreadable", f"{path} {_NO_FILE}", path) for path in odd]


def _wrong_folder(root: Path, key: str, value: str) -> list[Finding]:
    folder = root / value
    if not folder.exists():
        return [_not_here(root, key, value)]
    if not folder.is_dir():
        return [Finding("folder", f"{key} = {value} is a file, expected a folder", value)]
    problems = [
        Finding("unreadable", f"{key}: {message}", _below(path, root))
        for path, message in _unreadable(folder)
    ]
    if key == "data.images" and not any(path.is_file() for path in folder.rglob("*")):
        kept = _not_here(root, key, value)
        problems.append(
            kept
            if kept.kind == "kept_back"
            else Finding("folder", f"{key} = {value} is empty; put photos into it", value)
        )
    return problems


def _not_here(root: Path, key: str, value: str) -> Finding:
    """Report a missing folder, which may be under DVC and kept off the remotes."""
    out = _tracked(root, value)
    if out is not None and out.get("push") is False:
        return Finding(
            "kept_back",
            f"{key} = {value}: these files are not here, and {value}.dvc keeps them off every "
            "remote (push: false). Without them, `dvc pull --allow-missing` brings all else, and "
            "`dvc repro --allow-missing` and `dvc exp run --allow-missing` run what comes after "
            f"`preprocess`; for the rest, copy them to {value} from who has them",
            value,
        )
    before = stopped((root / value).with_name("labels"))
    way = (
        f"an import was stopped half way, and {before} has what was there; the same import, or the "
        "next, mends it"
        if before
        else f"`dvc pull` brings it, for {value}.dvc knows it"
        if out is not None
        else f"make it, or `dvc pull`, or set {key}"
    )
    return Finding("folder", f"{key} = {value}: there is no such folder; {way}", value)


def _tracked(root: Path, value: str) -> dict | None:
    """The out in the `.dvc` file of a folder; None without one."""
    try:
        pointer = root / f"{value.rstrip('/')}.dvc"
        return dict(load_yaml(read_regular(pointer, MOST_YAML))["outs"][0])
    except (ForeignError, ValueError, TypeError, KeyError, IndexError):
        return None


def _fewer_than_known(root: Path, value: str) -> list[Finding]:
    """Report missing photos that DVC tracks, as after a pull that failed half-way."""
    expected = (_tracked(root, value) or {}).get("nfiles")
    there = sum(len(files) for _, _, files in os.walk(root / value))
    if not isinstance(expected, int) or there >= expected:
        return []
    return [
        Finding(
            "folder",
            f"{value} holds {there} files, {value}.dvc knows {expected}; `dvc checkout` or `dvc "
            "pull` brings the others back, or, where you removed them, `dvc add "
            f"{shlex.quote(value)}`",
            value,
        )
    ]


def _unreadable(folder: Path) -> list[tuple[Path, str]]:
    """Find files that DVC can't read, each with a message."""
    messages = []
    for base, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = Path(base, name)
            message = None
            if printable(name) != name:
                message = f"{printable(str(path))} has a name that is not valid UTF-8; rename it"
            elif path.is_symlink() and not path.exists():
                target = os.readlink(path)
                what = (
                    "a link to itself"
                    if (path.parent / target).absolute() == path.absolute()
                    else f"a link to nothing ({target})"
                )
                message = f"{path} is {what}; remove it"
            elif not (path.is_file() or path.is_dir()):
                message = f"{path} {_NO_FILE}"
            elif not os.access(path, os.R_OK):
                message = f"{path} can't be read; `chmod u+r` it or remove it"
            if message:
                messages.append((path, message))
    return messages


def _join(inputs: Inputs, root: Path, params: Params) -> None:
    """Join the labels as the stage `labels` will, and collect its errors and warnings."""
    every_image = pd.DataFrame(
        {
            "image": inputs.images,
            "filename": [face_filename(image) for image in inputs.images or ()],
        }
    )
    try:
        inputs.labels = join_labels(
            every_image.drop_duplicates("filename"),
            root / params.data.labels,
            root / params.data.manual_labels,
            params.labels.rating_scale,
            params.labels.drop_raters,
            params.labels.raters,
            params.labels.level,
            params.score.traits,
            root / params.data.manual_ratings,
        )
    except FaceStatsError as error:
        by_hand = (root / params.data.manual_labels, root / params.data.manual_ratings)
        files = [*sorted((root / params.data.labels).iterdir()), *by_hand]
        about = next(
            (_below(path, root) for path in files if str(path) in str(error)), params.data.labels
        )
        inputs.problems.append(Finding("labels", str(error), about))
    else:
        # `_name_unread_tables` names these, with those in other places.
        unread = unread_files(root / params.data.labels, root / params.data.manual_labels)
        inputs.warnings += [
            Finding("labels", warning, params.data.labels)
            for warning in inputs.labels.warnings
            if warning not in unread
        ]


def _name_unread_tables(inputs: Inputs, root: Path, params: Params) -> None:
    """Name tables that look like label files but are not read, for their name, kind or place."""
    folder, photos = root / params.data.labels, root / params.data.images
    try:
        read = {
            path for stem in STEMS if folder.is_dir() and (path := find_label_file(folder, stem))
        }
    except FaceStatsError:
        return  # two files could be meant: `_join` has named that
    here = [
        path
        for path in (sorted(folder.rglob("*")) if folder.is_dir() else [])
        if path.suffix.lower() in TABLES or _nearest_stem(path)
    ]
    photos_too = [
        photos / image
        for image in inputs.images or ()
        if PurePosixPath(image).suffix.lower() in TABLES
    ]
    beside = [
        path
        for place in sorted({folder.parent, photos.parent, root})
        if place.is_dir()
        for path in sorted(place.iterdir())
        if _nearest_stem(path)
    ]
    data = params.data
    manual = [(root / path).resolve() for path in (data.manual_labels, data.manual_ratings)]
    own = {folder / FACTS, folder / CROISSANT}
    for path in dict.fromkeys([*here, *photos_too, *beside]):
        if (
            path in read
            or not path.is_file()
            or path.resolve() in manual
            or path.name.startswith((".", "~$"))
            or path in own
            or _is_template(path)
        ):
            continue
        meant = _nearest_stem(path) or STEMS[0]
        way = (
            f"save it as {meant}.xlsx or {meant}.csv"
            if path.suffix.lower() not in READ
            else "move or rename it"
        )
        message = (
            f"{_below(path, root)} is read by no stage: label files are "
            f"{params.data.labels}/labels.csv and ratings.csv, or .xlsx; {way}, if it has labels"
        )
        (inputs.warnings if read else inputs.problems).append(
            Finding("unread_labels", message, _below(path, root))
        )


def _nearest_stem(path: Path) -> str | None:
    """The label file that a table's name resembles.

    Such as `Lables.csv`, `labels (1).txt`, `ratings-final.ods`.
    """
    if path.suffix.lower() not in {*TABLES, ".txt"}:
        return None
    words = [
        path.stem.lower(),
        re.sub(
            r"[^a-z]",
            "",
            re.sub(r"\b(my|new|old|final|copy)\b", "", path.stem.lower().replace("_", " ")),
        ),
    ]
    return next(
        (near[0] for word in words if (near := nearest_names(word, STEMS, likeness=ALIKE))),
        None,
    )


def _is_template(path: Path) -> bool:
    """Whether a table was written by `labels template`, to be filled in and merged."""
    try:
        with path.open("rb") as file:
            return b"proposed_" in file.read(4096)
    except OSError:
        return False


def _below(path: Path, root: Path) -> str:
    return printable((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
