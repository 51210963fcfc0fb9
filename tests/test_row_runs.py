"""Rows that a change costs, with real DVC: `preprocess` and `embed` compute only new ones."""

import re
import shutil
import time

import pandas as pd
import pytest
from PIL import Image

from processes import PATIENCE
from programs import run_program, stage_command
from project import Project, executed
from resources import landmarker_dir, write_params
from stages import call_stages

pytestmark = pytest.mark.slow

LINE = re.compile(
    r"^rows=(\d+) reused=(\d+) computed=(\d+) rejected=(\d+).* seconds=\d+\.\d$", re.MULTILINE
)


def counts(output: str) -> list[tuple[int, int, int]]:
    """(rows, reused, computed) of each stage that works row by row, in the order of the run."""
    return [tuple(map(int, match.groups()[:3])) for match in LINE.finditer(output)]


def run_rows(project: Project, *arguments: str, **environment: str) -> list[tuple[int, int, int]]:
    return counts(project.dvc("repro", "embed", *arguments, **environment).stdout)


def redraw(project: Project, target: str, quality: int) -> None:
    """A photo that nobody has seen, for each quality another: a mirrored one."""
    photo = Image.open(project.folder / "data/raw/face_0001.jpg").transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    )
    photo.save(project.folder / "data/raw" / target, quality=quality)


@pytest.fixture
def project(project) -> Project:
    """The copy with its two stages that work row by row, and what those need."""
    project.keep_stages("fetch_clip", "fetch_landmarker", "preprocess", "embed")
    project.commit("rows alone")
    return project


@pytest.fixture(scope="module")
def sizes(built) -> tuple[int, int]:
    """Photos and faces of the small project."""
    frame = pd.read_parquet(built.folder / "data/processed/metadata/faces.parquet")
    return len(frame), int((frame["status"] == "ok").sum())


@pytest.mark.thorough
def test_new_images_cost_their_own_rows_and_others_nothing(project, sizes, monkeypatch):
    photos, faces = sizes
    raw = project.folder / "data/raw"
    (raw / "new").mkdir()
    redraw(project, "new/first.jpg", quality=95)
    redraw(project, "new/second.jpg", quality=94)
    shutil.copyfile(raw / "face_0004.jpg", raw / "copy.jpg")
    (raw / "face_0005.jpg").rename(raw / "renamed.jpg")
    (raw / "face_0006.jpg").unlink()
    (raw / "no photo.jpg").write_bytes(b"none")
    done = project.dvc("repro", "embed")
    assert counts(done.stdout) == [(photos + 3, photos, 3), (faces + 2, faces, 2)]
    assert "not an image that Pillow can read" in done.stderr
    shutil.copytree(project.folder / "data/processed", project.folder.parent / "in steps")
    monkeypatch.setenv("FACESTATS_NO_REUSE", "1")
    lines = call_stages(project, "preprocess", "embed")
    assert lines[0].startswith(f"rows={photos + 3} reused=0 computed={photos + 3} ")
    assert lines[1].startswith(f"rows={faces + 2} reused=0 computed={faces + 2} ")
    for name in ("metadata/faces.parquet", "embeddings/embeddings_clip.parquet"):
        assert (
            project.read(f"data/processed/{name}")
            == (project.folder.parent / "in steps" / name).read_bytes()
        )


@pytest.mark.thorough  # test_row_shards.py has two versions of the code, test_layout.py their files
def test_only_the_rows_whose_code_or_parameters_changed_are_computed(project, sizes):
    photos, faces = sizes
    code = {"PYTHONPATH": str(project.folder / "src")}
    with open(project.folder / "src/facestats/rows/segments.py", "a") as file:
        file.write("# read by no row\n")
    assert run_rows(project, **code) == [(photos, photos, 0), (faces, faces, 0)]
    with open(project.folder / "src/facestats/faces/quality.py", "a") as file:
        file.write("# of every row of preprocess\n")
    assert run_rows(project, **code) == [
        (photos, 0, photos)
    ]  # the same faces: `embed` need not run
    with open(project.folder / "src/facestats/checkpoints/transform.py", "a") as file:
        file.write("# of every embedding\n")
    assert run_rows(project, **code) == [(faces, 0, faces)]


@pytest.mark.thorough
def test_there_and_back_again_comes_from_dvcs_cache(project, sizes):
    photos, faces = sizes
    project.set_params({"preprocess.size": 64})
    assert run_rows(project) == [(photos, 0, photos), (faces, 0, faces)]
    project.set_params({"preprocess.size": 96})
    output = project.dvc("repro", "embed").stdout
    assert executed(output) == set()
    assert "up to date" in project.dvc("status", "embed").stdout


@pytest.mark.thorough
def test_a_temporary_run_computes_what_is_new(project, sizes):
    photos, faces = sizes
    redraw(project, "aside.jpg", quality=93)
    output = project.dvc("exp", "run", "--temp", "-n", "aside", "embed").stdout
    assert counts(output) == [(photos + 1, photos, 1), (faces + 1, faces, 1)]


def follow(project: Project, name: str, deadline: float) -> str:
    """What a queued run says to its end. DVC may call it running before it has a log."""
    while (done := project.dvc("queue", "logs", "--follow", name, check=False)).returncode:
        assert "No such file" in done.stderr, done.stderr
        assert time.monotonic() < deadline, done.stderr
        time.sleep(1)
    return done.stdout


@pytest.mark.thorough
def test_two_queued_runs_at_once_compute_each_row_once(project, sizes):
    names = ("width5", "width6")
    for name in names:
        project.dvc(
            "exp",
            "run",
            "--queue",
            "-S",
            "preprocess.size=80",
            "-S",
            f"mlp.hidden={name[-1]}",
            "-n",
            name,
            "embed",
        )
    project.dvc("queue", "start", "--jobs", "2")
    deadline = time.monotonic() + PATIENCE
    try:
        while "Queued" in project.dvc("queue", "status").stdout and time.monotonic() < deadline:
            time.sleep(2)  # there is no log of a run that has not been started
        logged = [counts(follow(project, name, deadline)) for name in names]
    finally:
        project.dvc("queue", "stop", "--kill", check=False)
    assert [len(stages) for stages in logged] == [2, 2]
    for total, stages in zip(sizes, zip(*logged, strict=True), strict=True):
        assert sorted(stages) == [(total, 0, total), (total, total, 0)]


@pytest.mark.thorough
def test_a_clone_that_pulled_computes_one_row_for_one_image(project, sizes, tmp_path):
    photos, faces = sizes
    project.dvc("remote", "add", "--default", "shared", str(tmp_path / "remote"))
    project.dvc("push", "-q")
    project.git("clone", "-q", str(project.folder), str(tmp_path / "other/repo"))
    other = Project.at(tmp_path / "other")
    other.dvc("remote", "add", "--default", "shared", str(tmp_path / "remote"))
    other.dvc("pull", "-q")
    assert other.repro() == set()
    redraw(other, "one more.jpg", quality=92)
    assert run_rows(other) == [(photos + 1, photos, 1), (faces + 1, faces, 1)]
    shutil.rmtree(other.folder / ".dvc/facestats-rows")
    (other.folder / "data/raw/one more.jpg").unlink()
    other.dvc("repro", "embed")
    assert other.read("dvc.lock") == project.read("dvc.lock")


@pytest.mark.thorough
def test_the_store_is_small_beside_dvcs_cache_and_pruning_keeps_what_is_used(project, sizes):
    def size(folder: str) -> int:
        seen = {
            path.stat().st_ino: path.stat().st_size
            for path in (project.folder / folder).rglob("*")
            if path.is_file()
        }
        return sum(seen.values())

    photos, faces = sizes
    assert size(".dvc/facestats-rows") < 0.2 * size(".dvc/cache")
    redraw(project, "passing.jpg", quality=91)
    run_rows(project)
    (project.folder / "data/raw/passing.jpg").unlink()
    run_rows(project)
    assert re.search(
        rf"preprocess rows=\d+ used={photos - 1} ", project.facestats("rows").stdout
    )  # two photos are equal
    assert "removed: rows=" in project.facestats("rows", "prune").stdout
    assert f"preprocess rows={photos - 1} used={photos - 1} " in project.facestats("rows").stdout
    assert f"embed      rows={faces - 1} used={faces - 1} " in project.facestats("rows").stdout
    assert run_rows(project, "--force", "--no-run-cache")[-2:] == [
        (photos, photos, 0),
        (faces, faces, 0),
    ]
    assert project.git("status", "--short", ".dvc").stdout == ""


def test_a_stage_run_by_hand_outside_of_dvc_computes_all_and_says_so(project, tmp_path):
    write_params(tmp_path, {"data": {"images": "photos"}})
    shutil.copytree(project.folder / "data/raw/album.jpg", tmp_path / "photos")
    for _ in range(2):
        done = run_program(
            stage_command(
                "preprocess", landmarker=landmarker_dir(), crops="faces", faces="faces.parquet"
            ),
            tmp_path,
        )
        assert counts(done.stdout) == [(1, 0, 1)], done.stderr
