"""Outs that are read-only links into DVC's cache: new files take their place, and the cache is
never written through them.

As root, whom no read-only file stops, too.
"""

import shutil

import pytest
from PIL import Image

from processes import row_counts
from project import FETCHED, Project
from resources import read_yaml
from stages import call_stages, stages_of

pytestmark = pytest.mark.slow
WRITERS = ("preprocess", "embed", "train_attractiveness", "composite@women", "report")  # some
CROP = "data/processed/preproc/face_0001.jpg"


def add_photo(project: Project) -> None:
    raw = project.folder / "data/raw"
    with Image.open(raw / "face_0001.jpg") as photo:
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(raw / "zz_new.jpg")


def change_all(project: Project) -> None:
    """One photo less, another size and what follows from it."""
    (project.folder / "data/raw/face_0005.jpg").unlink()
    project.set_params({"preprocess.size": 80})
    project.repro()


@pytest.fixture(scope="module")
def copied(built, tmp_path_factory) -> tuple[Project, Project]:
    """A project with few stages and `cache.type copy`: as it is then, and after a photo more and
    `change_all`.
    """
    before = built.copy(tmp_path_factory.mktemp("before") / "copy")
    before.keep_stages("fetch_clip", "fetch_landmarker", "preprocess", "embed", "labels", "split")
    before.dvc("config", "cache.type", "copy")
    before.commit("few stages")
    after = before.copy(tmp_path_factory.mktemp("after") / "copy")
    add_photo(after)
    change_all(after)
    return before, after


def relink(project: Project, kind: str) -> None:
    project.dvc("config", "cache.type", kind)
    project.dvc("checkout", "-q", "--relink")
    crop = project.folder / CROP
    assert crop.is_symlink() == (kind == "symlink")
    assert crop.stat().st_nlink > 1 or kind == "symlink"
    assert not crop.stat().st_mode & 0o222


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["hardlink,symlink", "symlink"])
def test_the_cache_is_never_written_through_links(copied, tmp_path, kind):
    project = copied[0].copy(tmp_path / "copy")
    relink(project, kind)
    add_photo(project)
    output = project.dvc("repro", "embed").stdout
    assert [row_counts(output, script)["computed"] for script in ("preprocess", "embed")] == [1, 1]
    change_all(project)
    assert project.damaged_objects() == []
    assert project.read("dvc.lock") == copied[1].read("dvc.lock")
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert (project.folder / CROP).is_symlink() == (kind == "symlink")  # the new ones are links


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_every_stage_replaces_links_that_dvc_did_not_remove(project, kind):
    """Stages run by hand, over outs that are links; one of them as a program, which writes its
    warnings and its key, too.
    """
    relink(project, kind)
    crop = project.read(CROP)
    project.set_params({"preprocess.quality": 70})
    shutil.rmtree(project.folder / ".dvc/facestats-rows", ignore_errors=True)
    others = [name for name in stages_of(project) if name not in FETCHED]
    call_stages(project, *(others if kind == "hardlink" else WRITERS))
    command = read_yaml(project.read("dvc.lock"))["stages"]["select@women"]["cmd"]
    project.run("sh", "-c", f"{command} --name women")
    assert project.damaged_objects() == []
    assert project.read(CROP) != crop
