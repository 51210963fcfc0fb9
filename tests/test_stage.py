"""What `run_stage` does at the beginning and the end of a stage's process."""

from facestats.run.stage import run_stage

import hashlib
import json
import sys
from pathlib import Path

import pytest
import yaml

from programs import run_program
from resources import ROOT

SCRIPT = """
from facestats.run.stage import run_stage

import atexit
import gc
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path

DURING_IMPORTS = gc.isenabled()


def late(text: str) -> None:
    time.sleep(0.5)
    Path("thread.txt").write_text(text)


def main(params, in_worker: int) -> str:
    folder = tempfile.TemporaryDirectory(dir=".")
    atexit.register(lambda: Path("atexit.txt").write_text(str(Path(folder.name).is_dir())))
    threading.Thread(target=late, args=["done"]).start()
    sys.stdout.write(f"collects: {DURING_IMPORTS} {gc.isenabled()}")
    if in_worker:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print("", pool.apply(gc.isenabled), end="")
    print()
    return "all done"


if __name__ == "__main__":
    run_stage(main)
"""


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(("in_worker", "collects"), [("0", "False True"), ("1", "False True True")])
def test_a_stage_ends_with_all_that_it_has_to_do(tmp_path: Path, in_worker, collects):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "stage.py").write_text(SCRIPT, encoding="utf-8")
    done = run_program([sys.executable, "stage.py", "--in-worker", in_worker], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()  # a file's buffer is written out
    assert first == f"collects: {collects}"
    assert last.startswith("all done seconds=")
    assert (tmp_path / "thread.txt").read_text() == "done"
    assert (tmp_path / "atexit.txt").read_text() == "True"
    assert not any(path.is_dir() for path in tmp_path.iterdir() if path.name != "__pycache__"), (
        "a temporary folder is left"
    )


@pytest.mark.thorough
@pytest.mark.long
def test_what_people_import_leaves_the_garbage_collection_alone():
    script = (
        "import gc, facestats, facestats.serving.composites, facestats.cli.doctor; "
        "print(gc.isenabled())"
    )
    assert run_program([sys.executable, "-c", script]).stdout == "True\n"


@pytest.fixture
def after_a_run(tmp_path, monkeypatch):
    """A project whose stages `before` and `own` have run, without DVC."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    stages: dict = {"before": {"outs": []}, "own@a": {"outs": []}}

    def write(stage: str, name: str, data: bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        md5 = hashlib.md5(data).hexdigest()
        stages[stage]["outs"].append({"path": name, "md5": md5, "hash": "md5"})
        return md5

    write("before", "tables/one.csv", b"a")
    write("before", "tables/two.csv", b"b")
    write("before", "elsewhere.csv", b"c")
    write("own@a", "tables/own.csv", b"d")
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops/x.jpg").write_bytes(b"e")
    listing = json.dumps([{"md5": hashlib.md5(b"e").hexdigest(), "relpath": "x.jpg"}]).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    stages["before"]["outs"].append({"path": "crops", "md5": md5, "hash": "md5"})
    kept = tmp_path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(listing)
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:own@a")
    monkeypatch.setattr(sys, "argv", ["own.py", "--tables", "tables", "--crops", "crops"])
    return tmp_path


def fails(params, tables, crops) -> None:
    raise KeyError("rating")


@pytest.mark.parametrize("name", ["tables/two.csv", "crops/x.jpg"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_stage_that_fails_names_the_inputs_that_are_not_the_runs(
    after_a_run, monkeypatch, name, how
):
    monkeypatch.setattr("facestats.run.stage.end_in_time", lambda: None)
    path = after_a_run / name
    path.unlink() if how == "gone" else path.write_bytes(b"z")
    (after_a_run / "tables/own.csv").unlink()
    (after_a_run / "elsewhere.csv").write_bytes(b"z")
    with pytest.raises(SystemExit, match=f"^error: not what the run wrote: {name}. .*KeyError"):
        run_stage(fails)


def test_a_stage_that_fails_on_what_the_run_wrote_shows_where(after_a_run, monkeypatch):
    monkeypatch.setattr("facestats.run.stage.end_in_time", lambda: None)
    with pytest.raises(KeyError) as raised:
        run_stage(fails)
    assert "--no-run-cache" in "".join(raised.value.__notes__)
