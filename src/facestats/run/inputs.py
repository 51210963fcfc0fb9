"""Inputs of a stage that are not what the stages before it wrote: the suspects if it fails."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from facestats.core.files import require_file
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache


def changed_inputs(paths: Iterable[Path], stage: str) -> list[Path]:
    """Compare the files that a stage reads with what `dvc.lock` says of them.

    DVC does so before it runs a stage; but a stage may be run by hand or with `dvc repro -s`, and a
    file may be changed in this moment.

    Parameters
    ----------
    paths : iterable of Path
        Files, and folders with files of several stages.
    stage : str
        Its name, with the key of `params.yaml` where it has one; its own outs are passed over.

    Returns
    -------
    list of Path
        Files that differ or are gone, in the order of `dvc.lock`.
    """
    cache, changed = find_dvc_cache(), []
    tops = [Path(os.path.abspath(path)) for path in paths]
    if cache is None:
        return []
    for out, md5 in cache.hashes(stage).items():
        if any(out.is_relative_to(top) for top in tops):
            changed += _differing(out, md5, cache)
    return changed


def _differing(out: Path, md5: str, cache: DvcCache) -> list[Path]:
    expected = (
        {
            out / name: each
            for name, each in cache.committed_files(out).items()
            if Path(os.path.normpath(out / name)).is_relative_to(out)  # somebody's, of a remote
        }
        if md5.endswith(".dir")
        else {out: md5}
    )
    return [path for path, each in expected.items() if _md5(path) != each]


def _md5(path: Path) -> str | None:
    try:
        require_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError:
        return None
