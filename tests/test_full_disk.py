"""A full disk: a clear error, earlier files intact, and rows that the next run finds.

Each test has a small file system of its own in memory, which takes root to mount.
"""

import gc
import json
import os
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import warm
from facestats.cli.rows_fill import fill_rows
from facestats.clip.embed import list_faces
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.files import write_bytes
from facestats.core.photo_files import list_images
from facestats.errors import InputError
from facestats.export.excel import write_workbook
from facestats.faces.tables import FACES
from facestats.rows.shard import Shard
from facestats.rows.store import KEY, RowStore
from facestats.sample import write_sample
from facestats.scores.network import Ensemble
from facestats.scores.regressor import Regressor
from programs import run_program, stage_command
from project import Project
from resources import landmarker_dir, write_params

SIDE = 96  # pixels of a face crop


class Disk:
    """A file system of its own below `folder`."""

    def __init__(self, folder: Path, size: str):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        done = run_program(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder])
        if done.returncode:
            pytest.skip(f"no file system can be mounted here ({done.stderr.strip()}); root can")

    def fill(self, left: int) -> None:
        """Leave so many bytes free, at most."""
        free = os.statvfs(self.folder)
        (self.folder / "ballast").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))

    def grow(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)
        run_program(["mount", "-o", "remount,size=64m", self.folder], check=True)

    def files(self) -> dict[str, bytes]:
        return {
            p.relative_to(self.folder).as_posix(): p.read_bytes()
            for p in self.folder.rglob("*")
            if p.is_file() and p.name != "ballast"
        }


@pytest.fixture
def mount():
    """Mounts a small file system; the test's end takes it away."""
    mounted = []

    def make(folder: Path, size: str) -> Disk:
        mounted.append(Disk(folder, size))
        return mounted[-1]

    yield make
    for disk in mounted:
        run_program(["umount", "-l", disk.folder])


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_sample(folder, n=60, size=SIDE, seed=3, progress=False)
    return folder / "images"


def write_table(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "filename": [f"{i}.jpg" for i in range(2000)],
            "key": "k",
            "embedding": list(rng.normal(size=(2000, 32)).astype(np.float32)),
        }
    )
    tables.write(frame, path, embeddings_schema(32))


def write_model(path: Path, seed: int) -> None:
    network = Ensemble(256, [128])
    network.start(torch.Generator().manual_seed(seed))
    Regressor(network, torch.zeros(256), torch.ones(256), 0.0, 1.0).save(path)


def write_noise(path: Path, seed: int) -> None:
    write_bytes(path, np.random.default_rng(seed).bytes(200_000))


def write_sheet(path: Path, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(2000, 4))
    write_workbook(path, {"faces": pd.DataFrame(values, columns=list("abcd"))})


@pytest.mark.long
@pytest.mark.parametrize("write", [write_noise, write_table, write_model, write_sheet])
def test_what_was_there_before_stays_when_the_disk_is_full(mount, tmp_path, write, monkeypatch):
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    disk = mount(tmp_path / "disk", "1m")
    target = disk.folder / "models" / "out.parquet"
    write(target, 1)
    before = disk.files()
    disk.fill(left=40_000)
    with pytest.raises(OSError, match="No space left") as raised:
        write(target, 2)
    assert raised.value.filename == str(target)
    assert disk.files() == before  # no temporary file either
    del raised
    gc.collect()
    assert not ignored
    disk.grow()
    write(target, 2)
    assert disk.files().keys() == before.keys()
    assert disk.files() != before


def stage(
    cwd: Path, script: str, rows: Path, images: Path | None = None, **options: Path
) -> subprocess.CompletedProcess:
    write_params(cwd, {"preprocess": {"size": SIDE}, "data": {"images": str(images)}})
    return run_program(
        stage_command(script, **options), cwd, os.environ | {"FACESTATS_ROWS": str(rows)}
    )


def assert_says_so(done: subprocess.CompletedProcess, where: Path) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(
        rf"^error: the disk is full \({re.escape(str(where))}", done.stderr, re.MULTILINE
    ), done.stderr
    assert "Traceback" not in done.stderr


def counts(done: subprocess.CompletedProcess) -> dict[str, int]:
    assert done.returncode == 0, done.stderr
    return {
        name: int(n)
        for name, n in re.findall(r"(rows|reused|computed|rejected)=(\d+)", done.stdout)
    }


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("full", ["outs", "rows"])
def test_preprocess_goes_on_where_the_disk_was_full(mount, photos, tmp_path, full):
    disk = mount(tmp_path / "disk", "256k")
    places = {"outs": tmp_path / "outs", "rows": tmp_path / "rows"} | {full: disk.folder}
    options = {
        "landmarker": landmarker_dir(),
        "crops": places["outs"] / "faces",
        "faces": places["outs"] / "meta/faces.parquet",
        "rows": places["rows"],
        "images": photos,
    }
    done = stage(tmp_path, "preprocess", **options)
    assert_says_so(done, disk.folder)
    assert not (places["outs"] / "meta/faces.parquet").exists()

    disk.grow()
    counted = counts(stage(tmp_path, "preprocess", **options))
    assert counted["rows"] == counted["reused"] + counted["computed"]
    if full == "outs":  # what was computed is kept, where there was room for it
        assert counted["reused"] > 10
    table = tables.read(places["outs"] / "meta/faces.parquet", FACES)
    assert counted["rows"] == len(table) > 60
    assert set(list_faces(Crops.of(places["outs"] / "faces"))) == set(table["filename"].dropna())
    left = [p for p in places["rows"].rglob(".*") if p.name != ".gitignore"]
    assert not left
    assert counts(stage(tmp_path, "preprocess", **options))["computed"] == 0


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.soak
@pytest.mark.parametrize("full", ["outs", "rows"])
def test_embed_goes_on_where_the_disk_was_full(mount, photos, clip_models, tmp_path, seed, full):
    disk = mount(tmp_path / "disk", "1m")
    places = {"outs": tmp_path / "outs", "rows": tmp_path / "rows"} | {full: disk.folder}
    places["rows"].mkdir(exist_ok=True)
    faces = tmp_path / "faces"
    faces.mkdir()
    for path in sorted(photos.glob("face_*.jpg")):
        shutil.copyfile(path, faces / path.name)
    out = places["outs"] / "embeddings.parquet"
    write_bytes(out, b"an earlier out")
    disk.fill(left=random.Random(seed).randrange(5_000, 40_000))
    options = {
        "crops": faces,
        "clip": clip_models["tiny"],
        "embeddings": out,
        "half": places["outs"] / "e.f16.npy",
        "rest": places["outs"] / "e.rest.npy",
        "rows": places["rows"],
    }
    done = stage(tmp_path, "embed", **options)
    assert_says_so(done, disk.folder)
    assert out.read_bytes() == b"an earlier out"
    assert [p.name for p in places["outs"].iterdir() if p.name != "ballast"] == [
        "embeddings.parquet"
    ]

    disk.grow()
    counted = counts(stage(tmp_path, "embed", **options))
    assert counted["rows"] == 60
    assert counted["computed"] == (0 if full == "outs" else 60)
    assert len(tables.read_embeddings(out)[0]) == 60


def fill_shard(root: Path, rows: Path, *words: str) -> subprocess.CompletedProcess:
    return run_program(
        [warm.python(), "-m", "facestats", "rows", "fill", *words],
        root,
        os.environ | {"FACESTATS_ROWS": str(rows)},
    )


def filled(done: subprocess.CompletedProcess) -> list[tuple[int, int]]:
    """Rows and computed ones of each stage."""
    assert done.returncode == 0, done.stderr
    facts = re.findall(r"^\w+ shard=.* rows=(\d+) .*computed=(\d+)", done.stdout, re.MULTILINE)
    return [(int(rows), int(computed)) for rows, computed in facts]


def shards_project(folder: Path, photos: Path, clip: Path) -> Path:
    """A folder in which rows can be filled; its crops go through `.dvc/tmp`."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "models/clip").symlink_to(clip)
    (folder / "models/landmarker").symlink_to(landmarker_dir())
    write_params(folder, {"preprocess": {"size": SIDE}, "data": {"images": str(photos)}})
    return folder


@pytest.mark.slow
def test_a_full_disk_on_one_of_three_machines_stops_its_shard_alone(
    mount, photos, clip_models, tmp_path
):
    disk, rows = mount(tmp_path / "two", "1m"), tmp_path / "rows"
    machines = [
        shards_project(tmp_path / name, photos, clip_models["tiny"])
        for name in ("one", "two/project", "three")
    ]
    disk.fill(left=8_000)  # a crop or two
    with ThreadPoolExecutor() as pool:
        shards = [
            pool.submit(fill_shard, machine, rows, "--shard", f"{number}/3")
            for number, machine in enumerate(machines)
        ]
        first, second, third = (shard.result() for shard in shards)
    assert second.returncode == 2
    assert "error: the disk is full (.dvc/tmp/" in second.stderr
    assert "Traceback" not in second.stderr
    disk.grow()
    again = filled(fill_shard(machines[1], rows, "--shard", "1/3"))
    assert again[0][1] == 0 < again[1][1]  # photos are cut, faces are embedded now
    parts = [filled(first)[0], again[0], filled(third)[0]]
    assert sum(part for part, _ in parts) == len(list_images(photos))


@pytest.mark.thorough
@pytest.mark.slow
def test_a_shard_whose_store_is_full_ends_with_an_error_and_goes_on_later(
    mount, photos, clip_models, tmp_path
):
    disk = mount(tmp_path / "rows", "256k")
    machine = shards_project(tmp_path / "one", photos, clip_models["tiny"])
    disk.fill(left=60_000)
    done = fill_shard(machine, disk.folder, "preprocess", "--shard", "0/2")
    assert done.returncode == 2, done.stdout
    assert f"error: the disk is full ({disk.folder}" in done.stderr
    assert "Traceback" not in done.stderr
    disk.grow()
    [(rows, computed)] = filled(fill_shard(machine, disk.folder, "preprocess", "--shard", "0/2"))
    assert 0 < computed <= rows
    assert not list(disk.folder.glob("preprocess/*/**/.*"))  # half-written


def test_a_store_on_a_read_only_disk_is_read_and_nothing_is_filled(
    mount, photos, tmp_path, monkeypatch
):
    disk, columns = mount(tmp_path / "disk", "1m"), {KEY: FACES.columns["key"]}
    with RowStore(disk.folder, "preprocess", "r", columns) as rows:
        rows.add({KEY: "a"})
    run_program(["mount", "-o", "remount,ro", disk.folder], check=True)
    warnings = []
    with RowStore(disk.folder, "preprocess", "r", columns, warn=warnings.append) as rows:
        assert rows.lookup(["a", "b"])[KEY].to_pylist() == ["a"]
        rows.add({KEY: "b"})
        assert rows.files.save(b"crop", tmp_path / "out/a.jpg")  # which is written all the same
    assert len(warnings) == 1
    assert "can't be written (" in warnings[0]
    assert (tmp_path / "out/a.jpg").read_bytes() == b"crop"
    monkeypatch.setenv("FACESTATS_ROWS", str(disk.folder))
    project = shards_project(tmp_path / "one", photos, tmp_path)
    with pytest.raises(InputError, match="the row store can't be written, so rows"):
        list(fill_rows(project, None, "preprocess", Shard()))


def test_rows_saved_before_the_disk_was_full_are_found(mount, tmp_path, monkeypatch):
    disk = mount(tmp_path / "disk", "256k")
    columns = {KEY: FACES.columns["key"], "sha256": FACES.columns["sha256"]}
    monkeypatch.setattr("facestats.rows.store._SAVE_EVERY", 0)

    def row(i: int) -> dict:
        return {KEY: f"{i}", "sha256": np.random.default_rng(i).bytes(4000).hex()}

    added = []

    def add_rows() -> None:
        with RowStore(disk.folder, "preprocess", "r", columns) as rows:
            for i in range(200):
                rows.add(row(i))
                added.append(str(i))

    with pytest.raises(OSError, match="No space left"):
        add_rows()
    assert 5 < len(added) < 100
    disk.grow()
    warnings = []
    with RowStore(disk.folder, "preprocess", "r", columns, warn=warnings.append) as rows:
        stored = rows.lookup(added)
    assert {r[KEY]: r for r in stored.to_pylist()} == {key: row(int(key)) for key in added}
    assert not warnings


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    "full", [pytest.param("data/processed", marks=pytest.mark.thorough), ".dvc/cache"]
)
def test_repro_goes_on_where_the_disk_was_full(mount, tmp_path, full):
    """Workspace and cache on one small file system each.

    The message comes from the stage, or from DVC itself.
    """
    project = Project(tmp_path)
    disk = mount(project.folder / full, "16m")
    project.add_drawn_faces(n=40, seed=7)
    project.repro("fetch_clip", "preprocess")
    before = project.read("dvc.lock")
    disk.fill(left=0)
    project.set_params(
        {"preprocess.size": 192}
    )  # crops that need more room than those that DVC removes
    done = project.dvc("repro", "preprocess", check=False)
    assert done.returncode != 0
    assert (
        "the disk is full" in done.stderr
        if full == "data/processed"
        else "No space left on device" in done.stderr
    )
    assert project.read("dvc.lock") == before
    assert not project.damaged_objects()

    disk.grow()
    done = project.dvc("repro", "preprocess")
    assert counts(done)["reused"] > 10
    project.set_params({"preprocess.size": 96})
    assert not project.repro("preprocess")  # from DVC's cache
    assert project.read("dvc.lock") == before
    assert json.loads(project.dvc("status", "--json", "preprocess").stdout) == {}
