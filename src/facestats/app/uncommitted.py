"""Labels and ratings by hand that git does not have, and labels that their file has lost.

`dvc exp apply`, `git checkout` and `git stash` put committed files there, and so take away what was
labelled since. The journal of the page Label has such labels still.
"""

from __future__ import annotations

import subprocess
from datetime import datetime
from math import inf
from pathlib import Path

from facestats.app.journal import Journal, standing
from facestats.app.labelling import is_removed
from facestats.core import tables
from facestats.core.layout import FACES_TABLE
from facestats.errors import FaceStatsError, number_of
from facestats.faces.tables import FACES
from facestats.labels.manual import labels_by_hand, own_file
from facestats.labels.names import PhotoNames
from facestats.machine.git import read_git
from facestats.machine.output import one_line
from facestats.params.project import load_params

_SECONDS = 20.0  # that git may take


def warnings_by_hand(root: Path) -> list[str]:
    """What may be lost of the labels and ratings by hand, and what the journal still has."""
    try:
        data = load_params(root / "params.yaml").data
        files = [data.manual_labels, data.manual_ratings]
        warnings = [_UNCOMMITTED.format(one_line(name)) for name in files if _differs(root, name)]
        lost = sum(map(len, lost_labels(root).values()))
    except (FaceStatsError, OSError, subprocess.TimeoutExpired):  # told where they are needed
        return []
    if lost:
        warnings.append(
            f"{one_line(data.manual_labels)} lacks {number_of(lost, 'label')} of the page Label; "
            "`python -m facestats labels restore` brings them back (--dry-run lists them)"
        )
    return warnings


_UNCOMMITTED = (
    "{0} has changes that are not committed, which `dvc exp apply`, `git checkout` and `git stash` "
    "take away; commit it first"
)


def _differs(root: Path, name: str) -> bool:
    """Whether git has another content of a file, or none; never outside a repository."""
    status = read_git(root, "status", "--porcelain", "--", name, timeout=_SECONDS)
    return status.returncode == 0 and bool(status.stdout.strip())


def lost_labels(root: Path) -> dict[str, dict[str, str]]:
    """Labels of the journal, by face and column, where the file of labels by hand has none.

    Not those that were taken back on the page, those of photos that are gone, and those of before
    the file's last commit: that one has them, unless somebody wanted otherwise.

    Raises
    ------
    FaceStatsError
        A table, a parameter or the file can't be read.
    """
    name = load_params(root / "params.yaml").data.manual_labels
    committed = _last_commit(root, name)
    given = {
        (entry.filename, entry.column): entry.new
        for entry in standing(Journal(root).entries())
        if entry.new and entry.file in ("", name) and _seconds(entry.when) >= committed
    }
    if not given:
        return {}
    images = images_of(root)
    path = own_file(root, "data.manual_labels", name)
    faces = {image: name for name, image in images.items()}
    further = {column for _, column in given}
    there = labels_by_hand(path, faces, PhotoNames(faces), further)
    lost: dict[str, dict[str, str]] = {}
    for (face, column), label in given.items():
        if column in there.get(face, {}) or face not in images or is_removed(root, images[face]):
            continue
        lost.setdefault(face, {})[column] = label
    return lost


def _last_commit(root: Path, name: str) -> float:
    """When a file was last committed, as `time.time` counts; 0 if it was never."""
    try:
        done = read_git(root, "log", "-1", "--format=%ct", "--", name, timeout=_SECONDS)
    except FileNotFoundError:  # no git
        return 0.0
    return float(done.stdout) if not done.returncode and done.stdout.strip().isdigit() else 0.0


def _seconds(when: str) -> float:
    try:
        return datetime.fromisoformat(when).timestamp()
    except ValueError:
        return inf


def images_of(root: Path) -> dict[str, str]:
    """Path of the photo by the name of its face, of the last run."""
    faces = tables.read(root / FACES_TABLE, FACES, ["filename", "image"]).dropna(subset="filename")
    return dict(zip(faces["filename"], faces["image"], strict=True))
