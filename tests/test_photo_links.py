"""Links among photos through which DVC would copy, and share, files from elsewhere."""

import os
import runpy

import pytest
import yaml

from facestats.cli.doctor_inputs import examine_inputs
from facestats.core.photo_files import links_out
from facestats.errors import InputError
from facestats.params.project import load_params
from resources import ROOT


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with photos, some of them links, beside a private file."""
    (tmp_path / "netrc").write_text("secret")
    root = tmp_path / "project"
    for folder in ("data/photos/in", "data/labels", ".dvc/cache/files/md5/ab"):
        (root / folder).mkdir(parents=True)
    (root / ".dvc/config").touch()
    (root / "data/photos/a.jpg").touch()
    (root / ".dvc/cache/files/md5/ab/cd").touch()
    for link, target in (
        ("inside.jpg", "a.jpg"),
        ("in/inside.jpg", "../a.jpg"),
        ("cached.jpg", "../../.dvc/cache/files/md5/ab/cd"),
        ("nothing.jpg", "/nowhere"),
        ("loop.jpg", "loop.jpg"),
        ("folder", "/usr"),
    ):
        (root / "data/photos" / link).symlink_to(target)
    (root / "data/raw").symlink_to("photos")  # as `data.images` may be
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"images": "data/raw", "labels": "data/labels"}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(root)
    return root


def test_links_within_the_folder_and_to_dvcs_cache_stay(root):
    assert links_out(root / "data/raw", root / ".dvc/cache") == {}
    assert [*links_out(root / "data/raw", None)] == ["cached.jpg"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["b.jpg", ".hidden", "in/.b", ".git/config", "project/.dvc/x"])
@pytest.mark.parametrize("target", ["netrc", "/proc/self/mem", "link"])
def test_a_link_that_leads_out_is_named_and_no_photo_is_read(root, name, target):
    path = root / "data/photos" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / "data/labels/on").symlink_to(root.parent / "netrc")
    path.symlink_to(
        {"netrc": os.path.relpath(root.parent / "netrc", path.parent)}.get(target, target)
        if target != "link"
        else root / "data/labels/on"
    )
    (message,) = links_out(root / "data/raw", root / ".dvc/cache").values()
    assert "outside of the folder: `dvc add` would copy that file, and `dvc push` share" in message
    params = load_params("params.yaml")
    problems = [
        finding for finding in examine_inputs(root, params).problems if finding.kind == "link"
    ]
    assert [finding.message for finding in problems] == [message]
    stage = runpy.run_path(str(ROOT / "stages/preprocess.py"))["main"]
    with pytest.raises(InputError, match="outside of the folder"):
        stage(params, root / "nowhere", root / "crops", root / "faces.parquet")
    assert not (root / "crops").exists()


def test_labels_by_hand_that_lie_elsewhere_are_named(root):
    params = load_params("params.yaml")
    path = root / params.data.manual_labels
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(root.parent / "netrc")
    (problem,) = [each for each in examine_inputs(root, params).warnings if each.kind == "link"]
    assert f"leads out of the project folder to {root.parent / 'netrc'}: " in problem.message


def test_several_links_are_counted(root):
    for name in ("b.jpg", "c.jpg", "d.jpg"):
        (root / "data/photos" / name).symlink_to(root.parent / "netrc")
    params = load_params("params.yaml")
    stage = runpy.run_path(str(ROOT / "stages/preprocess.py"))["main"]
    with pytest.raises(InputError, match=r"^data/raw/b\.jpg is a link .*\. 2 more: see `python"):
        stage(params, root / "nowhere", root / "crops", root / "faces.parquet")


def test_labels_and_models_may_lie_elsewhere_but_are_named(root):
    names = ["data/labels/labels.csv", "data/pretrained/clip/config.json"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(root.parent / "netrc")
    inputs = examine_inputs(root, load_params("params.yaml"))
    assert [finding.path for finding in inputs.warnings if finding.kind == "link"] == names
