"""Outs that are read-only links into DVC's cache: new files take their place, and the cache is never written through them.

As root, whom no read-only file stops, too.
"""

import os
import shutil

import pytest
import yaml
from PIL import Image

from processes import Repro, row_counts
from project import Project

pytestmark = pytest.mark.slow

def run(project: Project, *targets: str) -> str:
    code, output = Repro(project, *targets).wait()
    assert code == 0, output
    return output


def change(project: Project) -> dict[str, dict[str, int]]:
    """One photo more, then another size and all that follows from it; returns what `preprocess` and `embed` counted at first."""
    raw = project.folder / "data/raw"
    with Image.open(raw / "face_0001.jpg") as photo:
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(raw / "zz_new.jpg")
    output = run(project, "embed")
    counts = {script: row_counts(output, script) for script in ("preprocess", "embed")}
    (raw / "face_0005.jpg").unlink()
    project.set_params({"preprocess.size": 80, "composites.women.filter.n": 6, "evaluate.bootstrap": 110})
    run(project)
    return counts


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> tuple[Project, Project]:
    """A small project, built with `cache.type copy`: as it is then, and after `change`."""
    built = Project(tmp_path_factory.mktemp("built"))
    targets = yaml.safe_load(built.read("params.yaml"))["attributes"]["targets"]
    built.set_params({"zeroshot": {}, "attributes.targets": {"gender": targets["gender"]}, "composites": {
        "women": {"filter": {"gender": "female", "n": 8, "min_results": 4}, "render": {"align": "warp"}}}})
    built.add_drawn_faces(n=60, seed=7)
    built.dvc("config", "cache.type", "copy")
    built.commit("a small project")
    run(built)
    built.commit("run")
    changed = copy(built, tmp_path_factory.mktemp("changed"))
    change(changed)
    return built, changed


def copy(project: Project, folder) -> Project:
    shutil.copytree(project.folder.parent, folder / "copy", symlinks=True)
    return Project.at(folder / "copy")


@pytest.mark.parametrize("kind", ["hardlink,symlink"])
def test_the_cache_is_never_written_through_links(copied, tmp_path, kind):
    built, changed = copied
    project = copy(built, tmp_path)
    project.dvc("config", "cache.type", kind)
    project.dvc("checkout", "-q", "--relink")
    crop = project.folder / "data/processed/preproc/face_0001.jpg"
    assert crop.is_symlink() == (kind == "symlink")
    assert crop.stat().st_nlink > 1 or kind == "symlink"
    assert not crop.stat().st_mode & 0o222

    counts = change(project)
    assert counts["preprocess"]["computed"] == counts["embed"]["computed"] == 1
    assert project.damaged_objects() == []
    assert project.read("dvc.lock") == changed.read("dvc.lock")
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert crop.is_symlink() == (kind == "symlink")  # the new ones are links again


def test_every_stage_replaces_links_that_dvc_did_not_remove(copied, tmp_path):
    """Stages run by hand, over outs that are links."""
    project = copy(copied[0], tmp_path)
    project.dvc("config", "cache.type", "hardlink")
    project.dvc("checkout", "-q", "--relink")
    project.set_params({"preprocess.size": 80, "preprocess.quality": 70})
    shutil.rmtree(project.folder / ".dvc/facestats-rows", ignore_errors=True)
    for name, facts in yaml.safe_load(project.read("dvc.lock"))["stages"].items():
        if name not in ("fetch_clip", "fetch_landmarker", "sample"):
            project.run(os.environ.get("SHELL") or "/bin/sh", "-c", facts["cmd"])
    assert project.damaged_objects() == []
    assert project.read("data/processed/preproc/face_0001.jpg") != copied[0].read("data/processed/preproc/face_0001.jpg")
