"""A small copy of this project in a folder of its own, driven by real `dvc`."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import warm
from facestats.sample import write_sample
from programs import run_program
from resources import ROOT, landmarker_dir, read_yaml, write_yaml

COPIED = (
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
    "stages",
    "src",
    "data/manual_labels.csv",
    "data/manual_ratings.csv",
    "data/pretrained",
    ".dvc/config",
    ".dvc/.gitignore",
)
# Small enough for a run in seconds, large enough for every stage to have something to do.
SMALL = {
    "sample.n": 3,
    "sample.size": 64,
    "preprocess.size": 96,
    "attributes.min_per_class": 3,
    "attributes.propose": 5,
    "attributes.targets.gender.C": 10.0,  # what `auto` chooses, in a second; ethnicity keeps that
    "mlp.epochs": 5,
    "clusters.k": 3,
    "clusters.components": 8,
    "evaluate.bootstrap": 100,
    "evaluate.folds": 2,
    "evaluate.repeats": 1,
    "evaluate.permutations": 19,
    "split.val": 0.2,
    "split.test": 0.25,
}
COMPOSITES = {
    "women": {
        "filter": {"gender": "female", "n": 8, "min_results": 4},
        "render": {"align": "warp"},
    },
    "top_rated": {
        "filter": {"attractiveness": [8, 10], "min_results": 4},
        "render": {"align": "none"},
    },
    "impossible": {"filter": {"gender": "nobody", "min_results": 4}, "render": {"align": "eyes"}},
}
CONTINUA = {"women_to_top": {"from": "women", "to": "top_rated", "steps": 3}}
DIFFERENCES = {
    "women_minus_top": {"of": "women", "minus": "top_rated"},
    "women_minus_nobody": {"of": "women", "minus": "impossible"},
}

FETCHED = {"fetch_clip", "fetch_landmarker", "sample"}
TRAINED = {"train_attribute@gender", "train_attribute@ethnicity", "train_attribute@age"}


class Project:
    """A git and DVC repository below `folder`, with its own cache.

    Its programs are copies of a warm parent (tests/warm.py) unless it is `cold`.
    """

    cold = False

    def __init__(self, folder: Path, source: Path = ROOT):
        self._use(folder)
        for name in COPIED:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_dir():
                shutil.copytree(
                    source / name,
                    self.folder / name,
                    ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
                )
            else:
                shutil.copyfile(source / name, self.folder / name)
        for empty in ("data/raw", "data/labels"):
            (self.folder / empty).mkdir()
        self.set_params(
            SMALL
            | {
                "landmarker.source": str(landmarker_dir()),
                "composites": COMPOSITES,
                "continua": CONTINUA,
                "differences": DIFFERENCES,
                "data.images": "data/raw",
                "data.labels": "data/labels",
            }
        )
        self.git("init", "-q", "-b", "main")

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """The project that was cloned or copied to `folder / "repo"`."""
        project = cls.__new__(cls)
        project._use(folder)
        return project

    def keep_stages(self, *kept: str) -> None:
        """Leave only these stages in the pipeline, for tests that need no more."""
        content = read_yaml(self.read("dvc.yaml"))
        content["stages"] = {
            name: content["stages"][name] for name in content["stages"] if name in kept
        }
        (self.folder / "dvc.yaml").write_text(write_yaml(content))
        lock = self.folder / "dvc.lock"
        if lock.exists():  # as DVC lays it out: tests compare its bytes
            head, *stages = re.split(r"^(?=  \S)", lock.read_text(), flags=re.MULTILINE)
            left = [text for text in stages if re.split("[@:]", text.strip())[0] in kept]
            lock.write_text(head + "".join(left))

    def copy(self, folder: Path) -> "Project":
        """The same below `folder`. `cp -a`, because `shutil.copytree` makes two files of two names
        of one file.
        """
        run_program(["cp", "-a", self.folder.parent, folder], check=True)
        return Project.at(folder)

    def _use(self, folder: Path) -> None:
        self.folder = folder / "repo"
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "true",
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder / "system"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.org",
        }

    def add_drawn_faces(self, n: int, seed: int) -> None:
        """Put drawn faces and their labels into `data/raw` and `data/labels`, under DVC."""
        drawn = self.folder.parent / "drawn"
        write_sample(drawn, n=n, size=96, seed=seed, progress=False)
        for source, target in (("images", "raw"), ("labels", "labels")):
            shutil.copytree(drawn / source, self.folder / "data" / target, dirs_exist_ok=True)
        (self.folder / "data/raw/album.jpg").mkdir()  # a folder that is called like a photo
        (self.folder / "data/raw/face_0002.jpg").rename(self.folder / "data/raw/album.jpg/one.jpg")
        self.dvc("add", "-q", "data/raw", "data/labels")

    def set_params(self, changes: dict[str, Any]) -> None:
        """Set parameters by dotted name, as `dvc exp run -S` does."""
        path = self.folder / "params.yaml"
        params = read_yaml(path.read_text())
        for name, value in changes.items():
            section = params
            *parents, last = name.split(".")
            for parent in parents:
                section = section[parent]
            section[last] = value
        path.write_text(write_yaml(params))

    def run(
        self, *command: str, check: bool = True, folder: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess:
        """Run a command in the project, or in another folder; `check` fails with its output."""
        given = self.environment | environment
        if not self.cold:
            given["PATH"] = warm.path(given["PATH"])
        return run_program(command, folder or self.folder, given, check)

    def dvc(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess:
        return self.run(self._python(), "-m", "dvc", *arguments, check=check, **environment)

    def _python(self) -> str:
        return sys.executable if self.cold else warm.python()

    def git(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run("git", *arguments)

    def facestats(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return self.run(self._python(), "-m", "facestats", *arguments, check=check)

    def repro(self, *arguments: str, **environment: str) -> set[str]:
        """`dvc repro`; returns the stages that were executed (not those skipped or restored from
        the cache).
        """
        return executed(self.dvc("repro", *arguments, **environment).stdout)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def damaged_objects(self) -> list[str]:
        """Objects of DVC's cache that are not what their name, their MD5, says."""
        objects = [
            (path, path.parent.name + path.name)
            for path in (self.folder / ".dvc/cache/files/md5").glob("??/*")
            if not path.name.endswith(".tmp")
        ]  # what DVC itself leaves behind when the disk is full
        assert objects
        return [
            name
            for path, name in objects
            if hashlib.md5(path.read_bytes()).hexdigest() != name.removesuffix(".dir")
        ]

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def executed(output: str) -> set[str]:
    """Names of the stages that DVC says it ran."""
    return set(re.findall(r"^Running stage '([^']+)':", output, flags=re.MULTILINE))
