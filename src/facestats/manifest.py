"""`models/serving.json`: what a photo needs, and the sha256 of every file that answers are made from.

The stage `serving` writes it, the last one of those that make models. Files that fit it belong to one run. Paths in it are relative to the project folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from facestats.api_checks import read_facts
from facestats.errors import ModelError
from facestats.files import write_json
from facestats.fingerprint import sha256_file

SERVING = Path("models/serving.json")
PARTS = ("landmarker", "clip", "regressor", "geometry", "blend", "attributes", "classifiers", "zeroshot", "embeddings", "faces", "age_check", "ages")
OF_TWO_RUNS = "a run is under way, or files of two runs are mixed: wait for its end, or `dvc repro`, `dvc pull` or `dvc checkout`"
Identity = tuple[int, ...] | None


class MixedPartsError(ModelError):
    """Files do not fit the manifest."""


@dataclass(frozen=True)
class Manifest:
    """The content of `models/serving.json`.

    Attributes
    ----------
    facts : all but the parts: `crop`, `images`, `clip`, `trained`, `why`.
    parts : by name of the part, sha256 by path.
    """

    facts: dict[str, Any]
    parts: dict[str, dict[str, str]]

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """That of a project folder.

        Raises
        ------
        ModelError
            It is missing, damaged, by an earlier version, or names a file outside the folder.
        """
        facts = read_facts(root / SERVING, "clip", "crop", "images", "parts")
        parts = facts.pop("parts")
        if not isinstance(parts, dict) or set(parts) != set(PARTS) or not all(isinstance(files, dict) for files in parts.values()):
            raise ModelError(f"{root / SERVING} does not name the parts {', '.join(PARTS)}; another version of the pipeline wrote it, run `dvc repro`")
        for path in (path for files in parts.values() for path in files):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise ModelError(f"{root / SERVING} names {path}, which may lie outside the project folder; run `dvc repro`")
        return cls(facts, parts)

    def files(self) -> list[str]:
        """The paths of all parts."""
        return [path for files in self.parts.values() for path in files]


def write_manifest(path: Path, facts: Mapping[str, Any], parts: Mapping[str, Iterable[Path]]) -> None:
    """Write the manifest of a run.

    Parameters
    ----------
    parts : the files of each part of `PARTS`, relative to the working directory, which is the project's folder.
    """
    hashes = {name: {file.as_posix(): sha256_file(file) for file in sorted(parts[name])} for name in PARTS}
    write_json(path, {**facts, "parts": hashes})


def files_in(folder: Path) -> list[Path]:
    """The files of a part that is a folder; hidden ones are no part of it."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def identity(path: Path) -> Identity:
    """What changes with every new content of a file, but is had without reading it; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def check(root: Path, files: Mapping[str, str], known: Mapping[str, str] | None = None) -> None:
    """Hold files against the manifest.

    Parameters
    ----------
    known : sha256 of files that somebody else has read, by path.

    Raises
    ------
    MixedPartsError
        One of them differs, or can't be read.
    """
    for path, expected in files.items():
        try:
            found = known[path] if known and path in known else sha256_file(root / path)
        except OSError as error:
            raise MixedPartsError(f"{root / path} can't be read ({error.strerror}); {OF_TWO_RUNS}") from None
        if found != expected:
            raise MixedPartsError(f"{root / path} is not the one that {root / SERVING} names; {OF_TWO_RUNS}")
