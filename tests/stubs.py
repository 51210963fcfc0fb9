"""The project's pipeline with stubs in place of its commands, driven by DVC in this process.

All stages, deps, params and outs are those of dvc.yaml, and DVC decides what to run. A stub writes
a hash of what its stage reads into each out: whatever reads one of them is stale too. So what runs
is all that a change can reach; real results that stay as they were end it earlier.
"""

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import dvc.stage.run
import networkx
from dvc.repo import Repo
from fsspec.implementations.memory import MemoryFileSystem

import fast_dvc
import warm
from project import COPIED, Project
from resources import ROOT, read_yaml

LIBRARY = "src/facestats"
fast_dvc.install(os.environ.get(warm.FOLDER))


class StubProject(Project):
    """A project of stubs below `folder`; each folder of the library is one file."""

    def __init__(self, folder: Path):
        source = folder / "source"
        for name in COPIED:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copyfile(ROOT / name, source / name)
            elif name != "src":
                shutil.copytree(ROOT / name, source / name)
        for stage in read_yaml((ROOT / "dvc.yaml").read_text())["stages"].values():
            for dep in stage.get("do", stage)["deps"]:
                name = dep.replace("${lib}", LIBRARY)
                if name.startswith(LIBRARY):
                    place = source / name / "code.py" if (ROOT / name).is_dir() else source / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(name)
        super().__init__(folder, source)
        for name in ("data/raw/one.jpg", "data/labels/labels.csv"):
            (self.folder / name).write_text(name)

    def copy(self, folder: Path) -> "StubProject":
        super().copy(folder)
        return StubProject.at(folder)

    def repro(self, *targets: str, **options) -> set[str]:
        """As `dvc repro` does it; returns the stages whose stubs were called."""
        ran: list[str] = []
        with self._opened() as repo:
            read = {
                Path(dep.fs_path)
                for stage in repo.index.stages
                for dep in stage.deps
                if dep.fs_path
            }

            def run(stage, dry=False, run_env=None):
                ran.append(stage.addressing)
                write_outs(stage, read)

            with mock.patch.object(dvc.stage.run, "cmd_run", run):
                repo.reproduce(list(targets) or None, **options)
        assert len(ran) == len(set(ran))
        return set(ran)

    def reached(self) -> set[str]:
        """The stages that `repro` would run, without a run: those that DVC's status finds changed,
        and all behind them in DVC's graph.
        """
        with self._opened() as repo:
            stages = {stage.addressing: stage for stage in repo.index.stages}
            behind = repo.index.graph.reverse(copy=False)
            changed = [stages[name] for name in repo.status() if name in stages]
            every = {*changed}.union(*(networkx.descendants(behind, each) for each in changed))
            return {stage.addressing for stage in every if stage.cmd}

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Repo]:
        """DVC's view of the project, in this process."""
        level = logging.getLogger("dvc").level
        logging.getLogger("dvc").setLevel(logging.WARNING)
        before = Path.cwd()
        os.chdir(self.folder)  # DVC's paths are those of the working directory
        try:
            with mock.patch.dict(os.environ, self.environment), Repo() as repo:
                yield repo
        finally:
            MemoryFileSystem.store.clear()  # DVC's lists of folders, which it would look through
            os.chdir(before)
            logging.getLogger("dvc").setLevel(level)


def write_outs(stage, read: set[Path]) -> None:
    """Write a hash of all that the stage reads into its outs, and into each file or folder in them
    that some stage reads.
    """
    inputs = [stage.cmd, *((str(dep), dep.hash_info.value) for dep in stage.deps)]
    digest = hashlib.sha256(repr(inputs).encode()).hexdigest()
    for out in map(Path, (out.fs_path for out in stage.outs)):
        parts = [path for path in read if out in path.parents] or [out]
        for path in parts:
            file = path if path.suffix else path / "content"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{digest} {file.name}")
