"""Bring a dataset into the layout of the pipeline and put it under DVC.

Writes `raw/` (images) and `labels/` below --into, runs `dvc add` on both and
`git add` on the two .dvc files, since temporary and queued runs see only what git
tracks. `push: false` in raw.dvc keeps the photos off every remote until you
remove it. If an import was stopped, give the same command again.

examples:
  python -m facestats import omi path/to/omi
  python -m facestats import omi path/to/omi --into data/omi
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from facestats.cli.doctor_cache import require_sound_cache
from facestats.core.files import write_bytes, write_text
from facestats.errors import FaceStatsError
from facestats.rows.dvc_cache import find_dvc_cache

HELP = "bring a dataset into data/raw and data/labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", choices=["omi"], help="which dataset")
    parser.add_argument("source", type=Path, metavar="DIR", help="folder that holds it")
    parser.add_argument(
        "--into",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where raw/ and labels/ are made (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    from facestats.importers.omi import import_omi

    raw, labels = options.into / "raw", options.into / "labels"
    if cache := find_dvc_cache():
        require_sound_cache(cache.root)
    counts = import_omi(options.source, options.into, again=not _is_tracked(raw, labels))
    print(
        f"{counts['images']} images in {raw}, {counts['labels']} labels and "
        f"{counts['judgements']} judgements in {labels}"
    )
    _put_under_dvc(raw, labels)
    print(
        "next:\n"
        f"  dvc exp run -S {_setting('data.images', raw)} -S {_setting('data.labels', labels)}\n"
        "or set data.images and data.labels in params.yaml and run `dvc repro`"
    )
    return 0


def _setting(key: str, path: Path) -> str:
    """Quote `key=path` for a shell and for DVC's `-S`, which reads quotes of its own."""
    value = path.as_posix()
    return (
        f"{key}={value}"
        if re.fullmatch(r"[\w./-]+", value, re.ASCII)
        else shlex.quote(f'{key}="{value}"')
    )


def _is_tracked(raw: Path, labels: Path) -> bool:
    """Whether an earlier import has finished, so that git tracks both .dvc files."""
    pointers = raw.with_suffix(".dvc"), labels.with_suffix(".dvc")
    if not all(pointer.is_file() for pointer in pointers) or not _is_kept_back(pointers[0]):
        return False
    command = ["git", "ls-files", "--error-unmatch", *map(str, pointers)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _is_kept_back(pointer: Path) -> bool:
    """Whether the .dvc file keeps the photos off all remotes."""
    return "push:" in pointer.read_text(encoding="utf-8")


def _put_under_dvc(raw: Path, labels: Path) -> None:
    pointer = raw.with_suffix(".dvc")
    # Written before `dvc add`, which keeps it: a stop at any moment leaves nothing to push.
    before = pointer.read_bytes() if pointer.is_file() else None
    if before is None:
        write_text(pointer, f"outs:\n- path: {json.dumps(raw.name)}\n  push: false\n")
    elif not _is_kept_back(pointer):
        write_bytes(pointer, before.rstrip(b"\n") + b"\n  push: false\n")
    try:
        _call([sys.executable, "-m", "dvc", "add", str(raw), str(labels)])
    except FaceStatsError:
        if before is None:
            pointer.unlink(missing_ok=True)
        raise
    tracked = [pointer, labels.with_suffix(".dvc"), raw.parent / ".gitignore"]
    _call(["git", "add", *(str(path) for path in tracked if path.exists())])
    print(
        f"under DVC: {tracked[0]} and {tracked[1]} are staged; commit them. `dvc push` leaves the "
        f"photos out (`push: false` in {tracked[0]})"
    )


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise FaceStatsError(
            f"`{command[0]}` is not installed; the files are in place, but not under version "
            "control"
        ) from None
    if done.returncode:
        shown = shlex.join(command[2:] if command[0] == sys.executable else command)
        raise FaceStatsError(
            f"`{shown}` failed: {(done.stderr or done.stdout).strip()}\nThe files are in place; "
            "run it by hand in a git repository with `dvc init`"
        )
