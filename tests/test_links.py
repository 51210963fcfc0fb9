"""Outs that are read-only links into DVC's cache: new files take their place, and the cache is
never written through them.

As root, whom no read-only file stops, too.
"""

import os
import shutil

import pytest
import yaml
from PIL import Image

from processes import row_counts
from project import FETCHED, Project

pytestmark = pytest.mark.slow


def add_photo(project: Project) -> None:
    raw = project.folder / "data/raw"
    with Image.open(raw / "face_0001.jpg") as photo:
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(raw / "zz_new.jpg")


def change_all(project: Project) -> None:
    """One photo less, another size and all that follows from it."""
    (project.folder / "data/raw/face_0005.jpg").unlink()
    project.set_params(
        {"preprocess.size": 80, "composites.women.filter.n": 6, "evaluate.bootstrap": 110}
    )
    project.repro()


@pytest.fixture(scope="module")
def copied(built, tmp_path_factory) -> tuple[Project, Project]:
    """A project with few stages and `cache.type copy`: as it is then, and after a photo more and
    `change_all`.
    """
    before = built.copy(tmp_path_factory.mktemp("before") / "copy")
    targets = yaml.safe_load(before.read("params.yaml"))["attributes"]["targets"]
    women = yaml.safe_load(before.read("params.yaml"))["composites"]["women"]
    before.set_params(
        {
            "zeroshot": {},
            "attributes.targets": {"gender": targets["gender"]},
            "composites": {"women": women},
            "continua": {},
            "differences": {},
        }
    )
    before.dvc("config", "cache.type", "copy")
    before.repro()
    before.commit("few stages")
    after = before.copy(tmp_path_factory.mktemp("after") / "copy")
    add_photo(after)
    change_all(after)
    return before, after


@pytest.mark.parametrize("kind", ["hardlink,symlink", "symlink"])
def test_the_cache_is_never_written_through_links(copied, tmp_path, kind):
    project = copied[0].copy(tmp_path / "copy")
    project.dvc("config", "cache.type", kind)
    project.dvc("checkout", "-q", "--relink")
    crop = project.folder / "data/processed/preproc/face_0001.jpg"
    assert crop.is_symlink() == (kind == "symlink")
    assert crop.stat().st_nlink > 1 or kind == "symlink"
    assert not crop.stat().st_mode & 0o222

    add_photo(project)
    output = project.dvc("repro", "embed").stdout
    assert [row_counts(output, script)["computed"] for script in ("preprocess", "embed")] == [1, 1]
    change_all(project)
    assert project.damaged_objects() == []
    assert project.read("dvc.lock") == copied[1].read("dvc.lock")
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert crop.is_symlink() == (kind == "symlink")  # the new ones are links again


def test_every_stage_replaces_links_that_dvc_did_not_remove(copied, tmp_path):
    """Stages run by hand, over outs that are links."""
    project = copied[0].copy(tmp_path / "copy")
    project.dvc("config", "cache.type", "hardlink")
    project.dvc("checkout", "-q", "--relink")
    project.set_params({"preprocess.size": 80, "preprocess.quality": 70})
    shutil.rmtree(project.folder / ".dvc/facestats-rows", ignore_errors=True)
    commands = {
        name: facts["cmd"]
        for name, facts in yaml.safe_load(project.read("dvc.lock"))["stages"].items()
    }
    for name in project.dvc("stage", "list", "--name-only").stdout.split():
        if name not in FETCHED:
            item = name.partition("@")[2]
            project.run(
                os.environ.get("SHELL") or "/bin/sh",
                "-c",
                commands[name] + (f" --name {item}" if item else ""),
            )
    assert project.damaged_objects() == []
    assert project.read("data/processed/preproc/face_0001.jpg") != copied[0].read(
        "data/processed/preproc/face_0001.jpg"
    )
