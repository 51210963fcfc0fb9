"""The models of the project that the working directory lies in, read again after each run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from facestats.core.layout import SERVING
from facestats.errors import FaceStatsError, FaultError, InputError, ModelError
from facestats.serving.manifest import OF_TWO_RUNS, Manifest, MixedPartsError, identity
from facestats.serving.models import Models
from facestats.serving.parts import ONE_BY_ONE, Encoding, Parts, read_parts

_kept: dict[tuple[Path, Encoding], _Kept] = {}
_loading = threading.Lock()


def load(root: str | Path | None = None) -> Models:
    """Load the models of a project folder.

    It returns the same object until a new run has replaced all models. While a run is under way,
    and where files do not belong together, the models that this process has stay in use.

    Parameters
    ----------
    root : path, optional
        Folder with `models/serving.json`; None: the nearest one upwards from the working directory.

    Returns
    -------
    Models
        Its methods do what the functions of `facestats` do.

    Raises
    ------
    ModelError
        There is none: `dvc repro` or `dvc pull` makes it. Or its files are of two runs, and this
        process has no earlier models.
    InputError
        `root` is no path.
    """
    return load_for(root, ONE_BY_ONE)


def load_to_decode(root: str | Path | None) -> Models:
    """`load`, and start the process that decodes the first photo, in the background."""
    from facestats.photos.decoder import start_decoder

    models = load(root)
    start_decoder(models.serving["crop"]["max_pixels"], models.serving["crop"]["max_seconds"])
    return models


def load_for(root: str | Path | None, encoding: Encoding) -> Models:
    """`load`, with another way to embed."""
    try:
        start = Path(root or Path.cwd()).expanduser().resolve()
        start.is_dir()  # raises where the name is too long
    # No path, a null byte, the home of an unknown user, a name that is too long.
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise InputError(f"root = {root!r} names no folder ({error})") from None
    for folder in [start] if root is not None else [start, *start.parents]:
        if (models := current_models(folder, encoding)) is not None:
            return models
    raise ModelError(
        f"no {SERVING.as_posix()} in {start}{'' if root else ' or above it'}; "
        "run `dvc repro` (or `dvc pull`) there, or name the folder with facestats.load(root)"
    )


@dataclass(frozen=True)
class _Kept:
    """What this process holds of a folder.

    Attributes
    ----------
    models : Models or None
        Those in use; None before any could be loaded.
    stamp : tuple
        Identities of the manifest and of absent files, when they were loaded.
    refused : (tuple, FaceStatsError) or None
        Identities of all files when loading last failed, and the error.
    """

    models: Models | None
    stamp: tuple = ()
    refused: tuple[tuple, FaceStatsError] | None = None


def current_models(folder: Path, encoding: Encoding = ONE_BY_ONE) -> Models | None:
    """The models of a folder; None where it is no project folder.

    `load` without a search upwards, and with another way to embed.
    """
    key, manifest = (folder, encoding), identity(folder / SERVING)
    kept = _kept.get(key) or _Kept(None)
    models = kept.models
    if models is not None and (folder.is_dir() if manifest is None else _is_current(folder, kept)):
        return models  # unchanged, or a run is about to write another manifest
    if manifest is None:
        if _is_project(folder):
            raise ModelError(
                f"no {SERVING.as_posix()} in {folder}: a run is under way, wait for its end; "
                "otherwise run `dvc repro` (or `dvc pull`)"
            )
        return None
    if not _loading.acquire(blocking=models is None):
        return models  # another thread is loading the new ones
    try:
        return _load(key, _kept.get(key) or _Kept(None))
    finally:
        _loading.release()


def _load(key: tuple[Path, Encoding], cached: _Kept) -> Models:
    folder, encoding = key
    models, before = cached.models, cached.models.parts if cached.models else None
    if models is not None and _is_current(folder, cached):
        return models  # another thread has loaded it
    seen: tuple = (identity(folder / SERVING),)
    try:
        seen += tuple(identity(folder / path) for path in Manifest.read(folder).files())
        if cached.refused is None or cached.refused[0] != seen:
            parts = read_parts(folder, before, encoding)
            if before and parts.absent - before.absent:
                raise MixedPartsError(
                    f"{folder / min(parts.absent)} is not there yet; {OF_TWO_RUNS}"
                )
            if (
                models is None
                or parts.manifest != models.parts.manifest
                or parts.absent != models.parts.absent
                or models.parts.are_overwritten
            ):
                models = Models(folder, MappingProxyType(parts.manifest.facts), parts)
            _kept[key] = _Kept(models, _stamp(folder, parts))
            return models
        error = cached.refused[1]
    except FaceStatsError as problem:
        error = problem
        if not isinstance(error, FaultError):  # which may be over the next time
            _kept[key] = _Kept(models, cached.stamp, (seen, error))
    if models is None:
        raise type(error)(*error.args)
    return models


def _is_current(folder: Path, kept: _Kept) -> bool:
    """Whether neither a run has written another manifest, nor somebody over a file in use."""
    parts = kept.models and kept.models.parts
    return parts is not None and _stamp(folder, parts) == kept.stamp and not parts.are_overwritten


def _stamp(folder: Path, parts: Parts) -> tuple:
    return tuple(identity(folder / path) for path in (SERVING, *sorted(parts.absent)))


def _is_project(folder: Path) -> bool:
    """Whether a folder has parts of models, but no manifest."""
    return (folder / "dvc.yaml").is_file() and any((folder / SERVING).parent.glob("*.*"))
