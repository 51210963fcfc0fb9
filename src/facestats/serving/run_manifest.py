"""Files that are not models, and whether they are of the run that made the models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facestats.core.layout import METRICS, METRICS_MANIFEST
from facestats.core.manifests import models_sha256
from facestats.errors import ModelError
from facestats.machine.faults import fault, is_passing
from facestats.serving.checks import read_facts
from facestats.serving.manifest import (
    OF_TWO_RUNS,
    Manifest,
    MixedPartsError,
    check,
    check_paths,
    is_readable,
)

LEFT_OUT = "no held-out figures"
Parts = Mapping[str, Mapping[str, str]]


def read_run_manifest(path: Path, parts: Parts) -> dict[str, str]:
    """Read which files belong to the run that made the models.

    Parameters
    ----------
    path : Path
        As `core.manifests.write_run_manifest` wrote it.
    parts : mapping
        The models, as `Manifest.parts`.

    Returns
    -------
    dict of str to str
        sha256 by path, relative to the project folder.

    Raises
    ------
    ModelError
        It is missing or damaged.
    MixedPartsError
        It is of another run than the models.
    """
    facts: dict[str, Any] = read_facts(path, "models_sha256", "files")
    files = facts["files"]
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise ModelError(f"{path} is damaged; remove it and run `dvc repro`")
    check_paths(files, path)
    if facts["models_sha256"] != models_sha256(parts):
        raise MixedPartsError(f"{path} is not of the run that made the models; {OF_TWO_RUNS}")
    return files


@dataclass(frozen=True)
class RunMetrics:
    """The held-out figures of the models in use.

    Attributes
    ----------
    content : dict of str to dict
        Content of `metrics/<name>.json` by name.
    why : str or None
        Why there is none.
    """

    content: dict[str, dict[str, Any]] = field(default_factory=dict)
    why: str | None = None


def read_metrics(root: Path, parts: Parts, names: Iterable[str]) -> RunMetrics:
    """Read figures if all of them are of the models' run; the bytes that are hashed are parsed.

    Parameters
    ----------
    root : Path
        Folder of the project.
    parts : mapping
        Its models, as `Manifest.parts`.
    names : iterable of str
        Of the files, without their ending.

    Returns
    -------
    RunMetrics

    Raises
    ------
    FaultError
        The machine fails.
    """
    try:
        files = read_run_manifest(root / METRICS_MANIFEST, parts)
        content = {name: _read(root, METRICS / f"{name}.json", files) for name in names}
    except ModelError as error:
        return RunMetrics(why=f"{LEFT_OUT}: {str(error).replace(f'{root}/', '')}")
    return RunMetrics(content)


def _read(root: Path, path: Path, files: Mapping[str, str]) -> dict[str, Any]:
    try:
        data = (root / path).read_bytes() if is_readable(root / path) else b""
    except OSError as error:
        if is_passing(error):
            raise fault(root / path, error) from None
        raise ModelError(f"{path} can't be read ({error.strerror}); run `dvc repro`") from None
    if hashlib.sha256(data).hexdigest() != files.get(path.as_posix()):
        raise MixedPartsError(f"{path} is not the one that {METRICS_MANIFEST} names; {OF_TWO_RUNS}")
    try:
        return {**json.loads(data)}
    except (ValueError, TypeError, RecursionError):
        raise ModelError(f"{path} is damaged; remove it and run `dvc repro`") from None


def why_of_another_run(root: Path) -> str | None:
    """Why the metrics of a project are not those of `models/serving.json`; None if they are."""
    try:
        check(
            root,
            read_run_manifest(root / METRICS_MANIFEST, Manifest.read(root).parts),
            manifest=METRICS_MANIFEST,
        )
    except ModelError as error:
        return str(error).replace(f"{root}/", "")
    return None
