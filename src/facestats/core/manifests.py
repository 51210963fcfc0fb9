"""Files that say which other files belong to one run, with the hash of that run's models.

`data/processed/composites.json` names all composites and differences, `metrics/run.json` the
metrics. The stages `composites_manifest` and `evaluate` write them after what they name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from facestats.core.files import read_json, write_json
from facestats.core.fingerprint import sha256_file, sha256_json
from facestats.core.tables.parts import listed_files
from facestats.errors import InputError

# What is read of a composite or difference.
FILES = ("composite.json", "composite.jpg", "composite.png", "shape.npy", "difference.json")


def write_composites_manifest(
    path: Path, serving: Path, final: Path, folders: Iterable[Path]
) -> int:
    """Write which composites and differences a run has drawn.

    Parameters
    ----------
    path : Path
    serving : Path
        `serving.json`, the manifest of the models.
    final : Path
        `attributes_final.parquet`, from which the members were chosen.
    folders : iterable of Path
        Of the composites and differences. All paths are relative to the working directory, which
        is the project's folder.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    InputError
        `serving` is missing or damaged.
    """
    files = [*listed_files(final), *(folder / name for folder in sorted(folders) for name in FILES)]
    return write_run_manifest(path, serving, files)


def write_run_manifest(path: Path, serving: Path, files: Iterable[Path]) -> int:
    """Write which files belong to the run that made the models.

    Parameters
    ----------
    path : Path
    serving : Path
        `serving.json`, the manifest of the models.
    files : iterable of Path
        Relative to the working directory, which is the project's folder; those that are missing
        are left out.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    InputError
        `serving` is missing or damaged.
    """
    hashes = {file.as_posix(): sha256_file(file) for file in files if file.is_file()}
    write_json(path, {"models_sha256": _of_serving(serving), "files": hashes})
    return len(hashes)


def check_of_models(path: Path, serving: Path) -> None:
    """Check that a manifest as above is of the run that wrote `serving.json`.

    Raises
    ------
    InputError
        It is not, or one of the two is missing or damaged.
    """
    if read_json(path).get("models_sha256") != _of_serving(serving):
        raise InputError(
            f"{path} is of other models than {serving}: files of two runs are mixed, run `dvc "
            "repro`"
        )


def _of_serving(serving: Path) -> str:
    parts = read_json(serving).get("parts")
    if not isinstance(parts, dict):
        raise InputError(f"{serving} names no parts; run `dvc repro`")
    return models_sha256(parts)


def models_sha256(parts: Mapping[str, Mapping[str, str]]) -> str:
    """Hex sha256 of the hashes of a run's models, as `Manifest.parts`."""
    return sha256_json({name: dict(files) for name, files in parts.items() if files})
