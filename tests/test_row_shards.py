"""`rows fill --shard`: several processes fill one store; `dvc repro` puts rows together."""

import os
import re
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc
import pytest
from benchmarks import cluster_paper

from documented import block, read, run_documented
from facestats.cli import rows_fill
from facestats.errors import InputError
from facestats.rows.shard import Shard
from listed import stored_rows
from programs import end_programs, run_program, start_program
from project import Project
from resources import ROOT, landmarker_dir, write_params
from servers import bucket_client, s3
from test_row_runs import counts

pytestmark = pytest.mark.slow
PAGE = "docs/methods/scaling.md"
LINE = re.compile(
    r"^(preprocess|embed) shard=(\d)/(\d) rows=(\d+) reused=(\d+) computed=(\d+) rejected=\d+"
    r"(?: failed=0)? sec",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def fresh(built, tmp_path_factory) -> Project:
    """A project whose `preprocess` and `embed` have rows to compute, all of them."""
    project = built.copy(tmp_path_factory.mktemp("fresh") / "copy")
    project.keep_stages("fetch_clip", "fetch_landmarker", "preprocess", "embed")
    project.set_params({"preprocess.size": 64})
    project.commit("other crops")
    return project


@pytest.fixture(scope="module")
def undisturbed(fresh, tmp_path_factory) -> tuple[bytes, list[tuple[int, int, int]]]:
    """dvc.lock and counts of one process that nobody disturbs."""
    project = fresh.copy(tmp_path_factory.mktemp("undisturbed") / "copy")
    output = project.dvc("repro", "embed").stdout
    return project.read("dvc.lock"), counts(output)


@contextmanager
def ray_head(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A Ray cluster that `ray start` began; yields the environment in which `auto` finds it.

    Its machines have the keys of the bucket, as users give them to each.
    """
    with TemporaryDirectory(prefix="ray") as folder:  # its path is short, as sockets want it
        place = {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        words = "start --head --block --port 0 --num-cpus 2 --include-dashboard false"
        ray = [Path(sys.executable).with_name("ray"), *words.split()]
        head = start_program(
            [*ray, "--object-store-memory", str(80 * 2**20)],
            Path(folder),
            os.environ | environment | place,
        )
        while not list(Path(folder).glob("**/ray_current_cluster")):
            assert head.poll() is None, f"ray start ended with {head.returncode}"
            time.sleep(0.1)
        yield place
        end_programs(Path(folder))


def copies(fresh: Project, folder: Path, number: int) -> list[Project]:
    """Clones that share one row store, as machines do."""
    projects = [fresh.copy(folder / str(n)) for n in range(number)]
    for project in projects:
        project.environment["FACESTATS_ROWS"] = str(folder / "rows")
    return projects


def in_bucket(address: str) -> dict[str, str]:
    """The environment of a program that keeps rows in the server's bucket."""
    return {
        "FACESTATS_ROWS": "s3://our-bucket/some/rows",
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "a key",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def filled(output: str) -> dict[str, list[int]]:
    """Rows, reused and computed ones of each stage."""
    return {stage: list(map(int, facts[2:5])) for stage, *facts in LINE.findall(output)}


@pytest.mark.thorough
def test_four_shards_and_two_runs_at_once_write_what_one_process_does(fresh, undisturbed, tmp_path):
    first, second = copies(fresh, tmp_path, 2)
    with ThreadPoolExecutor() as pool:
        shards = [
            pool.submit(first.facestats, "rows", "fill", "--shard", f"{number}/4")
            for number in range(4)
        ]
        runs = [pool.submit(project.dvc, "repro", "embed") for project in (first, second)]
        parts = [filled(shard.result().stdout) for shard in shards]
        assert [run.result().returncode for run in runs] == [0, 0]
    lock, [(photos, *_), (faces, *_)] = undisturbed
    assert sum(part["preprocess"][0] for part in parts) == photos
    assert first.read("dvc.lock") == second.read("dvc.lock") == lock
    again = first.dvc("repro", "embed", "--force", "--no-run-cache")
    assert counts(again.stdout)[-2:] == [(photos, photos, 0), (faces, faces, 0)]
    assert first.read("dvc.lock") == lock


@pytest.mark.thorough
@pytest.mark.server
def test_a_ray_cluster_that_loses_a_node_writes_what_one_process_does(fresh, undisturbed, tmp_path):
    if not find_spec("ray"):
        pytest.skip("needs the package ray (tests/requirements-servers.txt)")
    (project,) = copies(fresh, tmp_path, 1)
    lock, [(photos, *_), (faces, *_)] = undisturbed
    program = [sys.executable, ROOT / "tests/ray_nodes.py", project.folder, "3", "4", "--kill"]
    output = run_program(program, project.folder, project.environment, check=True).stdout
    assert re.search(r"^killed [0-9a-f]{6} after a batch of (preprocess|embed)$", output, re.M)
    assert re.search(rf"^preprocess engine=ray rows={photos} .* failed=0 ", output, re.M)
    assert len(re.findall(r"^node ", output, re.M)) > 1
    assert counts(project.dvc("repro", "embed").stdout)[-2:] == [
        (photos, photos, 0),
        (faces, faces, 0),
    ]
    assert project.read("dvc.lock") == lock


@pytest.mark.thorough
@pytest.mark.server
def test_a_ray_cluster_fills_a_bucket_with_rows_of_photos_in_a_bucket(fresh, undisturbed, tmp_path):
    if not find_spec("ray"):
        pytest.skip("needs the package ray (tests/requirements-servers.txt)")
    lock, [(photos, *_), (faces, *_)] = undisturbed
    project, tarred = copies(fresh, tmp_path, 2)
    names = sorted(path.name for path in (project.folder / "data/raw").glob("face_*.jpg"))[:4]
    with s3() as address, ray_head(in_bucket(address)) as cluster:
        project.environment |= in_bucket(address) | cluster
        bucket = bucket_client(address)
        for name in names:
            bucket.upload_file(str(project.folder / "data/raw" / name), "our-bucket", f"in/{name}")
        listed = "".join(f"s3://our-bucket/in/{name}\n" for name in names)
        (project.folder / "list.csv").write_text(f"uri\n{listed}")
        fill = ("rows", "fill", "--engine", "ray", "--address", "auto")
        output = project.facestats(*fill, "--photos", "list.csv").stdout
        assert "preprocess engine=ray rows=4 reused=0 computed=4 " in output
        output = project.facestats(*fill).stdout
        assert f"preprocess engine=ray rows={photos} reused=4 computed={photos - 4} " in output
        assert counts(project.dvc("repro", "embed").stdout) == [
            (photos, photos, 0),
            (faces, faces, 0),
        ]
        assert project.read("dvc.lock") == lock
        tarred.environment |= cluster
        pack(tarred.folder / "data/raw")
        output = tarred.facestats(*fill).stdout
        assert re.search(r"^preprocess .* reused=0 computed=\d\d", output, re.M)
    filled_by_ray = tmp_path / "rows"
    tarred.environment["FACESTATS_ROWS"] = str(tmp_path / "plain")
    tarred.facestats("rows", "fill")
    for stage in ("preprocess", "embed"):
        plain, by_ray = stored_rows(tmp_path / "plain", stage), stored_rows(filled_by_ray, stage)
        # Beside them, those of the last committed run, for which other machines would not look.
        assert by_ray.filter(pc.is_in(by_ray["key"], plain["key"].combine_chunks())).equals(plain)


def pack(folder: Path) -> None:
    """Put a folder's photos into two tar shards."""
    for number, path in enumerate(sorted(folder.glob("face_*.jpg"))):
        with tarfile.open(folder / f"0000{number % 2}.tar", "a") as tar:
            tar.add(path, path.name)
        path.unlink()


@pytest.mark.thorough
def test_shards_of_one_stage_after_the_other_leave_nothing_to_compute(fresh, undisturbed, tmp_path):
    (project,) = copies(fresh, tmp_path, 1)
    lock, [(photos, *_), (faces, *_)] = undisturbed
    fill = [f"{number}/2" for number in range(2)]
    for shard in fill:
        project.facestats("rows", "fill", "preprocess", "--shard", shard)
    assert counts(project.dvc("repro", "preprocess").stdout) == [(photos, photos, 0)]
    parts = [project.facestats("rows", "fill", "embed", "--shard", shard).stdout for shard in fill]
    assert sum(filled(part)["embed"][0] for part in parts) == faces
    assert counts(project.dvc("repro", "embed").stdout)[-1] == (faces, faces, 0)
    assert project.read("dvc.lock") == lock
    for name in ("two shards", "a list of photos"):
        output = run_documented(project, PAGE, name)
        assert [int(facts[-1]) for facts in LINE.findall(output)] == [0] * 4
    assert project.read("dvc.lock") == lock


@pytest.mark.thorough
@pytest.mark.server
def test_shards_fill_a_bucket_and_a_run_finds_each_row_there(fresh, undisturbed, tmp_path):
    lock, [(photos, *_), (faces, *_)] = undisturbed
    (project,) = copies(fresh, tmp_path, 1)
    with s3() as address:
        project.environment |= in_bucket(address)
        with ThreadPoolExecutor() as pool:
            parts = [
                filled(done.stdout)
                for done in pool.map(
                    lambda number: project.facestats("rows", "fill", "--shard", f"{number}/2"),
                    range(2),
                )
            ]
        assert sum(part["preprocess"][2] for part in parts) == photos
        assert counts(project.dvc("repro", "embed").stdout) == [
            (photos, photos, 0),
            (faces, faces, 0),
        ]
        assert project.read("dvc.lock") == lock
        listed = project.facestats("rows").stdout
        assert listed.startswith("row store: s3://our-bucket/some/rows\n")
        assert (all_rows := re.search(r"^  all +rows=(\d+) used=\1 ", listed, re.MULTILINE))
        verified = project.facestats("rows", "verify", "--sample", "3").stdout
        assert verified.count("compared=3 equal=3") == 2
        assert f"rows={all_rows[1]} recipes=2, sound" in project.facestats("doctor").stdout
        dropped = project.facestats("forget", "face_0005.jpg", check=False).stdout
        assert "s3://our-bucket/some/rows: 1 rows of preprocess removed" in dropped
        assert counts(project.dvc("repro", "embed").stdout)[0] == (photos - 1, photos - 1, 0)
        assert "removed: rows=0 " in project.facestats("rows", "prune").stdout
    assert not (tmp_path / "rows").exists()


def test_the_page_has_what_the_benchmark_computes_on_paper():
    assert block(PAGE, "on paper").text == "python -m benchmarks.cluster --paper\n"
    assert cluster_paper.report() in read(PAGE)


def shards_folder(folder: Path) -> Path:
    """A folder with one photo, which is none, and what filling its row needs."""
    write_params(folder, {"data": {"images": "photos"}})
    (folder / "photos").mkdir()
    (folder / "models").mkdir()
    (folder / "models/landmarker").symlink_to(landmarker_dir())
    (folder / "photos/none.jpg").write_bytes(b"none")
    return folder


def test_two_versions_of_the_code_fill_one_store(tmp_path, monkeypatch):
    monkeypatch.setenv("FACESTATS_ROWS", str(tmp_path / "rows"))
    project = shards_folder(tmp_path)
    for version, reused in (("one", 0), ("other", 0), ("one", 1)):
        monkeypatch.setattr("facestats.faces.keys.code_sha256", lambda _, code=version: code)
        [line] = rows_fill.fill_rows(project, None, "preprocess", Shard())
        assert f"rows=1 reused={reused} computed={1 - reused} " in line
    folders = [path for path in (tmp_path / "rows/preprocess").iterdir() if path.is_dir()]
    assert len(folders) == 2


def test_a_store_that_cant_be_written_and_other_misuse_are_errors(tmp_path, monkeypatch):
    shards_folder(tmp_path)
    (tmp_path / "a file").write_bytes(b"")
    monkeypatch.setenv("FACESTATS_ROWS", str(tmp_path / "a file"))
    with pytest.raises(InputError, match="the row store can't be written, so rows"):
        list(rows_fill.fill_rows(tmp_path, None, "preprocess", Shard()))
    with pytest.raises(InputError, match="data/processed/preproc: no such folder; `dvc repro"):
        list(rows_fill.fill_rows(tmp_path, None, "embed", Shard()))
    monkeypatch.setenv("FACESTATS_ROWS", str(tmp_path / "rows"))
    [line] = rows_fill.fill_rows(tmp_path, None, None, Shard())  # no face to embed
    assert line.startswith("preprocess shard=0/1 rows=1 reused=0 computed=1 rejected=1 seconds=")
