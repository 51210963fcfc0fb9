"""`rows fill --engine ray`: the machines of a Ray cluster; test_row_shards.py kills one of them."""

import dataclasses
import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest

from facestats.__main__ import main
from facestats.cli import rows_engine, rows_ray
from facestats.cli.rows_fill import fill_rows
from facestats.cli.rows_work import Report
from facestats.errors import FaultError, InputError
from facestats.rows.shard import Shard
from listed import bare_project, stored_crops, stored_rows
from programs import run_program

pytestmark = pytest.mark.long
N = 5


@pytest.fixture(scope="module")
def filled(tmp_path_factory, clip_models) -> Path:
    """A project with all rows of its photos, without Ray."""
    root = bare_project(tmp_path_factory.mktemp("ray"), clip_models["tiny"], N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESTATS_ROWS", str(root / "rows"))
        list(fill_rows(root, None, None, Shard()))
    return root


@pytest.fixture
def project(filled, tmp_path, monkeypatch) -> Path:
    """A copy of it with an empty store."""
    root = shutil.copytree(filled, tmp_path / "project", ignore=shutil.ignore_patterns("rows"))
    monkeypatch.setenv("FACESTATS_ROWS", str(root / "rows"))
    monkeypatch.setattr(rows_ray, "_node", lambda: "one (abcdef)")
    return root


@pytest.fixture
def blocks(project) -> list[pa.Table]:
    """The batches of the project's photos, of two each."""
    job = rows_engine._job(project, None)
    return [
        table
        for at in range(0, N, 2)
        for table in rows_ray._blocks(job, rows_engine._own_photos(job).slice(at, 2), None)
    ]


def test_actors_compute_the_rows_of_the_plain_stages(filled, project, blocks):
    job = rows_engine._job(project, None)
    photos, faces, totals = rows_ray._PhotoActor(job), rows_ray._FaceActor(job), rows_ray.Totals()
    for _ in range(2):  # the second time, all rows are there
        done = [photos(block) for block in blocks]
        for batch in (pa.concat_tables(done[:2]), *done[2:]):
            batch = faces(batch)
            for column, stage in (("photos", "preprocess"), ("faces", "embed")):
                for text in batch[column].drop_null().to_pylist():
                    totals.add(stage, text)
    for stage, report in totals.stages.items():
        assert (report.rows, report.reused, report.computed) == (2 * N, N, N)
        assert stored_rows(project / "rows", stage).equals(stored_rows(filled / "rows", stage))
    assert stored_crops(project / "rows") == stored_crops(filled / "rows")
    assert list(totals.speeds(2.0)) == [
        f"node one (abcdef): preprocess computed={N} per_second={N / 2}, "
        f"embed computed={N} per_second={N / 2}"
    ]


def test_a_machine_that_cant_do_its_part_is_named_with_the_reason(project, blocks, tmp_path):
    job, totals = rows_engine._job(project, None), rows_ray.Totals()
    for changes, message in (
        ({"root": tmp_path}, "there is no project at"),
        ({"recipe": "0" * 64}, "nobody would find the rows"),
        ({"environment": {"FACESTATS_ROWS": str(project / "params.yaml")}}, "can't be written"),
    ):
        actor = rows_ray._PhotoActor(dataclasses.replace(job, **changes))
        (text,) = actor(blocks[0])["photos"].to_pylist()
        with pytest.raises(FaultError, match=rf"on one \(abcdef\): .*{message}"):
            totals.add("preprocess", text)


def test_photos_that_fail_are_named_at_the_end(project, blocks):
    (project / "photos/000.jpg").unlink()
    totals = rows_ray.Totals()
    (text,) = rows_ray._PhotoActor(rows_engine._job(project, None))(blocks[0])["photos"].to_pylist()
    totals.add("preprocess", text)
    lines = rows_engine._lines(totals.stages, "engine=ray", 0.0)
    assert next(lines).startswith(
        "preprocess engine=ray rows=1 reused=0 computed=1 rejected=0 fail"
    )
    with pytest.raises(FaultError, match=r"photos/000\.jpg has no row \(.*No such file"):
        next(lines)


def test_warnings_of_machines_are_shown_once(capsys):
    totals = rows_ray.Totals()
    for node in "ab":
        totals.add("embed", Report(node=node, messages=["a segment is damaged"]).to_json())
    assert capsys.readouterr().err == "warning: on a: a segment is damaged\n"


def test_no_ray_is_an_error(project, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = ["rows", "fill", "preprocess", "--engine", "ray", "--root", str(project)]
    assert main(arguments) == 2
    assert "pip install 'facestats[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nobody.invalid:1", "here", "a:b", ":99999"])
def test_an_address_where_nothing_answers_is_an_error(address, monkeypatch):
    with pytest.raises(InputError, match=f"no Ray cluster at {address} .*--address is auto"):
        rows_ray._check_address(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=f"no Ray cluster at {address} "):
        rows_ray._check_address("auto")


@pytest.mark.thorough
@pytest.mark.server
def test_ray_on_this_machine(filled, project):
    if not find_spec("ray"):
        pytest.skip("needs the package ray (tests/requirements-servers.txt)")
    command = "-m facestats rows fill preprocess --engine ray --address local"
    done = run_program([sys.executable, *command.split()], project, os.environ, check=True)
    assert re.match(
        rf"preprocess engine=ray rows={N} reused=0 computed={N} rejected=0 failed=0 seconds=\S+\n"
        rf"node \S+ \([0-9a-f]{{6}}\): preprocess computed={N} per_second=\S+\n$",
        done.stdout,
    )
    assert done.stderr == ""
    rows = stored_rows(project / "rows", "preprocess")
    assert rows.equals(stored_rows(filled / "rows", "preprocess"))
