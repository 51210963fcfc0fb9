"""Labels and ratings by hand that git does not have, and labels that their file has lost.

`dvc exp apply`, `git checkout` and `git stash` put committed files there, and so take away what was
labelled since. The journal of the page Label has such labels still.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from facestats.app.journal import Journal, standing
from facestats.app.labelling import is_another, is_removed, is_replaced
from facestats.core import tables
from facestats.core.layout import FACES_TABLE
from facestats.errors import FaceStatsError, LabelError, number_of
from facestats.faces.tables import FACES
from facestats.labels.manual import labels_by_hand, own_file, read_own
from facestats.labels.names import PhotoNames
from facestats.machine.git import read_git
from facestats.machine.output import one_line
from facestats.params.project import load_params

_SECONDS = 20.0  # that git may take
_KEYS = ("filename", "image", "rater", "trait", "repeat")  # of a line by hand
_BESIDE = ("order", "seconds")  # of a judgement


def warnings_by_hand(root: Path) -> list[str]:
    """What may be lost of the labels and ratings by hand, and what the journal still has."""
    try:
        data = load_params(root / "params.yaml").data
        files = [data.manual_labels, data.manual_ratings]
        warnings = [warning_of(root, name) for name in files if differs(root, name)]
        warnings += _in_stash(root, files)
        lost = sum(map(len, lost_labels(root).values()))
    except (FaceStatsError, OSError, subprocess.TimeoutExpired):  # told where they are needed
        return []
    if lost:
        warnings.append(
            f"{one_line(data.manual_labels)} lacks {number_of(lost, 'label')} of the page Label; "
            "`python -m facestats labels restore` brings them back (--dry-run lists them)"
        )
    return warnings


def warning_of(root: Path, name: str) -> str:
    """What may be lost of a file by hand that is not as in the last commit."""
    committed = read_git(root, "show", f"HEAD:./{name}", timeout=_SECONDS)
    before = set() if committed.returncode else _entries_of(committed.stdout)
    now = _entries(root / name)
    if before - now:
        here = _names_here(root)
        before = {entry for entry in before if not here.isdisjoint(entry[:-1])}
    shown, way = one_line(name), one_line(shlex.quote(name))
    if lacking := len(before - now):
        way_out = (
            f"`git diff HEAD -- {way}` shows them beside what came since"
            if now - before
            else f"`git checkout HEAD -- {way}` brings them back"
        )
        return (
            f"{shown} lacks {number_of(lacking, 'cell')} of the last commit, as where "
            f"`dvc exp apply` brought an earlier file; {way_out}"
        )
    return (
        f"{shown} has changes that are not committed, which `dvc exp apply`, `git checkout` and "
        "`git stash` take away; commit it first"
    )


def _names_here(root: Path) -> set[str]:
    """Names of faces and photos that are here: what was forgotten shall not come back."""
    try:
        images = images_of(root)
    except FaceStatsError:  # no run yet
        return set()
    there = {face: image for face, image in images.items() if not is_removed(root, image)}
    return {*there, *there.values()}


def _entries_of(content: bytes) -> set[tuple[str, ...]]:
    with TemporaryDirectory(prefix="facestats-labels-") as folder:
        path = Path(folder, "version.csv")
        path.write_bytes(content)
        return _entries(path)


def _entries(path: Path) -> set[tuple[str, ...]]:
    """What a file by hand says, each with its column; which words it uses does not count."""
    sheet = read_own(path)
    if sheet is None:
        return set()
    keys = [name for name in sheet.table if name in _KEYS]
    return {
        (*row[keys], column)
        for _, row in sheet.table.iterrows()
        for column in row.index
        if row[column].strip() and column not in (*_KEYS, *_BESIDE)
    }


def _in_stash(root: Path, names: list[str]) -> list[str]:
    """Warnings of entries of git's stash that have files by hand: an experiment puts them there.

    For a moment: it takes them back, unless it is killed.
    """
    listed = read_git(root, "stash", "list", "--format=%H", timeout=_SECONDS)
    commits = [] if listed.returncode else listed.stdout.decode().split()
    warnings = []
    for number, commit in enumerate(commits):
        for name in names:
            ends = (f"{commit}^1", commit)
            done = read_git(root, "diff", "--quiet", *ends, "--", name, timeout=_SECONDS)
            if done.returncode == 1:
                warnings.append(
                    f"git's stash@{{{number}}} has changes of {one_line(name)}, as an experiment "
                    f"that was killed leaves them; `git stash pop {number}` brings them back"
                )
    return warnings


def differs(root: Path, name: str) -> bool:
    """Whether git has another content of a file, or none; never outside a repository."""
    status = read_git(root, "status", "--porcelain", "--", name, timeout=_SECONDS)
    return status.returncode == 0 and bool(status.stdout.strip())


def lost_labels(root: Path) -> dict[str, dict[str, str]]:
    """Labels of the journal, by face and column, where the file of labels by hand has none.

    Not those that were taken back on the page, those of photos that are gone or that others of the
    same name replace, and those of faces that a later commit of the file labels, in the same
    column: somebody changed or removed these.

    Raises
    ------
    FaceStatsError
        A table, a parameter or the file can't be read.
    """
    name = load_params(root / "params.yaml").data.manual_labels
    given = {
        (entry.filename, entry.column): entry
        for entry in standing(Journal(root).entries())
        if entry.new and entry.file in ("", name)
    }
    if not given:
        return {}
    images = images_of(root)
    faces = {image: face for face, image in images.items()}
    photos, further = PhotoNames(faces), {column for _, column in given}

    def labelled(path: Path) -> set[tuple[str, str]]:
        found = labels_by_hand(path, faces, photos, further)
        return {(face, column) for face, labels in found.items() for column in labels}

    gone = {
        key: _seconds(given[key].when)
        for key in given.keys() - labelled(own_file(root, "data.manual_labels", name))
        if key[0] in images and _is_here(root, images[key[0]], given[key].photo)
    }
    for committed, content in _versions(root, name, min(gone.values(), default=inf)):
        with TemporaryDirectory(prefix="facestats-labels-") as folder, suppress(LabelError):
            path = Path(folder, "version.csv")
            path.write_bytes(content)
            for key in labelled(path):
                if gone.get(key, inf) <= committed:
                    del gone[key]
    lost: dict[str, dict[str, str]] = {}
    for face, column in given:
        if (face, column) in gone:
            lost.setdefault(face, {})[column] = given[face, column].new
    return lost


def _is_here(root: Path, image: str, photo: str) -> bool:
    """Whether a photo is that which was labelled, as far as its sha256 then, and the run, tell."""
    is_other = is_another(root, image, photo) if photo else False
    return not (is_removed(root, image) or is_replaced(root, image) or is_other)


def _versions(root: Path, name: str, since: float) -> Iterator[tuple[float, bytes]]:
    """The committed versions of a file from a time on, each with its time; as `time.time` counts.

    None where there is no git.
    """
    if since == inf:
        return
    try:
        log = read_git(root, "log", "--format=%ct %H", "--", name, timeout=_SECONDS)
    except FileNotFoundError:  # no git
        return
    for line in log.stdout.decode().splitlines() if not log.returncode else ():
        committed, commit = line.split()
        if float(committed) >= since:
            done = read_git(root, "show", f"{commit}:./{name}", timeout=_SECONDS)
            if not done.returncode:  # else that commit has removed it
                yield float(committed), done.stdout


def _seconds(when: str) -> float:
    try:
        return datetime.fromisoformat(when).timestamp()
    except ValueError:
        return inf


def images_of(root: Path) -> dict[str, str]:
    """Path of the photo by the name of its face, of the last run."""
    faces = tables.read(root / FACES_TABLE, FACES, ["filename", "image"]).dropna(subset="filename")
    return dict(zip(faces["filename"], faces["image"], strict=True))
