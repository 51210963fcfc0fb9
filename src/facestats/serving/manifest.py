"""`models/serving.json`: how to crop a photo, and the sha256 of every file that is served.

The stage `serving` writes it after all others that make models. Files that match it belong to one
run. Its paths are relative to the project folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import SERVING
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.matrix import matrix_of
from facestats.core.tables.parts import table_of
from facestats.errors import InputError, ModelError
from facestats.faces.params import Preprocess
from facestats.faces.tables import FACES
from facestats.machine.faults import fault, is_passing
from facestats.neighbours.params import Index
from facestats.params.errors import explain
from facestats.serving.checks import read_facts

if TYPE_CHECKING:
    from facestats.serving.models import Models

PARTS = (
    "landmarker",
    "clip",
    "regressor",
    "geometry",
    "blend",
    "attributes",
    "classifiers",
    "zeroshot",
    "embeddings",
    "faces",
    "age_check",
    "ages",
    "traits",
)
OF_TWO_RUNS = (
    "a run is under way, or files of two runs are mixed: wait for its end, or `dvc repro`, `dvc "
    "pull` or `dvc checkout`"
)
Identity = tuple[int, ...] | None
MAYBE_EMPTY = frozenset({"classifiers", "traits"})
FURTHER = "traits"  # a manifest without further traits does not name them
# What tells the file of a part from those of others.
ENDINGS = {
    "landmarker": ".tflite",
    "clip": "config.json",
    "geometry": ".safetensors",
    "zeroshot": ".npz",
}
KEYS = {
    "blend": ("geometric", "verdicts"),
    "attributes": ("targets", "drawn"),
    "age_check": ("min_age", "bound"),
}
COLUMNS = {"faces": (FACES, "status"), "ages": (AGE_CHECK, "age_checked")}


class MixedPartsError(ModelError):
    """A file is not the one that the manifest names."""


class Clip(BaseModel):
    """The CLIP model that the other models were trained on."""

    model_config = ConfigDict(extra="allow")
    variant: str
    weights_sha256: str
    precision: str


class Facts(BaseModel):
    """The content of a manifest without the hashes."""

    model_config = ConfigDict(strict=True)
    crop: Preprocess
    images: str
    index: Index = Field(default_factory=Index)
    clip: Clip
    trained: bool
    why: str | None


@dataclass(frozen=True)
class Manifest:
    """The content of `models/serving.json`.

    Attributes
    ----------
    facts : dict
        All but the parts: `crop`, `images`, `index`, `clip`, `trained`, `why`.
    parts : dict of str to dict of str to str
        By name of the part, sha256 by path.
    """

    facts: dict[str, Any]
    parts: dict[str, dict[str, str]]

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """Read the manifest of a project folder.

        Raises
        ------
        ModelError
            It is missing, damaged, by an earlier version, or names a file outside the folder.
        """
        if (root / SERVING).exists() and not (root / SERVING).is_file():
            raise ModelError(f"{root / SERVING} is no file; remove it and run `dvc repro`")
        facts = read_facts(root / SERVING, "clip", "crop", "images", "parts")
        parts = facts.pop("parts")
        if isinstance(parts, dict):
            parts.setdefault(FURTHER, {})
        try:
            checked = Facts.model_validate(facts)
            facts |= {"crop": checked.crop.cutting(), "index": checked.index.model_dump()}
        except ValidationError as error:
            wrong = "; ".join(explain(error.errors(include_url=False), facts, Facts))
            raise ModelError(
                f"{root / SERVING} does not say what a photo needs ({wrong}); run `dvc repro`"
            ) from None
        if (
            not isinstance(parts, dict)
            or set(parts) != set(PARTS)
            or not all(isinstance(files, dict) for files in parts.values())
        ):
            raise ModelError(
                f"{root / SERVING} does not name the parts {', '.join(PARTS)}; another version of "
                "the pipeline wrote it, run `dvc repro`"
            )
        for files in parts.values():
            check_paths(files, root / SERVING)
        empty = sorted(
            name for name, files in parts.items() if not files and name not in MAYBE_EMPTY
        )
        if empty:
            raise ModelError(
                f"{root / SERVING} names no file of the part {empty[0]}; run `dvc repro`"
            )
        return cls(facts, parts)

    def files(self) -> list[str]:
        """The paths of all parts."""
        return [path for files in self.parts.values() for path in files]


def model_facts(regressor: Path, embeddings: Path, half: Path, rest: Path) -> dict[str, Any]:
    """What a manifest says of the models: `clip`, `trained` and `why`.

    Parameters
    ----------
    regressor : Path
        `attractiveness_regressor.pt`.
    embeddings : Path
        `embeddings_clip.parquet`.
    half, rest : Path
        The same as a matrix.

    Returns
    -------
    dict

    Raises
    ------
    FaceStatsError
        One of them is missing or another file.
    """
    # torch takes a second, and who checks a manifest needs none
    from facestats.core.checkpoint_files import read_checkpoint
    from facestats.scores.regressor import load_regressor

    load_regressor(regressor)
    checkpoint, table = read_checkpoint(regressor), EmbeddingTable(embeddings)
    matrix_of(table, half, rest)
    names = ("variant", "revision", "weights_sha256", "precision", "dimension")
    return {
        "clip": {name: table.metadata[name] for name in names},
        "trained": checkpoint["trained"],
        "why": checkpoint.get("why"),
    }


def check_kinds(parts: Mapping[str, Iterable[Path]]) -> None:
    """Check that each part is of its kind, in case two paths of the stage were swapped.

    Parameters
    ----------
    parts : mapping of str to iterable of Path
        The files of each part of `PARTS`.

    Raises
    ------
    InputError
        A part has no file with its ending.
    ModelError
        A JSON file lacks a key of the part.
    TableError
        A table lacks a column of the part.
    """
    for name, ending in ENDINGS.items():
        files = [*parts[name]]
        if not any(file.is_file() and file.name.endswith(ending) for file in files):
            listed = ", ".join(map(str, files[:3])) or "nothing"
            raise InputError(f"{listed}: expected a file *{ending} of the part {name}")
    for name, keys in KEYS.items():
        for file in parts[name]:
            read_facts(file, *keys)
    for name, (schema, column) in COLUMNS.items():
        for file in parts[name]:
            tables.read(file, schema, [column])


def write_manifest(
    path: Path, facts: Mapping[str, Any], parts: Mapping[str, Iterable[Path]]
) -> None:
    """Write the manifest of a run.

    Parameters
    ----------
    path : Path
    facts : mapping
        As in `Manifest`.
    parts : mapping of str to iterable of Path
        The files of each part of `PARTS`, relative to the working directory, which is the project's
        folder.
    """
    hashes = {
        name: {file.as_posix(): sha256_file(file) for file in sorted(parts[name])}
        for name in PARTS
        if name != FURTHER or parts.get(name)
    }
    write_json(path, {**facts, "parts": hashes})


def files_in(folder: Path) -> list[Path]:
    """The files of a part that is a folder, without hidden ones.

    Raises
    ------
    InputError
        It is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of model files")
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    )


def identity(path: Path) -> Identity:
    """Numbers that change when a file does, without reading it; None for no file.

    Raises
    ------
    FaultError
        The disk fails, so that nobody knows whether there is a file.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        if is_passing(error):
            raise fault(path, error) from None
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def check_paths(paths: Iterable[str], manifest: Path) -> None:
    """Refuse paths of a manifest that may lie outside the project folder; raises `ModelError`."""
    for path in paths:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or not path.isprintable():
            raise ModelError(
                f"{manifest} names {ascii(path)[1:-1]}, which may lie outside the project folder; "
                "run `dvc repro`"
            )


def is_readable(path: Path) -> bool:
    """Whether a path is a regular file, or nothing at all.

    Opening a named pipe would wait for ever, and `/dev/zero` has no end.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def check(
    root: Path,
    files: Mapping[str, str],
    known: Mapping[str, str] | None = None,
    manifest: Path = SERVING,
) -> None:
    """Compare files with the hashes of a manifest.

    Parameters
    ----------
    root : Path
    files : mapping of str to str
        Expected sha256 by path.
    known : mapping of str to str, optional
        sha256 of files that have been hashed already, by path.
    manifest : Path
        The manifest's own path, for messages.

    Raises
    ------
    MixedPartsError
        One of them differs, or can't be read.
    FaultError
        The machine fails; it may be the one that is named.
    """
    for path, expected in files.items():
        if not is_readable(root / path):
            raise MixedPartsError(f"{root / path} is no file; {OF_TWO_RUNS}")
        try:
            sha256 = known[path] if known and path in known else sha256_file(root / path)
        except OSError as error:
            if is_passing(error):
                raise fault(root / path, error) from None
            raise MixedPartsError(
                f"{root / path} can't be read ({error.strerror}); {OF_TWO_RUNS}"
            ) from None
        if sha256 != expected:
            raise MixedPartsError(
                f"{root / path} is not the one that {root / manifest} names; {OF_TWO_RUNS}"
            )


def faces_table(models: Models) -> Path:
    """Path of the table of faces; raises `ModelError` unless it is that of the models' run.

    It is hashed once, and again only where the file is another one.
    """
    files = models.parts.manifest.parts["faces"]
    now = {name: identity(models.root / name) for name in files}
    if None in now.values() or any(models.compared_files.get(name) != now[name] for name in now):
        check(models.root, files)
        models.compared_files.update(now)
    return table_of(models.root / next(iter(files)))
