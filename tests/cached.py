"""What test runs keep outside of the repository: the landmarker's files, and the small project that
has run once.

It lies in ~/.cache/facestats-tests, or where FACESTATS_TESTS_CACHE says; with that empty, every run
makes all anew.
"""

import hashlib
import os
import platform
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

from filelock import FileLock

from programs import run_program
from project import COPIED, Project
from resources import ROOT, cache_folder, landmarker_dir

KEPT = 3  # projects, of 40 MB each
# Variables that choose between routines whose last bits differ.
ROUTINES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE")


def built_project(folder: Path) -> Project:
    """The small project that has run once, below `folder`: a copy of the one kept for these
    sources.
    """
    place = cache_folder()
    if place is None:
        return _build(folder)
    kept = place / f"built-{_key()}"
    with FileLock(f"{place}/built.lock"):
        if not (kept / "done").exists():
            shutil.rmtree(kept, ignore_errors=True)  # of an attempt that failed
            _build(kept)
            (kept / "done").touch()
        os.utime(kept)
        by_age = sorted(place.glob("built-*"), key=lambda path: path.stat().st_mtime)
        for old in by_age[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        run_program(["cp", "-a", kept, folder], check=True)
    return Project.at(folder)


def _build(folder: Path) -> Project:
    project = Project(folder)
    project.add_drawn_faces(n=100, seed=7)
    project.commit("a small project")
    project.repro()
    project.commit("run")
    return project


def _key() -> str:
    """A hash of all that decides what the project looks like after its run."""
    key = hashlib.sha256()
    tests = [path.relative_to(ROOT) for path in (ROOT / "tests/project.py", Path(__file__))]
    for name in map(ROOT.joinpath, (*COPIED, *tests)):
        for path in sorted(name.rglob("*")) if name.is_dir() else [name]:
            if path.is_file() and path.suffix != ".pyc" and ".egg-info" not in str(path):
                key.update(f"{path.relative_to(ROOT)} {path.stat().st_mode & 0o777}\0".encode())
                key.update(hashlib.sha256(path.read_bytes()).digest())
    packages = sorted(f"{each.name} {each.version}" for each in distributions())
    machine = [*platform.uname(), *map(os.environ.get, ROUTINES), str(os.cpu_count())]
    facts = (sys.version, packages, machine, ROOT, landmarker_dir())
    key.update(repr(facts).encode())
    return key.hexdigest()[:24]
