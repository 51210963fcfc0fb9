"""`python -m facestats forget`: a person is gone from photos, labels, rows and, where asked, from
DVC's cache and the remote.
"""

import hashlib
import json
import os
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from documented import run_documented
from facestats.__main__ import main
from facestats.cli.indexes import prune_indexes
from facestats.labels.removal import read_label_file
from facestats.rows.lock import using
from project import Project

pytestmark = pytest.mark.slow

NAME = "face_0003.jpg"
STAGES = ("fetch_clip", "fetch_landmarker", "preprocess", "embed", "labels", "split")


@pytest.fixture
def forget(project, capfd):
    """Runs the command in this process and returns what it says."""

    def run(*arguments: str, code: int = 0) -> str:
        capfd.readouterr()
        status = main(["forget", *arguments, "--root", str(project.folder)])
        output = "".join(capfd.readouterr())
        assert status == code, output
        return output

    return run


def everything(project: Project) -> dict[str, str]:
    """Hash of every file but DVC's and git's own."""
    files = {
        path.relative_to(project.folder): path
        for path in project.folder.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".lock")
    }
    return {
        str(name): hashlib.md5(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if not {".git", "tmp"} & {*name.parts}
    }


def stored(project: Project, stage: str, column: str) -> set[str]:
    return {
        value
        for path in (project.folder / ".dvc/facestats-rows" / stage).glob("*/*.parquet")
        for value in pq.read_table(path)[column].to_pylist()
    }


def holding(folder, name: str) -> list[str]:
    """Objects of a DVC cache or remote that name a photo: listings of folders, tables, text."""
    status = []
    for path in folder.glob("files/md5/*/*"):
        data = path.read_bytes()
        text = pd.read_parquet(path).to_csv().encode() if data[:4] == b"PAR1" else data
        status += [path.name] if name.encode() in text else []
    return status


def label(project: Project, text: str) -> None:
    (project.folder / "data/labels/labels.csv").write_text(text)


def test_photos_copies_labels_and_rows_go_and_nothing_else(project, forget):
    raw = project.folder / "data/raw"
    photo = (raw / NAME).read_bytes()
    shutil.copyfile(raw / NAME, raw / "copy.png")
    (project.folder / "data/manual_labels.csv").write_text(
        "filename,age\nface_0005.jpg,31\ncopy.png.jpg,40\n"
    )
    rows = {
        name: (project.folder / "data/labels" / name).read_text().splitlines(keepends=True)
        for name in ("labels.csv", "ratings.csv")
    }
    keys = pd.read_parquet(
        project.folder / "data/processed/embeddings/embeddings_clip.parquet"
    ).set_index("filename")["key"]
    index = project.folder / ".dvc/facestats-rows/neighbour-index/1.bin"
    index.parent.mkdir()
    index.write_bytes(b"all faces")
    before = everything(project)

    output = forget(NAME, "--dry-run")
    assert everything(project) == before
    assert "copy.png: would be removed" in output
    assert "1.bin: would be removed: it holds faces" in output
    assert "nothing removed" in output
    output = forget(str(raw / NAME))
    after = everything(project)
    gone = {name for name in before.keys() - after.keys() if "facestats-rows" not in name}
    assert gone == {f"data/raw/{NAME}", "data/raw/copy.png"}
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert changed == {
        "data/labels/labels.csv",
        "data/labels/ratings.csv",
        "data/manual_labels.csv",
    }
    for name, lines in rows.items():
        assert (project.folder / "data/labels" / name).read_text() == "".join(
            line for line in lines if NAME not in line
        )
    assert project.read("data/manual_labels.csv") == b"filename,age\nface_0005.jpg,31\n"
    assert [path.name[64:] for path in index.parent.iterdir()] == ["-forgotten"]
    assert hashlib.sha256(photo).hexdigest() not in stored(project, "preprocess", "sha256")
    assert len(stored(project, "preprocess", "sha256")) > 100
    assert stored(project, "embed", "key") == set(keys.drop(NAME))
    assert f"forget copy.png {NAME} --cache" in output  # how to go on
    assert "git's history" in output


def test_indexes_of_other_projects_and_of_faces_that_stay(project, forget):
    (project.folder / "data/raw/none.jpg").write_bytes(b"no face")
    place = project.folder / ".dvc/facestats-rows/neighbour-index"
    place.mkdir()
    for name in ("1.bin", f"{'b' * 64}-forgotten"):
        (place / name).write_bytes(b"")
    prune_indexes(project.folder)
    assert [path.name for path in place.iterdir()] == [f"{'b' * 64}-forgotten"]
    forget("none.jpg")
    assert [path.name for path in place.iterdir()] == [f"{'b' * 64}-forgotten"]


def test_a_person_is_all_photos_with_that_name(project, forget):
    label(project, "image,person\nface_0003.jpg,anna\nface_0004.jpg,anna\nface_0006.jpg,bert\n")
    output = forget("face_0003.jpg", "--dry-run")
    assert "face_0004.jpg shows anna, too" in output
    assert "did you mean anna" in forget("--person", "ana", code=2)
    forget("--person", "anna")
    assert [(project.folder / "data/raw" / f"face_000{n}.jpg").exists() for n in (3, 4, 6)] == [
        False,
        False,
        True,
    ]
    assert project.read("data/labels/labels.csv") == b"image,person\nface_0006.jpg,bert\n"


def test_what_cannot_be_done_touches_nothing(project, forget, tmp_path):
    before = everything(project)
    output = forget(NAME, "fase_0005.jpg", code=2)
    assert "fase_0005.jpg: no such image" in output
    assert "face_0005.jpg" in output
    assert "no such remote" in forget(NAME, "--cache", "--remote", "nowhere", code=2)
    assert "--remote goes with --cache" in forget(NAME, "--remote", "nowhere", code=2)
    assert "name an IMAGE or a --person" in forget(code=2)
    assert everything(project) == before
    original = tmp_path / "original.jpg"
    (project.folder / "data/raw/face_0005.jpg").rename(original)
    (project.folder / "data/raw/face_0005.jpg").symlink_to(original)
    assert "is a link to" in forget(NAME, "face_0005.jpg", code=2)
    assert (project.folder / "data/raw" / NAME).exists()
    project.dvc("cache", "dir", "--local", str(tmp_path / "shared"))
    assert "other projects may use it" in forget(NAME, "--cache", code=2)
    project.set_params({"data.images": "data/sample/images"})
    assert "there is nobody to forget" in forget(NAME, code=2)
    assert (project.folder / "data/raw" / NAME).exists()


def test_rows_that_a_run_uses_are_named_and_removed(project, forget):
    (recipe,) = (
        path for path in (project.folder / ".dvc/facestats-rows/embed").iterdir() if path.is_dir()
    )
    rows = stored(project, "embed", "key")
    with using(recipe):
        output = forget(NAME, code=1)
    assert f"{recipe} is in use by a run (process {os.getpid()} " in output
    assert len(stored(project, "embed", "key")) == len(rows) - 1
    forget(NAME)  # the photo is gone, but the last run knows it
    assert len(stored(project, "embed", "key")) == len(rows) - 1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            '\ufeffimage;note\r\n"a;b.jpg";"two\r\nlines"\r\n c.jpg ;x\r\n',
            "\ufeffimage;note\r\n c.jpg ;x\r\n",
        ),
        ("\nnote,image\n\n1,c.jpg\n2,a;b.jpg", "\nnote,image\n\n1,c.jpg\n"),
    ],
)
def test_other_lines_of_a_label_file_keep_their_bytes(tmp_path, text, left):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode())
    read_label_file(path).remove(["a;b.jpg"])
    assert path.read_bytes() == left.encode()


@pytest.mark.thorough
def test_the_cache_and_the_remote_keep_no_picture_table_or_listing(project, forget):
    """With the stages that know faces one by one: the others' outs are removed by the same
    command.
    """
    project.keep_stages(*STAGES)
    for name in (
        "data/interim",
        "data/processed/composites",
        "data/sample",
    ):  # which no stage makes any more
        shutil.rmtree(project.folder / name, ignore_errors=True)
    remote = project.folder.parent / "remote"
    project.dvc("remote", "add", "storage", str(remote))
    project.dvc("remote", "modify", "storage", "verify", "true")
    project.dvc("push", "-q", "-r", "storage")
    project.commit("few stages")
    cache = project.folder / ".dvc/cache"
    pictures = [project.read(f"data/raw/{NAME}"), project.read(f"data/processed/preproc/{NAME}")]
    objects = [
        f"files/md5/{md5[:2]}/{md5[2:]}"
        for md5 in (hashlib.md5(data).hexdigest() for data in pictures)
    ]
    (
        project.folder / "data/labels/truth.csv"
    ).unlink()  # the drawn faces' secrets: read by no stage, so left to the user
    for place in (cache, remote):
        assert all((place / name).is_file() for name in objects)
        assert len(holding(place, NAME)) > 5

    assert "nothing removed (--dry-run); without it: `dvc repro`" in forget(
        NAME, "--cache", "--remote", "storage", "--dry-run"
    )
    forget(NAME)  # later, nothing but the cache still knows the name
    output = run_documented(project, "docs/sharing.md", "forget", {"--person anna": NAME})
    assert f"2 pictures of {NAME} were in DVC's cache, 0 are left in it or on storage" in output
    for place in (cache, remote):
        assert [name for name in objects if (place / name).exists()] == []
        assert holding(place, NAME) == []
    faces = pd.read_parquet(project.folder / "data/processed/metadata/faces.parquet")["image"]
    assert NAME not in set(faces)
    assert json.loads(project.dvc("status", "--json").stdout) == {}
    project.dvc("push", "-q", "-r", "storage")
    assert holding(remote, NAME) == []
